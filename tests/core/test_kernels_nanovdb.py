"""NanoVDB grids in memory hold what a dense array does, and where it lies."""

import numpy as np
import pytest
import warp as wp

from neuron_core.kernels.grids.nanovdb import grid_bytes
from tests.core.nanovdb_samples import corners_of, leaves_of, values_at

AT_ORIGIN = (0.0, 0.0, 0.0)
SIDE = 24  # of the dense array, which begins at -SIDE // 2
EVERYWHERE = np.argwhere(np.ones((SIDE,) * 3)) - SIDE // 2


def scattered(channels: int = 1, share: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels [V, 3] around the origin, their values, and these in a dense array with zeros elsewhere."""
    random = np.random.default_rng(channels)
    voxels = EVERYWHERE[random.random(len(EVERYWHERE)) < share]
    values = random.uniform(-2, 2, (len(voxels), channels)).astype(np.float32)
    dense = np.zeros((*(SIDE,) * 3, channels), np.float32)
    dense[tuple((voxels + SIDE // 2).T)] = values
    return voxels, values[:, 0] if channels == 1 else values, dense.reshape(len(EVERYWHERE), channels)


def opened(grid: np.ndarray) -> wp.Volume:
    return wp.Volume(wp.array(grid.view(np.int8), dtype=wp.int8, device="cpu"))


def test_scalars_equal_a_dense_array_everywhere() -> None:
    voxels, values, dense = scattered()
    grid = grid_bytes(voxels, values, 0.1, AT_ORIGIN)
    np.testing.assert_array_equal(values_at(grid, EVERYWHERE), dense[:, 0])


def test_vectors_equal_a_dense_array_everywhere() -> None:
    voxels, values, dense = scattered(channels=3)
    grid = grid_bytes(voxels, values, 0.1, AT_ORIGIN)
    np.testing.assert_array_equal(values_at(grid, EVERYWHERE, channels=3), dense)


def test_a_channel_of_vectors_is_the_grid_of_its_scalars() -> None:
    voxels, values, _ = scattered(channels=3)
    together = values_at(grid_bytes(voxels, values, 0.1, AT_ORIGIN), EVERYWHERE, channels=3)
    for channel in range(3):
        alone = grid_bytes(voxels, np.ascontiguousarray(values[:, channel]), 0.1, AT_ORIGIN)
        np.testing.assert_array_equal(values_at(alone, EVERYWHERE), together[:, channel])


def test_the_order_of_the_voxels_changes_no_value() -> None:
    voxels, values, dense = scattered()
    order = np.random.default_rng(3).permutation(len(voxels))
    grid = grid_bytes(voxels[order], values[order], 0.1, AT_ORIGIN)
    np.testing.assert_array_equal(values_at(grid, EVERYWHERE), dense[:, 0])


@pytest.mark.parametrize("offset", [(8, -16, 24), (5, -3, 1), (1000, -1000, 100_000)])
def test_moved_voxels_hold_the_same_values_there(offset: tuple[int, int, int]) -> None:
    voxels, values, dense = scattered()
    grid = grid_bytes(voxels + offset, values, 0.1, AT_ORIGIN)
    np.testing.assert_array_equal(values_at(grid, EVERYWHERE + offset), dense[:, 0])


@pytest.mark.parametrize("corner", [(0, 0, 0), (-8, -8, -8), (-1, 7, 8)])
def test_a_single_voxel_makes_a_single_leaf(corner: tuple[int, int, int]) -> None:
    grid = grid_bytes(np.array([corner]), np.array([3.5], np.float32), 0.1, AT_ORIGIN)
    around = np.argwhere(np.ones((3, 3, 3))) - 1 + corner
    found = values_at(grid, around)
    np.testing.assert_array_equal(found, np.where((around == corner).all(axis=1), 3.5, 0))
    leaves = leaves_of(grid, 1)
    np.testing.assert_array_equal(corners_of(leaves), [np.array(corner) // 8 * 8])
    assert (leaves.active == 255).all()  # the whole leaf


def test_leaves_are_those_of_the_voxels_and_grow_with_their_number_only() -> None:
    voxels, values, _ = scattered(share=0.01)
    tiles = corners_of(leaves_of(grid_bytes(voxels, values, 0.1, AT_ORIGIN), 1))
    expected = {tuple(tile) for tile in (voxels // 8 * 8).tolist()}
    assert {tuple(tile) for tile in tiles.tolist()} == expected and len(tiles) == len(expected)
    whole = np.argwhere(np.ones((8, 8, 8)))
    one, all_of_it = (
        grid_bytes(some, np.ones(len(some), np.float32), 0.1, AT_ORIGIN) for some in (whole[:1], whole)
    )
    assert len(one) == len(all_of_it)


def test_size_and_place_of_voxels_are_kept() -> None:
    voxels, values, _ = scattered()
    about = opened(grid_bytes(voxels, values, 0.25, (1.0, -2.0, 0.5))).get_grid_info()
    np.testing.assert_allclose(list(about.translation), (1.0, -2.0, 0.5))
    np.testing.assert_allclose(np.array(about.transform_matrix).reshape(3, 3), 0.25 * np.eye(3))


def test_extreme_values_come_back_as_they_are() -> None:
    values = np.array([0.0, 1e-38, -3e38, 1e-45, 65504.5], np.float32)
    voxels = np.array([[0, 0, 0], [1, 0, 0], [0, 40, 0], [0, 0, -40], [7, 7, 7]])
    np.testing.assert_array_equal(values_at(grid_bytes(voxels, values, 1.0, AT_ORIGIN), voxels), values)


def test_the_same_voxels_make_the_same_bytes() -> None:
    voxels, values, _ = scattered()
    one, other = (grid_bytes(voxels, values, 0.1, (1.0, 2.0, 3.0)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.dtype == np.uint8 and one[:7].tobytes() == b"NanoVDB"
