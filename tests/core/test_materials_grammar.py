"""The grammar: every combination is a record that can be rendered, told apart, and asked for."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_core.materials import (
    Material,
    MaterialError,
    canonical_prompt,
    evaluate,
    principled,
    prompts,
    read_library,
)
from neuron_core.materials.grammar import (
    Combination,
    category_of,
    combinations,
    conflict_of,
    find,
    is_known,
    material_of,
)
from neuron_core.materials.grammar_tables import AXES, BASES, CATEGORIES, COLORS, CONDITIONS, FINISHES, WEAR
from neuron_core.materials.record import slug
from neuron_core.materials.selection import parse, select
from neuron_core.materials.wording import paraphrases
from tests.core.material_samples import layer_mask

SMALL = ("a", "and", "by", "in", "is", "of", "that", "the", "which", "with")
ALL = combinations()
SOME = ALL[::97]


def points(count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.5, 0.5, (count, 3)).astype(np.float32)


# ---- tables


def test_tables_name_only_what_exists():
    for base in BASES.values():
        assert set(base.finishes) <= set(FINISHES) and set(base.conditions) <= set(CONDITIONS)
        assert set(base.colors) <= set(COLORS) and base.wear in WEAR
        assert len(set(base.conditions)) == len(base.conditions)
    assert {condition.axis for condition in CONDITIONS.values()} == {"", *AXES}


def test_there_are_about_1800_combinations_of_all_categories():
    assert 1700 <= len(ALL) <= 2000
    counts = Counter(item.category for item in ALL)
    assert set(counts) == set(CATEGORIES) and min(counts.values()) > 100
    assert len({item.name for item in ALL}) == len(ALL)
    used = {item.finish for item in ALL}, {item.condition for item in ALL}, {item.color for item in ALL}
    assert (
        used[0] == set(FINISHES)
        and used[1] == set(CONDITIONS)
        and used[2] == {"", *COLORS} - {"brown"} | {"brown"} & used[2]
    )


def test_the_filter_keeps_out_what_makes_no_sense():
    assert not is_known(Combination("gold", "polished", "rusted"))
    assert conflict_of(Combination("steel", "polished", "rusted")) is not None
    assert is_known(Combination("steel", "rough", "rusted"))
    assert not is_known(Combination("gold", "polished", "", "red"))
    assert not is_known(Combination("unobtainium", "polished"))
    assert all(is_known(item) for item in ALL)
    with pytest.raises(MaterialError, match="gold-polished-rusted"):
        material_of(Combination("gold", "polished", "rusted"))


# ---- records


@pytest.mark.parametrize("item", SOME, ids=[item.name for item in SOME])
def test_a_combination_becomes_a_record_that_says_what_it_is(item):
    material = material_of(item)
    assert material.name == item.name == slug(item.name)
    assert (material.tags.base, material.tags.finish) == (item.base, item.finish)
    assert (material.tags.condition, material.tags.color) == (item.condition, item.color)
    assert Material.from_json(material.to_json()) == material
    assert category_of(material) == item.category
    for values in evaluate(material, points(500)).values():
        assert np.isfinite(values).all()


def test_combinations_reach_the_renderer_and_only_scattering_is_out_of_reach():
    usual = {item.base: item for item in reversed(ALL)}.values()  # the first one of every base
    for item in (*usual, *ALL[::23]):
        mapped = principled(material_of(item))
        assert mapped.supported == (item.base not in ("wax", "skin", "jade")), item
        assert mapped.transmissive == (item.base in ("glass", "amber", "ice")), item


def test_records_follow_the_seed_and_nothing_else():
    item = ALL[500]
    assert material_of(item, 3) == material_of(item, 3)
    ours, others = material_of(item).layers, material_of(item, 3).layers
    assert all(a.seed != b.seed for a, b in zip(ours, others, strict=True))
    assert [a.kind for a in ours] == [b.kind for b in others]


def test_a_word_has_its_pattern_wherever_it_stands_and_patterns_of_different_words_differ():
    iron, steel = (material_of(Combination(base, "rough", "rusted")) for base in ("iron", "steel"))
    assert [a.seed for a in iron.layers] == [a.seed for a in steel.layers]
    seeds = [layer.seed for layer in material_of(Combination("oak wood", "grained", "scratched")).layers]
    assert len(set(seeds)) == len(seeds) > 3


def test_layers_of_a_combination_are_unrelated():
    places = points(8000)
    for name in ("marble-rough-worn", "granite-rough-dirty", "copper-brushed-patinated"):
        item = find(name)
        assert item is not None
        masks = [layer_mask(layer, places) for layer in material_of(item).layers]
        masks = [mask for mask in masks if mask.std() > 0.02]
        for index, mask in enumerate(masks):
            for other in masks[:index]:
                assert abs(np.corrcoef(mask, other)[0, 1]) < 0.12, name


@pytest.mark.parametrize("family", ["worn", "dirty"])
def test_degrees_change_more_and_more(family):
    base, finish = "copper", "satin"
    plain = material_of(Combination(base, finish))
    places = points(4000)
    changes = []
    for degree in (f"slightly {family}", family, f"heavily {family}"):
        changed = evaluate(material_of(Combination(base, finish, degree)), places)["base_color"]
        changes.append(np.abs(changed - np.array(plain.color("base_color"))).mean())
    assert changes[0] < changes[1] < changes[2]


# ---- names


def test_a_material_is_found_by_its_name_or_its_words_in_any_order():
    wanted = find("copper-brushed-heavily-worn")
    assert wanted == Combination("copper", "brushed", "heavily worn")
    assert find("Heavily worn brushed copper") == wanted
    assert find("brushed copper") == Combination("copper", "brushed")
    assert find("brushed unobtainium") is None
    for item in SOME:
        assert find(item.name) == item


def test_libraries_are_picked_from_the_grammar_by_name():
    found = read_library("copper-brushed-heavily-worn, red satin car paint, polished-gold").materials
    assert [item.name for item in found] == [
        "copper-brushed-heavily-worn",
        "car-paint-red-satin",
        "polished-gold",
    ]
    with pytest.raises(MaterialError, match="glass-clear-rusted") as caught:
        read_library("glass-clear-rusted")
    assert "glass" in caught.value.hint


# ---- selections


def test_a_selection_holds_out_combinations_whose_words_are_trained():
    chosen = parse("builtin:160+60@3")
    assert (len(chosen.trained), len(chosen.held_out), chosen.seed) == (160, 60, 3)
    trained = {(item.base, item.finish, item.condition) for item in chosen.trained}
    for index, word in enumerate(("base", "finish", "condition")):
        asked = {getattr(item, word) for item in chosen.held_out}
        assert asked <= {triple[index] for triple in trained}, word
    assert not trained & {(item.base, item.finish, item.condition) for item in chosen.held_out}
    assert {item.category for item in chosen.held_out} == set(CATEGORIES)
    assert {item.base for item in chosen.trained} == set(BASES)


def test_selections_follow_their_numbers_and_seed():
    assert parse("builtin:64@1") == parse("builtin:64@1") == select(64, 8, 1)
    assert parse("builtin:64@1") != parse("builtin:64@2")
    assert parse("builtin:all").trained == ALL


def test_a_library_tells_what_it_holds_out():
    library = read_library("builtin:40+10")
    assert len(library.materials) == 50 and library.held_out is not None and len(library.held_out) == 10
    assert {item.name for item in library.materials} >= library.held_out


@pytest.mark.parametrize(
    "spec",
    ["builtin:", "builtin:0", "builtin:x", "builtin:-3", "builtin:99999", "builtin:10+1999", "builtin:3@"],
)
def test_selections_that_cannot_be_met_say_so(spec):
    with pytest.raises(MaterialError) as caught:
        read_library(spec)
    assert "builtin:192" in caught.value.hint


# ---- words


def test_canonical_prompts_tell_all_combinations_apart():
    assert len({canonical_prompt(material_of(item)) for item in ALL}) == len(ALL)


@settings(max_examples=60)
@given(st.sampled_from(ALL), st.integers(0, 2**31))
def test_prompts_and_paraphrases_are_clean_and_apart(item, seed):
    material = material_of(item)
    said, kept = prompts(material, 12, seed), paraphrases(material, 4, seed)
    assert len(set(said)) == 12 and not set(said) & set(kept)
    assert kept == paraphrases(material, 4, seed)
    for text in (*said, *kept):
        words = re.findall(r"[a-z0-9]+", text)
        content = [
            word
            for word in words
            if word not in ("a", "and", "by", "in", "is", "of", "that", "the", "which", "with")
        ]
        assert len(content) == len(set(content)), text
        assert text == text.strip() and "  " not in text and "{" not in text and " ," not in text


def test_only_what_is_usual_goes_without_saying():
    usual, unusual = find("leather-brown-satin-worn"), find("leather-red-matte-worn")
    assert usual is not None and unusual is not None
    silent = [text for text in prompts(material_of(usual), 60, 0) if "brown" not in text]
    assert 0 < len(silent) < 30
    assert all("red" in text for text in prompts(material_of(unusual), 60, 0))
    assert all("brown" in text for text in paraphrases(material_of(usual), 20, 0))


def test_prompts_of_a_material_have_at_least_six_forms():
    item = find("car-paint-red-satin-worn")
    assert item is not None
    forms = {
        re.sub(
            r"(bright )?red|satin|semi-gloss|worn|weathered|aged|used|car paint|automotive paint|car lacquer",
            "X",
            text,
        )
        for text in prompts(material_of(item), 80, 0)
    }
    assert len(forms) >= 6
