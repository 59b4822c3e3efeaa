"""The way to Mitsuba: complete, published, in range, and honest about what is lost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.materials import Layer, Material, builtin_materials, principled, varying_inputs
from neuron_core.materials.openpbr import CONSTANT_INPUTS, INPUTS
from neuron_core.materials.principled import MAPPING, mapping_table
from neuron_core.materials.surfaces import translation_table

BUILTIN = list(builtin_materials().values())
NAMES = [material.name for material in BUILTIN]
DOCUMENT = Path(__file__).parents[2] / "docs" / "materials-mapping.md"


def test_every_openpbr_input_has_exactly_one_row():
    assert tuple(MAPPING) == tuple(INPUTS)
    lines = mapping_table().splitlines()
    assert all(sum(line.startswith(f"| `{name}` |") for line in lines) == 1 for name in INPUTS)


def test_the_published_tables_are_those_of_the_code():
    text = DOCUMENT.read_text()
    assert mapping_table() in text
    assert translation_table() in text


def test_what_has_a_target_is_mapped_and_what_has_none_is_lost():
    for row in MAPPING.values():
        assert (row.status in ("exact", "approximate")) == bool(row.target)


def _off_default(name: str) -> object:
    item = INPUTS[name]
    other = 0.45 if item.low <= 0.0 else 0.9
    if item.kind == "switch":
        return 1.0
    return (other, other / 2, 0.1) if item.kind == "color" else other


ALL_LOBES_ON = {
    "transmission_weight": 0.5,
    "subsurface_weight": 0.5,
    "fuzz_weight": 0.5,
    "coat_weight": 0.5,
    "thin_film_weight": 0.5,
    "emission_luminance": 1.0,
}


@pytest.mark.parametrize("name", CONSTANT_INPUTS)
def test_an_input_changes_the_plug_in_or_is_listed_as_dropped(name):
    before = principled(Material("some", {**ALL_LOBES_ON, "base_metalness": 0.5}))
    values = {**ALL_LOBES_ON, "base_metalness": 0.5, name: _off_default(name)}
    after = principled(Material("some", values))
    assert (dict(after.values) != dict(before.values)) or name in after.dropped
    assert (name in after.dropped) == (MAPPING[name].status in ("dropped", "unsupported"))


@pytest.mark.parametrize("name", [n for n, row in MAPPING.items() if row.status == "unsupported"])
def test_what_would_be_another_material_is_not_supported(name):
    values = {"transmission_weight": 0.5, name: _off_default(name)}
    result = principled(Material("some", values))
    assert not result.supported and name in result.dropped
    assert any(note.startswith(name) for note in result.notes)


def test_inputs_of_a_lobe_that_is_off_are_not_called_dropped():
    off = {"subsurface_color": (1.0, 0.0, 0.0), "fuzz_roughness": 0.9, "transmission_depth": 0.3}
    assert principled(Material("some", off)).dropped == ()
    metal = {"base_metalness": 1.0, "subsurface_weight": 1.0}
    assert principled(Material("some", metal)).supported


def test_a_layer_that_brings_in_subsurface_is_noticed():
    waxy = Layer("noise", 0.5, 0.1, 1, {"subsurface_weight": 1.0})
    assert not principled(Material("some", layers=(waxy,))).supported
    assert principled(Material("some", layers=(replace(waxy, amount=0.0),))).supported


@pytest.mark.parametrize("material", BUILTIN, ids=NAMES)
def test_builtins_are_supported_whole_and_only_glass_lets_light_through(material):
    result = principled(material)
    assert result.supported and result.dropped == ()
    assert result.transmissive == (material.name == "clear-glass")


@pytest.mark.parametrize("material", BUILTIN, ids=NAMES)
def test_varying_inputs_are_those_announced_and_in_range(material):
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (500, 3)).astype(np.float32)
    result, arrays = principled(material), varying_inputs(material, points)
    assert tuple(arrays) == result.varying
    for name, array in arrays.items():
        assert array.dtype == np.float32 and array.flags.c_contiguous
        assert array.shape == ((500, 3) if name == "base_color" else (500,))
        assert 0.0 <= array.min() and array.max() <= 1.0
        assert name in result.values


def test_constants_are_the_values_of_a_material_with_layers_of_no_amount():
    points = np.zeros((4, 3), np.float32)
    for material in BUILTIN:
        silent = tuple(replace(layer, amount=0.0) for layer in material.layers)
        assert varying_inputs(replace(material, layers=silent), points) == {}
        assert principled(replace(material, layers=silent)).varying == ()


def test_plain_materials_arrive_as_they_are():
    values = {"base_color": (0.1, 0.2, 0.3), "specular_roughness": 0.4, "specular_ior": 1.33}
    result = principled(Material("some", values))
    assert dict(result.values) == {
        "base_color": pytest.approx((0.1, 0.2, 0.3)),
        "roughness": pytest.approx(0.4),
        "metallic": 0.0,
        "eta": 1.33,
    }


@given(st.floats(1.05, 3.0), st.floats(0.05, 1.0))
def test_specular_weight_scales_the_reflectance_at_normal_incidence(ior, weight):
    eta = principled(Material("some", {"specular_ior": ior, "specular_weight": weight})).values["eta"]
    reflectance = ((eta - 1) / (eta + 1)) ** 2
    assert reflectance == pytest.approx(weight * ((ior - 1) / (ior + 1)) ** 2, rel=1e-6)


def test_a_full_coat_on_a_dielectric_is_what_is_seen():
    coat = {"coat_weight": 1.0, "coat_roughness": 0.2, "coat_ior": 1.4, "specular_roughness": 0.7}
    values = principled(Material("some", coat)).values
    assert values["roughness"] == pytest.approx(0.2)
    assert values["eta"] == pytest.approx(1.4)
    assert "clearcoat" not in values


def test_a_coat_on_metal_keeps_half_of_its_energy_within_the_same_angle():
    roughness = 0.4
    metal = {"base_metalness": 1.0, "coat_weight": 1.0, "coat_roughness": roughness, "coat_ior": 1.5}
    values = principled(Material("some", metal)).values
    assert values["clearcoat"] == pytest.approx(1.0)
    width = 0.1 + (0.001 - 0.1) * values["clearcoat_gloss"]
    cosines = np.linspace(0, 1, 2_000_001)
    gtr1 = cosines / (1 + (width**2 - 1) * cosines**2)
    ggx = cosines / (1 + (roughness**4 - 1) * cosines**2) ** 2
    medians = [np.interp(0.5, np.cumsum(d) / d.sum(), cosines) for d in (gtr1, ggx)]
    assert np.degrees(np.arccos(medians[0])) == pytest.approx(np.degrees(np.arccos(medians[1])), abs=0.05)


def test_a_darkening_coat_darkens_and_a_neutral_one_does_not():
    def base(**more: float) -> float:
        return principled(Material("some", {"coat_weight": 1.0, **more})).values["base_color"][0]

    assert base(coat_darkening=0.0) == pytest.approx(0.8)
    assert base() < 0.7


@pytest.mark.parametrize("material", BUILTIN, ids=NAMES)
def test_the_plug_in_accepts_every_builtin(material):
    import mitsuba

    mitsuba.set_variant("scalar_rgb")
    bsdf = mitsuba.load_dict(principled(material).to_dict())
    assert bsdf.flags() != 0
