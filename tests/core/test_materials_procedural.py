"""Patterns are pure functions of point and seed, in range, and as large as they say."""

import numpy as np
import pytest

from neuron_core.geometry.surroundings import Surroundings
from neuron_core.materials import Layer, Material, MaterialError, builtin_materials, evaluate, procedural
from neuron_core.materials.openpbr import INPUTS
from neuron_core.materials.procedural import varying_parameters
from neuron_core.materials.record import KINDS
from tests.core.material_samples import layer_mask

BUILTIN = list(builtin_materials().values())
NAMES = [material.name for material in BUILTIN]


def points(count: int = 3000, size: float = 0.5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-size, size, (count, 3)).astype(np.float32)


def sharp(count: int) -> Surroundings:
    """Half closed, fairly sharp, facing up and to the side."""
    half = np.full(count, 0.3, np.float32)
    return Surroundings(half, half * 0.5, np.tile(np.array([[0.6, 0.7, 0.3]], np.float32), (count, 1)))


def layer(kind: str, seed: int = 3, amount: float = 0.6, scale: float = 0.1) -> Layer:
    return Layer(kind, amount, scale, seed, {"specular_roughness": 1.0})


@pytest.mark.parametrize("material", BUILTIN, ids=NAMES)
def test_values_do_not_depend_on_chunks_or_on_the_company_of_a_point(material, monkeypatch):
    whole = evaluate(material, points(400))
    monkeypatch.setattr(procedural, "CHUNK", 33)
    for name, values in evaluate(material, points(400)).items():
        np.testing.assert_array_equal(values, whole[name])
    for name, values in evaluate(material, points(400)[100:101]).items():
        np.testing.assert_array_equal(values[0], whole[name][100])


@pytest.mark.parametrize("material", BUILTIN, ids=NAMES)
def test_a_builtin_varies_and_stays_in_range(material):
    values = evaluate(material, points())
    assert tuple(values) == varying_parameters(material) != ()
    for name, array in values.items():
        assert array.dtype == np.float32
        assert array.shape == ((3000, 3) if INPUTS[name].kind == "color" else (3000,))
        assert np.isfinite(array).all()
        assert array.min() >= INPUTS[name].low and array.max() <= INPUTS[name].high
        assert array.std() > 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_other_seeds_give_unrelated_patterns(kind):
    one, other = (layer_mask(layer(kind, seed), points(20_000), sharp(20_000)) for seed in (3, 4))
    if kind == "rings":  # rings share their center, not their waver
        assert np.abs(one - other).mean() > 0.1
    else:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_amount_zero_shows_nothing_and_masks_stay_between_zero_and_one(kind):
    assert varying_parameters(Material("still", {}, (layer(kind, amount=0.0),))) == ()
    mask = layer_mask(layer(kind, amount=1.0), points())
    assert mask.min() >= 0.0 and mask.max() <= 1.0
    assert mask.max() > 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_more_amount_never_shows_less(kind):
    masks = [layer_mask(layer(kind, amount=amount), points()) for amount in (1e-6, 0.2, 0.5, 0.8, 1.0)]
    for less, more in zip(masks, masks[1:], strict=False):
        assert (more >= less).all()


@pytest.mark.parametrize("amount", [0.15, 0.3, 0.5, 0.75])
def test_patches_cover_the_share_of_space_that_they_say(amount):
    mask = layer_mask(layer("patches", amount=amount, scale=0.05), points(50_000, size=2.0))
    assert mask.mean() == pytest.approx(amount, abs=0.07)


@pytest.mark.parametrize("kind", ["noise", "patches", "streaks", "rings"])
def test_scaling_points_and_features_together_changes_nothing(kind):
    small = layer_mask(layer(kind, scale=0.125), points())
    large = layer_mask(layer(kind, scale=0.5), points() * 4)
    np.testing.assert_allclose(small, large, atol=1e-5)


@pytest.mark.parametrize("kind", ["noise", "streaks", "rings", "patches"])
def test_patterns_are_continuous(kind):
    start = points()
    step = np.float32([1e-5, -1e-5, 1e-5])
    change = np.abs(layer_mask(layer(kind), start + step) - layer_mask(layer(kind), start))
    assert change.max() < 0.02


def test_a_table_of_nodes_and_hashing_each_corner_agree_bit_by_bit(monkeypatch):
    columns = np.ascontiguousarray(points().T) * 20
    with_table = procedural._lattice_noise(columns, 9)
    monkeypatch.setattr(procedural, "SMALL_LATTICE", -(10**9))
    np.testing.assert_array_equal(procedural._lattice_noise(columns, 9), with_table)


def test_hashes_are_uniform_and_neighbors_unrelated():
    axis = np.arange(-20, 20, dtype=np.int32)
    nodes = np.stack(np.meshgrid(axis, axis, axis)).reshape(3, -1)
    values = procedural._hash(nodes, 1)
    assert values.min() >= 0.0 and values.max() < 1.0
    counts, _ = np.histogram(values, 16, (0.0, 1.0))
    assert np.abs(counts / len(values) - 1 / 16).max() < 0.005
    for step in np.eye(3, dtype=np.int32):
        beside = procedural._hash(nodes + step[:, None], 1)
        assert abs(np.corrcoef(values, beside)[0, 1]) < 0.02


PINNED = {
    "noise": [0.273508, 0.1670121, 0.1483079, 0.1047356],
    "streaks": [0.2629184, 0.0964562, 0.1054015, 0.2651282],
    "rings": [0.3662489, 0.454199, 0.2518132, 0.4090073],
    "patches": [0.500838, 0.5118847, 0.6651699, 0.8355806],
    "flakes": [0.1460547, 0.0933574, 0.3592068, 0.1451556],
}


def test_pinned_values_are_the_same_on_every_platform():
    at = np.float32([[0.44, 0.32, -0.5], [-0.2, -0.08, -0.47], [0.19, -0.11, -0.36], [0.08, -0.2, 0.17]])
    for kind, expected in PINNED.items():
        found = layer_mask(Layer(kind, 0.5, 0.1, 3, {}, softness=1.0), at)
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_rust_takes_the_metal_away_and_roughens():
    values = evaluate(builtin_materials()["rusted-iron"], points(20_000))
    metal, rough = values["base_metalness"], values["specular_roughness"]
    assert (metal < 0.05).mean() > 0.25 and (metal > 0.95).mean() > 0.25
    assert np.corrcoef(metal, rough)[0, 1] < -0.8


def test_streaks_run_around_the_axis():
    angles = np.linspace(0, 2 * np.pi, 400, dtype=np.float32)
    ring = np.stack([0.4 * np.cos(angles), np.full_like(angles, 0.1), 0.4 * np.sin(angles)], 1)
    pole = np.stack([np.full_like(angles, 0.4), angles / 2.5 - 1.25, np.zeros_like(angles)], 1)
    lines = layer("streaks", scale=0.03, amount=1.0)
    around, along = (np.abs(np.diff(layer_mask(lines, path))).mean() for path in (ring, pole))
    assert around < 0.5 * along


def test_a_material_without_layers_varies_nowhere():
    assert evaluate(Material("plain"), points()) == {}


def test_no_points_give_empty_arrays():
    values = evaluate(BUILTIN[0], np.empty((0, 3), np.float32))
    assert {array.shape[0] for array in values.values()} == {0}


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e9])
def test_points_without_a_place_are_refused(bad):
    with pytest.raises(MaterialError, match="finite"):
        evaluate(BUILTIN[0], np.array([[0.0, bad, 0.0]], np.float32))


# ---- what follows the shape


def test_edges_cavities_and_dust_grow_with_what_they_follow():
    low, high = np.zeros(4000, np.float32), np.full(4000, 0.5, np.float32)
    flat, up = np.zeros((4000, 3), np.float32), np.tile(np.array([[0.0, 1.0, 0.0]], np.float32), (4000, 1))
    plain = Surroundings(low, low, flat)
    for kind, driven in (
        ("edges", Surroundings(low, high, flat)),
        ("cavities", Surroundings(high, low, flat)),
        ("settled", Surroundings(low, low, up)),
    ):
        before = layer_mask(layer(kind), points(4000), plain)
        after = layer_mask(layer(kind), points(4000), driven)
        assert (after >= before).all() and after.mean() > before.mean() + 0.4, kind
        assert layer_mask(layer(kind), points(4000)).tolist() == before.tolist()


def test_more_of_a_layer_never_shows_less():
    for kind in KINDS:
        masks = [layer_mask(layer(kind, amount=a), points(2000), sharp(2000)) for a in (0.2, 0.5, 0.9)]
        assert (masks[1] >= masks[0] - 1e-6).all() and (masks[2] >= masks[1] - 1e-6).all(), kind


def test_layers_of_one_material_are_unrelated():
    material = builtin_materials()["rusted-iron"]
    masks = [layer_mask(item, points(20_000)) for item in material.layers]
    for index, mask in enumerate(masks):
        assert all(abs(np.corrcoef(mask, other)[0, 1]) < 0.1 for other in masks[:index])


def test_shape_is_read_in_chunks_as_in_whole(monkeypatch):
    material = Material("m", {}, (layer("edges"), layer("cavities", 5), layer("weave", 6)))
    random = np.random.default_rng(0)
    around = Surroundings(
        *random.random((2, 300)).astype(np.float32), random.uniform(-1, 1, (300, 3)).astype(np.float32)
    )
    whole = evaluate(material, points(300), around)["specular_roughness"]
    monkeypatch.setattr(procedural, "CHUNK", 41)
    np.testing.assert_array_equal(evaluate(material, points(300), around)["specular_roughness"], whole)
