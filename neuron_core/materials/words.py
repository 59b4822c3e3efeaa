"""Words for what tags say. The first one is the tag itself; the last of several is kept for tests.

`usual` words are what training may read; `kept` words mean the same, and only held-out paraphrases
use them. The prompt encoder knows all of them.
"""

from collections.abc import Mapping

Words = Mapping[str, tuple[str, ...]]


def _rows(**rows: str) -> dict[str, tuple[str, ...]]:
    return {name.replace("_", " "): tuple(words.split(", ")) for name, words in rows.items()}


BASES: Words = _rows(
    gold="gold, gold metal, solid gold, golden metal",
    rose_gold="rose gold, rose gold metal, solid rose gold, pink gold",
    silver="silver, silver metal, solid silver, sterling silver",
    copper="copper, copper metal, solid copper, pure copper",
    brass="brass, brass metal, solid brass, brass alloy",
    bronze="bronze, bronze metal, solid bronze, bronze alloy",
    iron="iron, iron metal, cast iron, wrought iron",
    steel="steel, steel metal, sheet steel, stainless steel",
    aluminium="aluminium, aluminum, aluminium metal, aluminum alloy",
    chrome="chrome, chromium, chrome plating, chrome metal",
    titanium="titanium, titanium metal, solid titanium, titanium alloy",
    gunmetal="gunmetal, gunmetal alloy, dark steel, blued steel",
    ceramic="ceramic, porcelain, ceramic material, china",
    plastic="plastic, molded plastic, plastic material, polymer",
    rubber="rubber, rubber material, hard rubber, latex",
    car_paint="car paint, automotive paint, car lacquer, vehicle paint",
    painted_metal="painted metal, enamel paint, lacquered metal, coated metal",
    marble="marble, marble stone, solid marble, carved marble",
    granite="granite, granite stone, solid granite, granite rock",
    sandstone="sandstone, sandstone rock, solid sandstone, sedimentary stone",
    slate="slate, slate stone, solid slate, slate rock",
    concrete="concrete, cement, cast concrete, poured concrete",
    terracotta="terracotta, fired clay, terracotta clay, earthenware",
    obsidian="obsidian, volcanic glass, solid obsidian, obsidian stone",
    oak_wood="oak wood, oak, oak timber, oak lumber",
    walnut_wood="walnut wood, walnut, walnut timber, walnut lumber",
    pine_wood="pine wood, pine, pine timber, pine lumber",
    cork="cork, cork material, pressed cork, cork bark",
    leather="leather, leather hide, cowhide, tanned leather",
    fabric="fabric, cloth, woven cloth, textile",
    velvet="velvet, velour, plush, velvet pile",
    ivory="ivory, bone, carved ivory, tusk",
    glass="glass, glass material, solid glass, crystal",
    amber="amber, amber resin, fossil resin, amber stone",
    ice="ice, solid ice, frozen water, block of ice",
    wax="wax, candle wax, solid wax, paraffin",
    skin="skin, human skin, bare skin, flesh",
    jade="jade, jade stone, solid jade, nephrite",
)
FINISHES: Words = _rows(
    polished="polished, mirror-polished, shiny, buffed, gleaming",
    brushed="brushed, hairline-brushed, satin-brushed, machined",
    matte="matte, non-glossy, flat, dull",
    glossy="glossy, shiny, high-gloss",
    glazed="glazed, glossy, enamelled",
    satin="satin, semi-gloss, silky",
    rough="rough, coarse, uneven",
    metallic="metallic",
    frosted="frosted, blurry, sandblasted",
    clear="clear, transparent, see-through",
    grained="grained, visibly grained, grainy",
    hammered="hammered, beaten, dimpled",
)
CONDITIONS: Words = {
    **_rows(
        worn="worn, weathered, aged, used, time-worn",
        slightly_worn="slightly worn, lightly weathered, slightly aged, a little used",
        heavily_worn="heavily worn, badly weathered, worn out, extremely aged",
        rusted="rusted, rusty, corroded",
        dirty="dirty, stained, grimy, filthy",
        slightly_dirty="slightly dirty, lightly stained, a little grimy",
        heavily_dirty="heavily dirty, badly stained, extremely grimy",
        dusty="dusty, covered in dust, dust-covered",
        scratched="scratched, scuffed, covered in scratches",
        patinated="patinated, with a patina, covered in verdigris",
        tarnished="tarnished, blackened, dulled by age",
        smudged="smudged, covered in fingerprints, full of smudges",
        wet="wet, damp, splashed with water",
        soaking_wet="soaking wet, drenched, dripping wet",
        new="new, pristine",
    )
}
COLORS: Words = _rows(
    red="red, bright red, crimson",
    blue="blue, deep blue, cobalt blue",
    white="white, off-white, snow-white",
    black="black, jet-black, pitch-black",
    green="green, emerald green",
    yellow="yellow, lemon yellow",
    orange="orange, tangerine",
    purple="purple, violet",
    pink="pink, rose, magenta",
    brown="brown, chocolate brown",
    grey="grey, gray, neutral grey",
    gray="gray, grey",
    turquoise="turquoise, teal, cyan",
    beige="beige, cream, tan",
)


def usual(table: Words, tag: str) -> tuple[str, ...]:
    """The words that training may read for a tag, the tag itself if the table does not have it."""
    words = table.get(tag, (tag,))
    return words[:-1] if len(words) > 2 else words


def kept(table: Words, tag: str) -> tuple[str, ...]:
    """The words that only held-out paraphrases use; those of training if there are too few."""
    words = table.get(tag, (tag,))
    return words[-1:] if len(words) > 2 else words
