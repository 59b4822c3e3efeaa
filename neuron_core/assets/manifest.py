"""What a `.neuron` file says about itself, as data: nothing in it is a path, a class or an expression.

`from_json` takes values from files that nobody vouches for; every field is checked for its type and
range, and a field that is missing or unknown is named in the AssetError.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from neuron_core.assets.errors import DAMAGED, AssetError
from neuron_core.foundation.checks import length, matching, text, unprintable, within
from neuron_core.foundation.records import Rules, read_record, to_plain
from neuron_core.foundation.strict_json import shown
from neuron_core.prompts.encoder import EncoderId

Vec3 = tuple[float, float, float]

ARCHITECTURES: Mapping[str, frozenset[str]] = {
    "inr": frozenset({"neuron-field-1"}),
    "nvf": frozenset({"nvf-1"}),
}
"""The closed registry: by group of tensors, the names that this version can run."""

MAX_LOOKS = 4096
MAX_COORDINATE = 1e7  # meters from the origin

_SLUG = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_digest = matching("[0-9a-f]{64}")


def _slug(value: str) -> str:
    return "" if is_slug(value) else f"is {shown(value)}, not lower-case words joined by underscores"


def _box(corners: tuple[Vec3, Vec3]) -> str:
    low, high = corners
    farthest = max(abs(number) for number in (*low, *high))
    if farthest > MAX_COORDINATE:
        return f"reaches {farthest} m; {MAX_COORDINATE:g} m is the limit"
    if not all(a < b for a, b in zip(low, high, strict=True)):
        return f"is empty: its lower corner is {low}, its upper one {high}"
    return ""


Free = Annotated[Mapping[str, object], unprintable]  # anything JSON, shown to people


@dataclass(frozen=True, slots=True)
class Look:
    """One appearance of an asset, with the prompt that made it."""

    RECORD: ClassVar[Rules] = Rules(complete=True)

    slug: Annotated[str, _slug]  # names its tensors and its USD variant
    prompt: Annotated[str, text(4096)]  # free text, empty where no prompt was involved
    details: Free = field(default_factory=dict)


def _distinct(looks: Collection[Look]) -> str:
    seen: set[str] = set()
    for look in looks:
        if look.slug in seen:
            return f"has two looks named {look.slug}"
        seen.add(look.slug)
    return ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about an asset but its tensors.

    `asset_id` and `digest` may stay empty until the file is written, which fills them in. Whoever
    writes a changed asset keeps its `asset_id`.
    """

    RECORD: ClassVar[Rules] = Rules(keys={"asset_id": "id"}, complete=True)

    name: Annotated[str, text(256, required=True)]
    aabb: Annotated[tuple[Vec3, Vec3], _box]  # lower and upper corner of the object, meters, Y up
    architecture: Annotated[Mapping[str, str], length(1, 64)]  # group of tensors -> name in ARCHITECTURES
    looks: Annotated[tuple[Look, ...], length(0, MAX_LOOKS), _distinct] = ()
    encoder: Annotated[EncoderId, Rules(keys={"name": "id"})] | None = None
    """None: made without prompts, no look can be added."""
    settings: Free = field(default_factory=dict)  # numbers that the architectures need
    provenance: Free = field(default_factory=dict)  # dataset, training, seeds; no clock
    metrics: Free = field(default_factory=dict)
    licence: Annotated[str, text(65_536, lines=True)] = ""
    version: Annotated[int, within(1, 1_000_000)] = 1
    units: Literal["m"] = "m"
    up_axis: Literal["Y"] = "Y"
    asset_id: Annotated[str, matching("[0-9a-f]{32}")] = ""
    digest: Annotated[str, _digest] = ""  # of all tensors, see `digest_of`

    def look(self, slug: str) -> Look:
        """The look of that name. Raises AssetError with the names there are."""
        for look in self.looks:
            if look.slug == slug:
                return look
        known = ", ".join(look.slug for look in self.looks) or "none"
        raise AssetError(f"{self.name} has no look {shown(slug)}.", f"It has: {known}.")

    def find_look(self, wanted: str) -> Look | None:
        """The look that a person means by its name or by the prompt that it was made with."""
        plain = wanted.strip().lower()
        for look in self.looks:
            if plain in (look.slug, look.slug.replace("_", "-"), look.prompt.lower()):
                return look
        return None

    def look_of_prompt(self, prompt: str) -> Look | None:
        """The look that was made with a prompt, whatever its case."""
        plain = prompt.strip().lower()
        return next((look for look in self.looks if look.prompt.strip().lower() == plain), None)

    def listed_looks(self) -> str:
        """All looks with their prompts, for a hint."""
        return "; ".join(f"{look.slug} ({look.prompt})" for look in self.looks)

    def to_json(self) -> dict[str, object]:
        """Plain JSON, the inverse of `from_json`."""
        return to_plain(self)

    @staticmethod
    def from_json(value: object) -> "Manifest":
        """Read it back. Raises AssetError with the field that is wrong."""
        manifest = read_record(Manifest, value, "manifest", AssetError)
        _check_architecture(manifest.architecture)
        return manifest


def _check_architecture(architecture: Mapping[str, str]) -> None:
    where = "manifest.architecture"
    for group, name in architecture.items():
        if group not in ARCHITECTURES:
            raise AssetError(f"{where} names the unknown group {shown(group)}.")
        if name not in ARCHITECTURES[group]:
            known = ", ".join(sorted(ARCHITECTURES[group]))
            raise AssetError(
                f"{where}.{group} is {shown(name)}, which this version does not know. It knows {known}.",
                f"Update Neuron if the file is from a newer one. {DAMAGED}",
            )


def is_slug(text: str) -> bool:
    """Whether a text can name a look: lower-case ASCII words joined by single underscores, 64 at most."""
    return len(text) <= 64 and _SLUG.fullmatch(text) is not None


def slug_of(text: str, taken: Collection[str] = ()) -> str:
    """A slug that a person recognizes `text` in, and that is none of `taken`.

    The same text gives the same slug. What had to be cut, or is taken, ends in a short hash.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = "_".join(re.findall(r"[a-z0-9]+", ascii_text))
    if not words or not words[0].isalpha():
        words = f"look_{words}".rstrip("_")
    if len(words) <= 48 and words not in taken:
        return words
    salt = 0
    while True:
        short_hash = hashlib.sha256(f"{salt}\0{text}".encode("utf-8", "replace")).hexdigest()[:6]
        slug = f"{words[:48].rstrip('_')}_{short_hash}"
        if slug not in taken:
            return slug
        salt += 1
