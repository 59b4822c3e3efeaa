"""standard_surface in terms of OpenPBR: what is off leaves nothing, units are converted, losses are named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.materials import Material
from neuron_core.materials.openpbr import CONSTANT_INPUTS, INPUTS, Value
from neuron_core.materials.surfaces import TRANSLATORS, translation_table

STANDARD = TRANSLATORS["standard_surface"]
OPENPBR = TRANSLATORS["open_pbr_surface"]
LOBES = {
    "transmission": "transmission_",
    "subsurface": "subsurface_",
    "sheen": "fuzz_",
    "coat": "coat_",
    "emission": "emission_",
}
parts = st.floats(0.0, 1.0, width=32)
colors = st.tuples(parts, parts, parts)


def translated(**given: Value) -> dict[str, Value]:
    return STANDARD.translate(given, "1.0.1")[0]


def notes(**given: Value) -> list[str]:
    return STANDARD.translate(given, "1.0.1")[1]


def test_openpbr_is_passed_on_as_it_is() -> None:
    values: dict[str, Value] = {"base_metalness": 1.0, "coat_weight": 0.25, "base_color": (0.1, 0.2, 0.3)}
    assert OPENPBR.translate(values, "1.1") == (values, [])
    assert set(OPENPBR.kinds) == set(CONSTANT_INPUTS)
    assert OPENPBR.without_value == set(INPUTS) - set(CONSTANT_INPUTS)


def test_every_target_is_an_input_of_openpbr_and_has_one_source() -> None:
    assert set(STANDARD.sources) <= set(CONSTANT_INPUTS)
    assert len(set(STANDARD.sources.values())) == len(STANDARD.sources)
    assert set(STANDARD.sources.values()) <= set(STANDARD.kinds)


def test_kinds_agree_except_where_a_color_becomes_a_number() -> None:
    differing = {
        source for target, source in STANDARD.sources.items() if STANDARD.kinds[source] != INPUTS[target].kind
    }
    assert differing == {"opacity"}


@given(base=parts, color=colors, metal=parts, rough=parts)
def test_what_both_surfaces_share_keeps_its_value(
    base: float, color: tuple[float, float, float], metal: float, rough: float
) -> None:
    values = translated(base=base, base_color=color, metalness=metal, specular_roughness=rough)
    assert values["base_weight"] == base and values["base_color"] == color
    assert values["base_metalness"] == metal and values["specular_roughness"] == rough


@given(
    st.fixed_dictionaries(
        {}, optional={name: parts for name, kind in STANDARD.kinds.items() if kind == "float"}
    )
)
def test_any_numbers_of_the_unit_interval_become_a_material_or_are_out_of_range(
    given: dict[str, Value],
) -> None:
    values = translated(**given)
    low = {name for name, value in values.items() if isinstance(value, float) and value < INPUTS[name].low}
    assert low <= {"specular_ior", "coat_ior", "thin_film_ior"}  # refuses them with their name, later
    Material("anything", {name: value for name, value in values.items() if name not in low})


@pytest.mark.parametrize(("switch", "prefix"), LOBES.items())
def test_a_lobe_that_is_off_leaves_no_value_and_one_that_is_on_does(switch: str, prefix: str) -> None:
    assert not [name for name in translated(**{switch: 0.0}) if name.startswith(prefix)]
    assert [name for name in translated(**{switch: 0.5}) if name.startswith(prefix)]


def test_the_old_version_has_darker_defaults() -> None:
    old, new = (STANDARD.translate({}, version)[0] for version in ("1.0.0", "1.0.1"))
    assert (old["base_weight"], old["base_color"]) == (0.8, (1.0, 1.0, 1.0))
    assert (new["base_weight"], new["base_color"]) == (1.0, (0.8, 0.8, 0.8))


def test_specular_never_scales_a_metal() -> None:
    assert translated(specular=0.3)["specular_weight"] == 0.3
    assert "specular_weight" not in translated(specular=0.3, metalness=1.0)


def test_dispersion_is_on_only_with_an_abbe_number() -> None:
    off, on = (translated(transmission=1.0, transmission_dispersion=abbe) for abbe in (0.0, 35.0))
    assert "transmission_dispersion_scale" not in off
    assert (on["transmission_dispersion_abbe_number"], on["transmission_dispersion_scale"]) == (35.0, 1.0)


@given(scale=st.floats(0.5, 4.0), radius=st.tuples(*[st.floats(0.1, 8.0)] * 3))
def test_mean_free_paths_of_subsurface_scattering_are_kept(
    scale: float, radius: tuple[float, float, float]
) -> None:
    values = translated(subsurface=1.0, subsurface_scale=scale, subsurface_radius=radius)
    lengths, factor = values["subsurface_radius_scale"], values["subsurface_radius"]
    assert isinstance(lengths, tuple) and isinstance(factor, float)
    assert max(lengths) <= 1.0
    for length, wanted in zip(lengths, radius, strict=True):
        assert math.isclose(length * factor, wanted * scale, rel_tol=1e-6)


def test_a_film_is_measured_in_micrometers_and_present_when_it_has_a_thickness() -> None:
    values = translated(thin_film_thickness=450.0)
    assert values["thin_film_thickness"] == pytest.approx(0.45) and values["thin_film_weight"] == 1.0
    assert "thin_film_weight" not in translated()


@given(colors)
def test_a_colored_opacity_becomes_its_mean_and_is_noted(color: tuple[float, float, float]) -> None:
    assert translated(opacity=color)["geometry_opacity"] == pytest.approx(sum(color) / 3)
    assert any("opacity" in note for note in notes(opacity=color)) == (len(set(color)) > 1)


def test_an_opacity_out_of_range_is_not_averaged_into_range() -> None:
    value = translated(opacity=(2.0, 0.0, 0.0))["geometry_opacity"]
    assert isinstance(value, float) and value < INPUTS["geometry_opacity"].low


@pytest.mark.parametrize(
    "name", ["specular_rotation", "coat_affect_roughness", "transmission_extra_roughness"]
)
def test_what_openpbr_lacks_is_noted_when_it_matters(name: str) -> None:
    lobes: dict[str, Value] = {"coat": 1.0, "transmission": 1.0}
    assert not notes(**lobes)
    assert [note for note in notes(**lobes, **{name: 0.5}) if name in note]


def test_what_belongs_to_a_lobe_that_is_off_is_not_noted() -> None:
    assert not notes(coat_affect_roughness=0.5) and not notes(transmission_extra_roughness=0.5)


def test_the_table_has_a_line_for_every_input() -> None:
    lines = translation_table().splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == list(STANDARD.kinds)
    assert all(line.count("|") == 4 for line in lines)
