"""Records, libraries and MaterialX say the same however it is written down."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.materials import (
    Material,
    MaterialError,
    builtin_materials,
    library_from_json,
    library_to_json,
    load_materials,
)
from neuron_core.materials.materialx import LONGEST_CHAIN, read_materialx
from neuron_core.materials.openpbr import CONSTANT_INPUTS, INPUTS, Value
from neuron_core.materials.record import checked_values

TYPES = {"float": "float", "color": "color3", "switch": "boolean"}


def some_values(seed: int, share: float = 0.6) -> dict[str, Value]:
    """Some inputs of OpenPBR off their defaults, in no order."""
    random = np.random.default_rng(seed)
    names = [name for name in random.permutation(CONSTANT_INPUTS) if random.random() < share]
    values: dict[str, Value] = {}
    for name in names:
        item = INPUTS[name]
        low, high = item.low, min(item.high, 4.0)
        parts = tuple(float(part) for part in random.uniform(low, high, 3))
        values[name] = {"color": parts, "float": parts[0], "switch": 1.0}[item.kind]
    return values


def written(value: Value, kind: str) -> str:
    if kind == "switch":
        return "true" if value else "false"
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else repr(value)


def node(name: str, value: Value, more: str = "") -> str:
    kind = INPUTS[name].kind
    return f'<input name="{name}" type="{TYPES[kind]}" value="{written(value, kind)}" {more}/>'


def document(inputs: str, nodes: str = "", attributes: str = "") -> str:
    return (
        f'<materialx version="1.39" {attributes}>{nodes}'
        f'<open_pbr_surface name="s" type="surfaceshader">{inputs}</open_pbr_surface></materialx>'
    )


def read(folder: Path, text: str) -> Material:
    (folder / "thing.mtlx").write_text(text, encoding="utf-8")
    (material,) = read_materialx(folder / "thing.mtlx").materials
    return material


# --- records ---


@pytest.mark.parametrize("seed", range(4))
def test_a_record_does_not_remember_in_which_order_its_values_came(seed):
    values = some_values(seed)
    turned = dict(reversed(values.items()))
    assert Material("m", values) == Material("m", turned)
    assert list(checked_values(turned)) == [name for name in CONSTANT_INPUTS if name in values]
    assert checked_values(checked_values(values)) == checked_values(values)


def test_what_a_record_does_not_say_is_the_default_of_the_standard():
    material = Material("m", {"coat_weight": 0.5})
    for name in CONSTANT_INPUTS:
        assert material.value(name) == (0.5 if name == "coat_weight" else INPUTS[name].default)


@pytest.mark.parametrize("name", [name for name in CONSTANT_INPUTS if INPUTS[name].kind != "switch"])
def test_the_ends_of_a_range_are_in_it_and_what_lies_beyond_is_refused_by_name(name):
    item = INPUTS[name]
    for end, beyond in ((item.low, item.low - 1e-6), (item.high, item.high * (1 + 1e-6))):
        whole = (end,) * 3 if item.kind == "color" else end
        assert checked_values({name: whole})[name] == whole
        with pytest.raises(MaterialError, match=name):
            checked_values({name: (end, beyond, end) if item.kind == "color" else beyond})


def test_a_misspelled_input_is_answered_with_the_right_one():
    for name in ("base_colour", "coat_wieght", "specular_rougness"):
        with pytest.raises(MaterialError, match=name) as caught:
            checked_values({name: 0.5})
        right = {"base_colour": "base_color", "coat_wieght": "coat_weight"}.get(name, "specular_roughness")
        assert right in caught.value.hint


# --- libraries ---


def test_a_library_keeps_its_order_and_survives_text():
    materials = [Material(f"m-{seed}", some_values(seed)) for seed in (3, 1, 2)]
    again = library_from_json(json.loads(json.dumps(library_to_json(materials))))
    assert again == materials


def test_names_are_taken_in_their_order_and_however_they_are_spelled():
    names = list(builtin_materials())[:4]
    wanted = [builtin_materials()[name] for name in reversed(names)]
    spelled = [name.replace("-", " ").upper() for name in reversed(names)]
    assert load_materials(" , ".join(spelled)) == wanted
    assert [load_materials(name)[0] for name in reversed(names)] == wanted


def test_a_material_that_is_named_twice_in_other_spelling_is_refused():
    with pytest.raises(MaterialError, match="twice"):
        load_materials("polished-gold, Polished Gold")


def test_one_damaged_entry_of_a_library_is_named_by_its_place():
    content = library_to_json([Material("a"), Material("b"), Material("c")])
    entries = content["materials"]
    assert isinstance(entries, list)
    entries[2] = {**entries[2], "parameters": {"base_weight": 7}}
    with pytest.raises(MaterialError, match=r"material 2.*'c'.*base_weight"):
        library_from_json(content)


# --- MaterialX ---


@pytest.mark.parametrize("seed", range(6))
def test_what_is_written_as_materialx_is_read_as_it_was(seed, tmp_path):
    values = some_values(seed)
    found = read(tmp_path, document("".join(node(name, value) for name, value in values.items())))
    wanted = {name: value for name, value in values.items() if value != INPUTS[name].default}
    assert dict(found.parameters) == checked_values(wanted)


def test_order_comments_and_spaces_of_a_file_mean_nothing(tmp_path):
    rows = [node(name, value) for name, value in some_values(7).items()]
    plain = read(tmp_path, document("".join(rows)))
    noisy = "\n\n<!-- a comment -->\n".join(reversed(rows)).replace(", ", " ,  ")
    assert read(tmp_path, document(noisy)) == plain


@pytest.mark.parametrize("length", [1, 3, LONGEST_CHAIN - 2])
def test_a_constant_is_the_same_through_any_number_of_dots(length, tmp_path):
    head = node("base_color", (0.1, 0.2, 0.7)).replace('"base_color"', '"value"')
    nodes = f'<constant name="n0" type="color3">{head}</constant>' + "".join(
        f'<dot name="n{index}" type="color3"><input name="in" type="color3" nodename="n{index - 1}"/></dot>'
        for index in range(1, length)
    )
    end = f'<input name="base_color" type="color3" nodename="n{length - 1}"/>'
    assert dict(read(tmp_path, document(end, nodes)).parameters) == {"base_color": (0.1, 0.2, 0.7)}


def test_a_node_that_is_not_followed_leaves_the_other_inputs_as_they_are(tmp_path):
    image = '<image name="map" type="color3"/>'
    connected = '<input name="base_color" type="color3" nodename="map"/>'
    rest = node("coat_weight", 0.3) + node("specular_roughness", 0.8)
    (tmp_path / "thing.mtlx").write_text(document(connected + rest, image))
    content = read_materialx(tmp_path / "thing.mtlx")
    assert dict(content.materials[0].parameters) == {"coat_weight": 0.3, "specular_roughness": 0.8}
    assert len(content.notes) == 1 and "base_color" in content.notes[0] and "map" in content.notes[0]


ENCODED = {
    "gamma22": lambda linear: linear ** (1 / 2.2),
    "gamma18": lambda linear: linear ** (1 / 1.8),
    "gamma24": lambda linear: linear ** (1 / 2.4),
    "srgb_texture": linear_to_srgb,
    "lin_rec709": lambda linear: linear,
}


@pytest.mark.parametrize("space", ENCODED)
def test_a_color_comes_back_from_the_space_that_it_was_encoded_in(space, tmp_path):
    linear = np.array([0.02, 0.3, 0.9])
    encoded = tuple(float(part) for part in ENCODED[space](linear))
    found = read(tmp_path, document(node("base_color", encoded, f'colorspace="{space}"')))
    np.testing.assert_allclose(found.color("base_color"), linear, atol=2e-6)


def test_a_change_of_primaries_is_linear_and_leaves_grays_alone(tmp_path):
    def seen(color: tuple[float, ...]) -> np.ndarray:
        text = document(node("base_color", color, 'colorspace="lin_ap1"'))
        return np.array(read(tmp_path, text).color("base_color"))

    one, two = (0.30, 0.28, 0.31), (0.10, 0.12, 0.09)
    both = tuple(a + b for a, b in zip(one, two, strict=True))
    np.testing.assert_allclose(seen(both), seen(one) + seen(two), atol=1e-9)
    np.testing.assert_allclose(seen((0.25, 0.25, 0.25)), 0.25, atol=1e-5)


def test_the_space_of_the_document_holds_where_nothing_nearer_says_another(tmp_path):
    color = (0.5, 0.5, 0.5)
    outer = read(tmp_path, document(node("base_color", color), attributes='colorspace="gamma22"'))
    inner = read(
        tmp_path,
        document(node("base_color", color, 'colorspace="lin_rec709"'), attributes='colorspace="gamma22"'),
    )
    np.testing.assert_allclose(outer.color("base_color"), 0.5**2.2)
    np.testing.assert_allclose(inner.color("base_color"), 0.5)


def test_a_folder_holds_what_its_files_hold_one_by_one(tmp_path):
    for seed, name in enumerate(("walnut", "brass", "ice")):
        rows = "".join(node(key, value) for key, value in some_values(seed).items())
        (tmp_path / f"{name}.mtlx").write_text(document(rows))
    together = read_materialx(tmp_path).materials
    alone = [read_materialx(file).materials[0] for file in sorted(tmp_path.glob("*.mtlx"))]
    assert list(together) == alone
