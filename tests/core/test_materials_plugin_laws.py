"""What the way to Mitsuba's plug-in owes to physics: Fresnel, energy, and layers that are really there."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.materials import Layer, Material, principled, varying_inputs
from neuron_core.materials.openpbr import CONSTANT_INPUTS, INPUTS, Value

POINTS = np.random.default_rng(2).uniform(-0.5, 0.5, (200, 3)).astype(np.float32)
METAL: dict[str, Value] = {"base_metalness": 1.0}


def inputs(**parameters: Value) -> dict[str, Value]:
    return dict(principled(Material("m", parameters)).values)


def color(**parameters: Value) -> np.ndarray:
    return np.array(inputs(**parameters)["base_color"])


def f0(ior: float) -> float:
    """Fresnel's reflectance at normal incidence between air and a dielectric."""
    return ((ior - 1.0) / (ior + 1.0)) ** 2


def anything(random: np.random.Generator) -> dict[str, Value]:
    """Every input somewhere in its range, of the first unit of it."""
    values: dict[str, Value] = {}
    for name in CONSTANT_INPUTS:
        item = INPUTS[name]
        low, high = max(item.low, 0.1) if name.endswith("ior") else item.low, min(item.high, 3.0)
        parts = tuple(random.uniform(low, high, 3).tolist())
        switch = float(random.integers(2))
        values[name] = {"color": parts, "float": parts[0], "switch": switch}[item.kind]
    return values


def test_no_material_reflects_more_light_than_it_gets():
    random = np.random.default_rng(0)
    for _ in range(80):
        values = inputs(**anything(random))
        assert 0.0 <= min(values["base_color"]) and max(values["base_color"]) <= 1.0
        assert all(0.0 <= values.get(name, 0.0) <= 1.0 for name in ("roughness", "metallic", "spec_trans"))
        assert 0.0 <= f0(values["eta"]) < 1.0


def test_colors_are_treated_channel_by_channel():
    random = np.random.default_rng(1)
    for _ in range(50):
        values = anything(random)
        turned = {
            name: (value[1], value[2], value[0]) if isinstance(value, tuple) else value
            for name, value in values.items()
        }
        np.testing.assert_array_equal(color(**turned), np.roll(color(**values), -1))


def test_a_brighter_base_never_makes_a_darker_surface():
    random = np.random.default_rng(2)
    for _ in range(50):
        values = anything(random)
        base = np.array(values["base_color"])
        brighter = tuple((base + random.uniform(0, 1, 3) * (1 - base)).tolist())
        assert (color(**{**values, "base_color": brighter}) >= color(**values) - 1e-12).all()


@pytest.mark.parametrize("metalness", [0.0, 0.4, 1.0])
def test_the_weight_of_the_base_is_a_factor_of_its_color(metalness):
    whole = color(base_color=(0.4, 0.2, 0.1), base_weight=1.0, base_metalness=metalness)
    split = color(base_color=(0.8, 0.4, 0.2), base_weight=0.5, base_metalness=metalness)
    np.testing.assert_allclose(split, whole, rtol=1e-12)


@pytest.mark.parametrize("prefix", ["coat", "fuzz", "transmission", "subsurface", "thin_film"])
def test_a_lobe_without_weight_changes_nothing_whatever_else_it_says(prefix):
    random = np.random.default_rng(3)
    plain = {"base_color": (0.3, 0.5, 0.7), "base_metalness": 0.5, "specular_roughness": 0.4}
    said = {name: value for name, value in anything(random).items() if name.startswith(f"{prefix}_")}
    assert len(said) > 2
    silent = principled(Material("m", {**plain, **said, f"{prefix}_weight": 0.0}))
    assert silent == principled(Material("m", plain))


@pytest.mark.parametrize("base_ior", [1.3, 1.5, 2.4])
def test_reflectance_at_normal_incidence_goes_straight_from_the_base_to_the_coat(base_ior):
    for weight in np.linspace(0.0, 1.0, 6):
        eta = inputs(specular_ior=base_ior, coat_ior=1.8, coat_weight=float(weight))["eta"]
        assert f0(eta) == pytest.approx((1 - weight) * f0(base_ior) + weight * f0(1.8), rel=1e-9)


@pytest.mark.parametrize("weight", [0.3, 0.7])
def test_from_the_inside_a_dielectric_reflects_what_it_does_from_the_outside(weight):
    """An index below 1 is the other side of the same surface: eta of 1/n is 1 / eta of n."""
    for ior in (1.2, 1.5, 2.0):
        outside = inputs(specular_ior=ior, specular_weight=weight)["eta"]
        inside = inputs(specular_ior=1 / ior, specular_weight=weight)["eta"]
        assert inside == pytest.approx(1 / outside, rel=1e-9) and inside < 1 < outside


@pytest.mark.parametrize("ior", [1.3, 1.6, 2.5])
def test_a_coat_darkens_by_the_light_that_goes_back_and_forth_below_it(ior):
    """The sum over all round trips: each passes the base once more and is turned back from inside."""
    base = np.array([0.9, 0.5, 0.05])
    turned_back = 1 - (1 - f0(ior)) / ior**2  # of diffuse light that meets the coat from inside
    series = sum((1 - turned_back) * base ** (k + 1) * turned_back**k for k in range(400))
    seen = color(base_color=tuple(base.tolist()), coat_weight=1.0, coat_ior=ior)
    np.testing.assert_allclose(seen, series, rtol=1e-9)


def test_a_coat_darkens_neither_black_nor_white():
    for extreme in (0.0, 1.0):
        np.testing.assert_allclose(color(base_color=(extreme,) * 3, coat_weight=1.0), extreme, atol=1e-12)


def test_half_a_coat_is_half_way_to_a_whole_one_if_it_does_not_darken():
    base = {"base_color": (0.6, 0.5, 0.2), "coat_color": (0.2, 0.9, 0.5), "coat_darkening": 0.0}
    none, half, whole = (color(**base, coat_weight=weight) for weight in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half, (none + whole) / 2, rtol=1e-12)
    np.testing.assert_allclose(whole, none * np.array(base["coat_color"]), rtol=1e-12)


def test_a_clear_body_shows_nothing_of_its_base_and_a_metal_nothing_of_what_would_pass():
    clear = {"transmission_weight": 1.0, "transmission_color": (0.3, 0.8, 0.9)}
    np.testing.assert_allclose(color(base_color=(1.0, 0.0, 0.0), **clear), clear["transmission_color"])
    np.testing.assert_allclose(color(base_color=(1.0, 0.0, 0.0), **METAL, **clear), (1.0, 0.0, 0.0))


def test_roughness_below_a_coat_adds_in_fourth_powers():
    """Widths of lobes are squares of roughness, and their variances add: twice the coat's, in and out."""
    for base, coat in ((0.2, 0.3), (0.5, 0.1), (0.05, 0.6)):
        seen = inputs(specular_roughness=base, coat_roughness=coat, coat_weight=1.0, **METAL)["roughness"]
        assert seen**4 == pytest.approx(base**4 + 2 * coat**4, rel=1e-9)
    assert inputs(specular_roughness=0.9, coat_roughness=0.9, coat_weight=1.0, **METAL)["roughness"] == 1.0


def test_a_smooth_coat_leaves_the_roughness_of_a_metal_as_it_is():
    for weight in (0.0, 0.5, 1.0):
        seen = inputs(specular_roughness=0.37, coat_roughness=0.0, coat_weight=weight, **METAL)["roughness"]
        assert seen == pytest.approx(0.37, rel=1e-12)


def test_a_rougher_coat_is_less_glossy_until_the_plug_in_knows_no_wider_lobe():
    glosses = [
        inputs(coat_weight=1.0, coat_roughness=float(rough), **METAL).get("clearcoat_gloss", 0.0)
        for rough in np.linspace(0, 1, 21)
    ]
    assert glosses == sorted(glosses, reverse=True)
    assert glosses[0] == 1.0 and glosses[-1] == 0.0


# --- layers over the surface ---


def layered(amount: float, towards: dict[str, Value], **base: Value) -> Material:
    return Material("m", base, (Layer("patches", amount, 0.1, 7, towards),))


BASE: dict[str, Value] = {"base_color": (0.2, 0.4, 0.6), "specular_roughness": 0.3, "base_metalness": 0.9}
TARGET: dict[str, Value] = {
    "base_color": (0.7, 0.1, 0.05),
    "specular_roughness": 0.8,
    "base_metalness": 0.1,
    "coat_weight": 0.6,
}


def test_a_layer_that_covers_all_is_the_material_that_it_leads_to():
    whole = layered(1.0, TARGET, **BASE)
    found = varying_inputs(whole, POINTS)
    wanted = principled(replace(whole, parameters={**BASE, **TARGET}, layers=()))
    assert set(found) == set(principled(whole).varying)
    for name, values in found.items():
        value = np.broadcast_to(wanted.values.get(name, 0.0), values.shape)
        np.testing.assert_allclose(values, value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_layer_of_no_amount_is_not_there():
    none = layered(0.0, TARGET, **BASE)
    assert principled(none) == principled(replace(none, layers=()))
    assert varying_inputs(none, POINTS) == {}


def test_a_layer_that_leads_to_where_the_base_is_changes_no_point():
    still = layered(0.5, BASE, **BASE)
    constants = principled(replace(still, layers=())).values
    for name, values in varying_inputs(still, POINTS).items():
        value = np.broadcast_to(constants.get(name, 0.0), values.shape)
        np.testing.assert_allclose(values, value, rtol=1e-6, atol=1e-7, err_msg=name)


def test_points_do_not_know_of_each_other():
    half = layered(0.5, TARGET, **BASE)
    whole, part = varying_inputs(half, POINTS), varying_inputs(half, POINTS[50:60])
    for name, values in whole.items():
        np.testing.assert_array_equal(values[50:60], part[name])
        assert len(np.unique(values)) > 10, "and they differ"
