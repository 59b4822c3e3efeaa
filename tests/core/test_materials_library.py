"""Libraries by name, JSON or MaterialX, and the words for what is in them."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.materials import (
    Material,
    MaterialError,
    Tags,
    builtin_materials,
    canonical_prompt,
    library_from_json,
    library_to_json,
    load_materials,
    prompts,
    read_library,
)
from neuron_core.materials.wording import tags_from_name

BUILTIN = list(builtin_materials().values())
NAMES = [material.name for material in BUILTIN]

# ---- libraries


def test_builtin_gives_every_built_in_material_once():
    assert load_materials("builtin") == BUILTIN
    assert len(set(NAMES)) == len(BUILTIN) == 9


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("polished-gold", ["polished-gold"]),
        ("Polished Gold, oak_wood", ["polished-gold", "oak-wood"]),
        ("brushed copper worn,car paint red", ["brushed-copper", "car-paint"]),
        ("blue plastic matte", ["blue-plastic"]),
    ],
)
def test_names_are_understood_in_any_spelling(spec, names):
    assert [material.name for material in load_materials(spec)] == names


def test_a_wrong_name_is_answered_with_near_ones_and_the_full_list():
    with pytest.raises(MaterialError) as caught:
        load_materials("polished-gold, polished-golf")
    assert "polished-golf" in caught.value.message
    assert "mean polished-gold" in caught.value.hint
    assert all(name in caught.value.hint for name in NAMES)


@pytest.mark.parametrize("spec", ["", ",", "oak-wood,", "oak-wood,oak wood", "a/b", "nothing-like-it"])
def test_other_specs_are_material_errors(spec):
    with pytest.raises(MaterialError):
        load_materials(spec)


def test_a_json_library_gives_back_what_was_written(tmp_path):
    path = tmp_path / "library.json"
    path.write_text(json.dumps(library_to_json(BUILTIN)))
    assert load_materials(str(path)) == BUILTIN
    path.write_text(json.dumps([material.to_json() for material in BUILTIN]))
    assert load_materials(str(path)) == BUILTIN


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"version": 99, "materials": []},
        {"version": 1},
        {"version": 1, "materials": []},
        [BUILTIN[0].to_json(), BUILTIN[0].to_json()],
        [{"name": "a"}, 3],
    ],
)
def test_other_json_is_a_material_error_that_names_its_source(content):
    with pytest.raises(MaterialError, match=r"lib\.json"):
        library_from_json(content, "lib.json")


def test_materials_of_a_folder_have_distinct_prompts(tmp_path):
    text = '<materialx version="1.39"><open_pbr_surface name="s" type="surfaceshader"/></materialx>'
    for name in ("gold.mtlx", "gold_openpbr.mtlx", "red_rubber.mtlx"):
        (tmp_path / name).write_text(text)
    result = read_library(str(tmp_path))
    assert [canonical_prompt(material) for material in result.materials] == [
        "gold",
        "gold openpbr",
        "rubber, red",
    ]
    assert len(result.notes) == 1 and result.notes[0].startswith("gold-openpbr")


# ---- words


def test_the_canonical_prompt_begins_with_the_base_noun():
    expected = {
        "polished-gold": "gold, polished",
        "brushed-copper": "copper, brushed, worn",
        "car-paint": "car paint, red",
        "white-ceramic": "ceramic, white, glazed",
        "rusted-iron": "iron, rusted",
    }
    for name, prompt in expected.items():
        assert canonical_prompt(builtin_materials()[name]) == prompt
    assert len({canonical_prompt(material) for material in BUILTIN}) == len(BUILTIN)


@given(st.sampled_from(BUILTIN), st.integers(0, 2**31))
def test_prompts_begin_with_the_base_and_never_say_a_word_twice(material, seed):
    texts = prompts(material, 12, seed)
    assert len(texts) == len(set(texts)) == 12
    bases = {"gold", "solid", "copper", "car", "automotive", "ceramic", "porcelain", "rubber", "hard"}
    bases |= {"plastic", "molded", "oak", "iron", "cast", "glass"}
    for text in texts:
        words = re.findall(r"[a-z0-9]+", text)
        assert words[0] in bases
        content = [word for word in words if word not in ("and", "that", "is", "which", "a", "by", "its")]
        assert len(content) == len(set(content)), text


def test_prompts_have_many_forms_and_follow_the_seed():
    for material in BUILTIN:
        assert prompts(material, 20, 1) == prompts(material, 20, 1)
        assert prompts(material, 20, 1) != prompts(material, 20, 2)
        assert prompts(material, 5, 1) == prompts(material, 20, 1)[:5]
    copper = builtin_materials()["brushed-copper"]
    shapes = {re.sub(r"[a-z-]+ed\b|weathered|used|worn", "X", text) for text in prompts(copper, 60, 0)}
    assert len(shapes) >= 6


def test_prompts_do_not_depend_on_the_process():
    code = "from neuron_core.materials import *;print(prompts(builtin_materials()['oak-wood'], 6, 4))"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == str(prompts(builtin_materials()["oak-wood"], 6, 4))


def test_a_material_without_tags_is_called_by_its_name():
    thing = Material("odd-thing")
    assert canonical_prompt(thing) == "odd thing"
    assert len(set(prompts(thing, 6, 0))) == 6
    assert len(prompts(thing, 50, 0)) == 50


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("gold", Tags("gold")),
        ("Brushed_Copper_worn", Tags("copper", "brushed", "worn")),
        ("mtlx-red-car-paint-02", Tags("car paint", color="red")),
        ("red", Tags("red", color="red")),
        ("", Tags()),
    ],
)
def test_names_become_tags(name, tags):
    assert tags_from_name(name) == tags


@given(st.text())
def test_any_name_becomes_tags_that_are_valid(name):
    assert isinstance(tags_from_name(name), Tags)
