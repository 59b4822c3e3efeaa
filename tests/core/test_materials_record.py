"""Records: valid or not there at all, and the same after a round trip."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.materials import Layer, Material, MaterialError, Tags, builtin_materials
from neuron_core.materials.openpbr import CONSTANT_INPUTS, INPUTS
from neuron_core.materials.record import KINDS, ROLES, slug

BUILTIN = list(builtin_materials().values())


SHARES = st.dictionaries(st.sampled_from(CONSTANT_INPUTS), st.tuples(*[st.floats(0, 1)] * 3), max_size=6)


def in_range(shares: dict[str, tuple[float, float, float]]) -> dict[str, object]:
    """Values of OpenPBR inputs from positions between their limits."""
    values: dict[str, object] = {}
    for name, parts in shares.items():
        item = INPUTS[name]
        low, high = item.low, item.high
        numbers = tuple(min(max(low + part * (high - low), low), high) for part in parts)
        if item.kind == "switch":
            values[name] = float(round(numbers[0]))
        else:
            values[name] = numbers if item.kind == "color" else numbers[0]
    return values


@given(SHARES, SHARES, st.sampled_from(KINDS), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_json_gives_back_the_same_record(values, towards, kind, amount, seed):
    layers = tuple(Layer(kind, amount, 0.1, seed, in_range(towards), role) for role in ROLES)
    material = Material("some-thing", in_range(values), layers, Tags("thing", color="red"))
    again = Material.from_json(json.loads(json.dumps(material.to_json())))
    assert again == material
    assert again.to_json() == material.to_json()


@pytest.mark.parametrize("material", BUILTIN, ids=lambda material: material.name)
def test_every_builtin_survives_json_and_pickle(material):
    assert Material.from_json(json.loads(json.dumps(material.to_json()))) == material
    assert pickle.loads(pickle.dumps(material)) == material


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_any_content_is_a_record_or_a_material_error(content):
    _is_material_or_error(content)


@given(st.data())
def test_a_good_record_with_one_thing_replaced_is_a_record_or_a_material_error(data):
    content = data.draw(st.sampled_from(BUILTIN)).to_json()
    place: object = content
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if data.draw(st.booleans()) or not isinstance(place[key], (dict, list)):
            place[key] = data.draw(ANYTHING)
            break
        place = place[key]
    _is_material_or_error(content)


def _is_material_or_error(content: object) -> None:
    try:
        assert isinstance(Material.from_json(content), Material)
    except MaterialError as error:
        assert error.kind == "material"
        assert len(error.message) < 500


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "Not A Slug"}, "Not A Slug"),
        ({"colour": 1}, "colour"),
        ({"parameters": {"base_colour": [1, 1, 1]}}, "base_color"),
        ({"parameters": {"base_metalness": 1.5}}, "base_metalness"),
        ({"parameters": {"base_metalness": float("nan")}}, "base_metalness"),
        ({"parameters": {"base_metalness": True}}, "base_metalness"),
        ({"parameters": {"base_color": [1, 1]}}, "base_color"),
        ({"parameters": {"geometry_thin_walled": 0.5}}, "geometry_thin_walled"),
        ({"parameters": {"geometry_normal": [0, 0, 1]}}, "geometry_normal"),
        ({"layers": [{"kind": "noise"}]}, "layers[0]"),
        ({"tags": {"base": "Gold!"}}, "tags.base"),
    ],
)
def test_an_error_names_the_source_and_what_is_wrong(change, named):
    content = {**BUILTIN[0].to_json(), **change}
    with pytest.raises(MaterialError) as caught:
        Material.from_json(content, "lib.json, material 3")
    text = f"{caught.value.message} {caught.value.hint}"
    assert "lib.json, material 3" in text and named in text


@given(st.text())
def test_a_slug_is_a_name_or_empty(text):
    name = slug(text)
    assert name == "" or Material(name).name == name
    assert slug(name) == name
