"""What the tables of the grammar add up to, whatever they hold."""

from itertools import product

import numpy as np
import pytest

from neuron_core.materials import Material, MaterialError, canonical_prompt, paraphrases, prompts
from neuron_core.materials.grammar import Combination, category_of, combinations, find, is_known, material_of
from neuron_core.materials.grammar_tables import BASES, COLORS, CONDITIONS, FINISHES
from neuron_core.materials.openpbr import INPUTS
from neuron_core.materials.selection import parse, select
from neuron_core.materials.wording import every_word, tags_from_name
from neuron_core.materials.words import BASES as BASE_WORDS
from neuron_core.materials.words import COLORS as COLOR_WORDS
from neuron_core.materials.words import CONDITIONS as CONDITION_WORDS
from neuron_core.materials.words import FINISHES as FINISH_WORDS
from neuron_core.materials.words import kept, usual

ALL = combinations()
SOME = ALL[5::61]
TABLES = (BASE_WORDS, FINISH_WORDS, CONDITION_WORDS, COLOR_WORDS)


def colors_of(material: Material) -> set[str]:
    return {name for name in material.parameters if INPUTS[name].kind == "color"}


# --- names ---


def test_the_grammar_is_every_product_of_its_words_that_it_says_it_knows():
    some = list(BASES)[::5]
    every = product(some, FINISHES, ("", *CONDITIONS), ("", *COLORS))
    known = {item for item in (Combination(*words) for words in every) if is_known(item)}
    assert known == {item for item in ALL if item.base in some}


def test_no_two_combinations_share_a_name():
    assert len({item.name for item in ALL}) == len(ALL) == len(set(ALL))


def test_case_spacing_and_punctuation_of_a_name_mean_nothing():
    for item in SOME:
        spelled = item.name.replace("-", " ")
        for text in (spelled.upper(), f"  {spelled.title()} ", spelled.replace(" ", "_"), f"({item.name})"):
            assert find(text) == item


def test_words_in_any_order_mean_a_combination_of_just_these_words():
    dice = np.random.default_rng(0)
    for item in SOME:
        words = item.name.split("-")
        found = find(" ".join(dice.permutation(words)))
        assert found is not None and sorted(found.name.split("-")) == sorted(words)


def test_a_word_too_many_or_too_few_is_another_material_or_none():
    for item in SOME:
        for text in (f"{item.name} unobtainium", item.name.partition("-")[2]):
            assert find(text) != item


# --- records ---


def test_a_color_changes_colors_and_nothing_else():
    for item in SOME:
        others = [one for one in ALL if one != item and (one.base, one.finish, one.condition) ==
                  (item.base, item.finish, item.condition)]  # fmt: skip
        ours = material_of(item)
        for theirs in map(material_of, others):
            assert colors_of(ours) == colors_of(theirs) and len(ours.layers) == len(theirs.layers)
            for name in ours.parameters.keys() - colors_of(ours):
                assert ours.parameters[name] == theirs.parameters[name]
            for one, other in zip(ours.layers, theirs.layers, strict=True):
                same = ("kind", "amount", "scale", "seed", "role", "softness")
                assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
                assert one.towards.keys() == other.towards.keys()


def test_a_condition_only_adds_layers_on_top_of_the_clean_material():
    for item in SOME:
        clean, changed = material_of(Combination(item.base, item.finish, "", item.color)), material_of(item)
        assert changed.parameters == clean.parameters
        assert changed.layers[: len(clean.layers)] == clean.layers
        added = changed.layers[len(clean.layers) :]
        assert bool(added) == bool(item.condition) or item.condition == "new"
        assert all(layer.role != "surface" for layer in added)


def test_wear_of_any_degree_lies_in_the_same_places():
    for item in ALL[::3]:
        if item.condition == "worn":
            for degree in ("slightly worn", "heavily worn"):
                other = Combination(item.base, item.finish, degree, item.color)
                if is_known(other):
                    pairs = zip(material_of(item).layers, material_of(other).layers, strict=True)
                    assert all((a.kind, a.seed, a.scale) == (b.kind, b.seed, b.scale) for a, b in pairs)


def test_a_seed_moves_patterns_and_changes_no_value():
    for item in SOME[::4]:
        one, other = material_of(item, 0), material_of(item, 1)
        assert one.parameters == other.parameters and one.tags == other.tags
        for a, b in zip(one.layers, other.layers, strict=True):
            assert a.seed != b.seed and (a.kind, a.amount, a.towards) == (b.kind, b.amount, b.towards)


def test_a_clear_body_is_colored_by_what_passes_it():
    clear = [item for item in SOME if BASES[item.base].values.get("transmission_weight")]
    assert clear
    for item in clear:
        material = material_of(item)
        assert "transmission_color" in material.parameters
        opaque = [layer for layer in material.layers if layer.role == "surface"]
        assert all("base_color" not in layer.towards for layer in opaque)


def test_what_the_grammar_does_not_have_is_refused_by_its_name():
    for words in (("gold", "clear"), ("glass", "clear", "rusted"), ("x", "y")):
        wrong = Combination(*words)
        with pytest.raises(MaterialError, match=wrong.name):
            material_of(wrong)


@pytest.mark.parametrize(
    ("parameters", "category"),
    [
        ({"transmission_weight": 0.9, "base_metalness": 1.0}, "translucent"),
        ({"subsurface_weight": 0.6}, "translucent"),
        ({"base_metalness": 0.8, "fuzz_weight": 1.0}, "metal"),
        ({"fuzz_weight": 0.5}, "organic"),
        ({}, "dielectric"),
    ],
)
def test_a_foreign_material_is_filed_by_what_it_does_to_light(parameters, category):
    assert category_of(Material("foreign", parameters)) == category


# --- selections ---


def test_a_selection_has_nothing_twice_and_keeps_the_order_of_the_grammar():
    place = {item: index for index, item in enumerate(ALL)}
    chosen = select(40, 30, 5)
    for part in (chosen.trained, chosen.held_out):
        assert [place[item] for item in part] == sorted({place[item] for item in part})
    assert not set(chosen.trained) & set(chosen.held_out)


def test_every_two_words_of_what_is_held_out_are_shown_together_by_something_that_is_not():
    hidden = set(select(20, 120, 2).held_out)
    triples = {(item.base, item.finish, item.condition) for item in hidden}
    left = [item for item in ALL if (item.base, item.finish, item.condition) not in triples]
    for one, two in (("base", "finish"), ("base", "condition"), ("finish", "condition")):
        shown = {(getattr(item, one), getattr(item, two)) for item in left}
        assert {(getattr(item, one), getattr(item, two)) for item in hidden} <= shown


def test_as_many_held_out_materials_as_there_are_bases_are_one_of_each():
    assert sorted(item.base for item in select(8, len(BASES), 9).held_out) == sorted(BASES)


def test_a_specification_may_be_spaced_and_lack_its_prefix():
    assert parse(" builtin:9+2@3 ") == parse("9+2@3") == select(9, 2, 3)
    assert parse("builtin:9") == parse("builtin:9+1@0")


# --- words ---


def test_held_out_words_and_training_words_are_all_words_of_a_tag_and_no_word_is_both():
    for table in TABLES:
        for tag, words in table.items():
            if len(words) > 2:
                assert usual(table, tag) + kept(table, tag) == words
                assert not set(usual(table, tag)) & set(kept(table, tag))
            assert words[0] == tag and len(set(words)) == len(words)


def test_every_tag_of_the_grammar_has_words():
    for table, tags in zip(TABLES, (BASES, FINISHES, CONDITIONS, COLORS), strict=True):
        assert {tag for tag in tags if tag} <= table.keys()


def test_prompts_are_made_of_listed_words_alone():
    listed = {word for text in every_word() for word in text.replace(",", " ").split()}
    for item in SOME[::3]:
        material = material_of(item)
        for text in (*prompts(material, 6, 1), *paraphrases(material, 6, 1), canonical_prompt(material)):
            assert set(text.replace(",", " ").split()) <= listed, text


def test_asking_for_more_paraphrases_keeps_the_first_ones():
    for item in SOME[::5]:
        material = material_of(item)
        assert paraphrases(material, 3, 8) == paraphrases(material, 9, 8)[:3]


def test_tags_come_back_from_the_name_of_a_combination_of_single_words():
    plain = [item for item in ALL if " " not in item.condition]
    for item in plain[::31]:
        tags = tags_from_name(item.name)
        assert (tags.finish, tags.condition, tags.color) == (item.finish, item.condition, item.color)
        assert tags.base == item.base
