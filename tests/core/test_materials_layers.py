"""How layers change a material: blends in their order, toward their target, by their mask."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.geometry.surroundings import Surroundings
from neuron_core.materials import Layer, Material, evaluate
from neuron_core.materials.procedural import follows_shape, varying_parameters
from neuron_core.materials.record import KINDS, LARGEST_SEED, MOST_LAYERS, MaterialError, slug

POINTS = np.random.default_rng(5).uniform(-0.5, 0.5, (500, 3)).astype(np.float32)
FLAT = Surroundings.open_and_flat(len(POINTS))
ROUGH = "specular_roughness"


def layer(kind: str = "noise", amount: float = 0.7, **changes: object) -> Layer:
    base = Layer(kind, amount, 0.1, 3, {ROUGH: 0.9})  # type: ignore[arg-type]
    return replace(base, **changes)  # type: ignore[arg-type]


def roughness(*layers: Layer, base: float = 0.2) -> np.ndarray:
    return evaluate(Material("m", {ROUGH: base}, layers), POINTS, FLAT)[ROUGH]


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_leads_from_the_base_to_its_target_and_no_farther(kind: str) -> None:
    values = roughness(layer(kind))
    assert values.min() >= np.float32(0.2) - 1e-6 and values.max() <= np.float32(0.9) + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_the_blend_is_linear_in_the_target(kind: str) -> None:
    """base + mask (target - base): three targets give one mask."""
    near, far, same = (roughness(layer(kind, towards={ROUGH: target})) for target in (0.4, 0.8, 0.2))
    np.testing.assert_allclose((far - 0.2) / 0.6, (near - 0.2) / 0.2, atol=2e-5)
    np.testing.assert_allclose(same, 0.2, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_one_mask_moves_every_input_of_a_layer(kind: str) -> None:
    target = {ROUGH: 1.0, "base_metalness": 1.0, "base_color": (1.0, 0.0, 0.5)}
    values = evaluate(
        Material("m", {ROUGH: 0.0, "base_color": (0.0, 0.0, 0.0)}, (layer(kind, towards=target),)),
        POINTS,
        FLAT,
    )
    np.testing.assert_array_equal(values[ROUGH], values["base_metalness"])
    np.testing.assert_array_equal(values[ROUGH], values["base_color"][:, 0])
    np.testing.assert_array_equal(values["base_color"][:, 1], 0.0)
    np.testing.assert_allclose(values["base_color"][:, 2], 0.5 * values[ROUGH], atol=1e-7)


def test_layers_are_blended_in_their_order() -> None:
    below, above = layer(towards={ROUGH: 0.0}), layer("patches", 1.0, towards={ROUGH: 1.0})
    np.testing.assert_allclose(roughness(below, above), 1.0, atol=1e-6)  # patches of amount 1 cover all
    assert roughness(above, below).min() < 0.9


def test_two_layers_compose_as_their_masks_do() -> None:
    """After both, what is left of the base is the product of what each leaves."""
    one, other = (
        layer("noise", 0.6, towards={ROUGH: 0.0}),
        layer("streaks", 0.5, seed=9, towards={ROUGH: 0.0}),
    )
    alone = [roughness(item, base=1.0) for item in (one, other)]
    np.testing.assert_allclose(roughness(one, other, base=1.0), alone[0] * alone[1], atol=1e-6)


def test_layers_that_show_nothing_change_nothing() -> None:
    plain = Material("m", {ROUGH: 0.2}, (layer(),))
    more = replace(plain, layers=(*plain.layers, layer("rings", 0.0), layer("veins", towards={})))
    for name, values in evaluate(plain, POINTS, FLAT).items():
        np.testing.assert_array_equal(values, evaluate(more, POINTS, FLAT)[name])
    assert varying_parameters(more) == (ROUGH,)


def test_inputs_vary_in_the_order_of_the_standard() -> None:
    layers = (layer(towards={"coat_weight": 1.0}), layer(towards={"base_color": (1.0, 1.0, 1.0)}))
    assert varying_parameters(Material("m", {}, layers)) == ("base_color", "coat_weight")


@pytest.mark.parametrize("kind", KINDS)
def test_only_some_kinds_need_the_shape(kind: str) -> None:
    material = Material("m", {}, (layer(kind),))
    assert follows_shape(material) == (kind in ("edges", "cavities", "settled", "weave"))
    assert not follows_shape(replace(material, layers=(layer(kind, 0.0),)))


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("edges", "cavities", "settled", "weave")]
)
def test_the_shape_changes_no_pattern_that_does_not_follow_it(kind: str) -> None:
    count = len(POINTS)
    normals = np.tile(np.array([[0.0, -1.0, 0.0]], np.float32), (count, 1))
    cave = Surroundings(np.full(count, 0.9, np.float32), np.full(count, 0.4, np.float32), normals)
    material = Material("m", {ROUGH: 0.2}, (layer(kind),))
    np.testing.assert_array_equal(
        evaluate(material, POINTS, cave)[ROUGH], evaluate(material, POINTS, FLAT)[ROUGH]
    )


def test_dust_lies_on_top_and_not_below() -> None:
    count = len(POINTS)
    sides = [np.tile(np.array([[0.0, up, 0.0]], np.float32), (count, 1)) for up in (1.0, -1.0)]
    none = np.zeros(count, np.float32)
    material = Material("m", {ROUGH: 0.2}, (layer("settled", 0.5),))
    top, bottom = (evaluate(material, POINTS, Surroundings(none, none, side))[ROUGH].mean() for side in sides)
    assert top > bottom + 0.2


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": -0.1},
        {"amount": 1.1},
        {"amount": float("nan")},
        {"scale": 0.0},
        {"softness": 0.0},
        {"seed": -1},
        {"seed": LARGEST_SEED + 1},
        {"seed": True},
        {"towards": {"base_colour": 1.0}},
        {"towards": {"geometry_normal": (0.0, 0.0, 1.0)}},
    ],
    ids=str,
)
def test_a_layer_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(MaterialError):
        layer(**changes)  # type: ignore[arg-type]


def test_a_material_has_so_many_layers_and_not_one_more() -> None:
    Material("m", {}, (layer(),) * MOST_LAYERS)
    with pytest.raises(MaterialError, match=str(MOST_LAYERS)):
        Material("m", {}, (layer(),) * (MOST_LAYERS + 1))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Brushed Copper", "brushed-copper"),
        ("  __42 (old)  ", "42-old"),
        ("Ölfarbe", "lfarbe"),
        ("---", ""),
        ("a" * 100, "a" * 80),
        ("a" * 79 + " b", "a" * 79),
    ],
)
def test_a_name_is_made_of_letters_digits_and_single_hyphens(text: str, name: str) -> None:
    assert slug(text) == name
    if name:
        assert Material(slug(text)).name == name
