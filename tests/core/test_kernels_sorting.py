"""Pairs of splats and tiles: against numpy's sort, and the picture that their order makes."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.cameras.camera import project as seen_at
from neuron_core.kernels.splats import sorting
from neuron_core.kernels.splats.projection import TILE, Lens, project_shapes
from neuron_core.kernels.splats.raster import rasterize
from neuron_core.kernels.splats.sorting import PairsError, Projected, project
from tests.core.splat_samples import camera, lens_of, random_harmonics, random_shapes

N = 300


def projected(lens: Lens, count: int = N, seed: int = 0) -> Projected:
    return project(lens, random_shapes(count, seed), random_harmonics(count, 1, seed))


def tiles_under(lens: Lens, ellipse: np.void) -> set[int]:
    """The tiles that meet the box of an ellipse, one by one."""
    columns, rows = lens.tiles
    low = ellipse["center"] - [ellipse["half_width"], ellipse["half_height"]]
    high = ellipse["center"] + [ellipse["half_width"], ellipse["half_height"]]
    return {
        row * columns + column
        for row in range(rows)
        for column in range(columns)
        if TILE * column < high[0]
        and TILE * (column + 1) > low[0]
        and TILE * row < high[1]
        and TILE * (row + 1) > low[1]
    }


def of_tile(found: Projected, tile: int) -> np.ndarray:
    """The splats of a tile in their order."""
    order, ends = found.order.numpy(), found.ends.numpy()
    return found.splats.numpy()[order[ends[tile] : ends[tile + 1]]]


@pytest.mark.parametrize("size", [(21, 18), (64, 40), (5, 5)])
def test_each_tile_has_the_splats_whose_box_it_meets_once_and_from_front_to_back(size):
    lens = lens_of(camera(*size))
    found = projected(lens)
    ellipses, firsts = found.ellipses.numpy(), found.firsts.numpy()
    shown = np.flatnonzero(np.diff(firsts))
    under = {int(n): tiles_under(lens, ellipses[n]) for n in shown}
    assert len(shown) > 0.4 * N
    for tile in range(lens.tiles[0] * lens.tiles[1]):
        members = np.array([n for n in under if tile in under[n]], int)
        listed = of_tile(found, tile)
        np.testing.assert_array_equal(np.sort(listed), members)
        steps = (lens.far - lens.near) / (1 << 21)  # depths are sorted by so many
        assert (np.diff(ellipses["depth"][listed]) > -steps).all()


def test_pairs_are_a_permutation_and_each_has_a_place_between_the_ends_of_its_tile():
    lens = lens_of(camera(64, 40))
    found = projected(lens)
    order, ends = found.order.numpy(), found.ends.numpy()
    np.testing.assert_array_equal(np.sort(order), np.arange(found.pairs))
    assert ends[0] == 0 and ends[-1] == found.pairs and (np.diff(ends) >= 0).all()
    owners = np.repeat(np.arange(N), np.diff(found.firsts.numpy()))
    np.testing.assert_array_equal(found.splats.numpy(), owners)


def test_the_order_is_that_of_numpys_sort_by_tile_then_depth_then_pair():
    lens = lens_of(camera(64, 40))
    found = projected(lens)
    ellipses, splats, firsts = found.ellipses.numpy(), found.splats.numpy(), found.firsts.numpy()
    tiles = np.concatenate([sorted(tiles_under(lens, ellipses[n])) for n in np.flatnonzero(np.diff(firsts))])
    part = (ellipses["depth"][splats] - np.float32(lens.near)) / np.float32(lens.far - lens.near)
    steps = (np.clip(part, 0, 1) * np.float32((1 << 21) - 1)).astype(np.int64)
    expected = np.lexsort((np.arange(found.pairs), steps, tiles))
    same = found.order.numpy() == expected
    assert same.mean() > 0.99  # but for depths that round to either side of a step
    np.testing.assert_array_equal(
        found.ends.numpy(), np.searchsorted(tiles[expected], np.arange(len(found.ends.numpy())))
    )


def test_splats_at_one_depth_keep_the_order_in_which_they_are_given():
    lens = lens_of(camera(64, 40))
    shapes = np.repeat(random_shapes(1), 50, axis=0)
    shapes[:, :3], shapes[:, 10] = 0.0, 2.0
    found = project(lens, shapes, random_harmonics(50, 1))
    for tile in np.flatnonzero(np.diff(found.ends.numpy())):
        assert of_tile(found, int(tile)).tolist() == list(range(50))


def test_what_lies_beyond_far_comes_last_and_is_drawn_all_the_same():
    lens = lens_of(camera(64, 40))
    ahead = lens.camera_from_world[2]
    shapes = np.repeat(random_shapes(1), 3, axis=0)
    shapes[:, 3:6], shapes[:, 10] = np.log(0.5), 3.0
    shapes[:, :3] = lens.eye + np.array([3.0, 0.9, 0.6])[:, None] * lens.far * ahead
    found = project(lens, shapes, random_harmonics(3, 1))
    middle = lens.tiles[0] * (lens.tiles[1] // 2) + lens.tiles[0] // 2
    assert of_tile(found, middle).tolist() == [2, 1, 0]


def test_tiles_that_a_picture_lacks_change_no_pixel_of_the_others():
    view = camera(48, 40)
    whole = lens_of(view)
    part = replace(whole, width=32, height=24)
    shapes, harmonics = random_shapes(N), random_harmonics(N, 4)
    x, y, _ = seen_at(view, shapes[:, :3].astype(float))
    inside = (x > 0) & (x < part.width) & (y > 0) & (y < part.height)  # shapes are exact there in both
    pictures = []
    for lens in (whole, part):
        picture = np.empty((lens.height, lens.width, 4), np.float32)
        rasterize(project(lens, shapes[inside], harmonics[inside]), picture)
        pictures.append(picture)
    assert inside.sum() > 50 and pictures[1].max() > 0.5
    np.testing.assert_array_equal(pictures[0][: part.height, : part.width], pictures[1])


def test_counts_of_tiles_are_summed_before_each_splat():
    lens = lens_of(camera(64, 40))
    shapes, harmonics = random_shapes(N), random_harmonics(N, 1)
    _, touched = project_shapes(lens, shapes, harmonics)
    counts = touched.numpy()
    found = project(lens, shapes, harmonics)
    np.testing.assert_array_equal(found.firsts.numpy(), np.concatenate([[0], np.cumsum(counts[:-1])]))
    assert found.pairs == counts.sum()


def test_nothing_in_sight_has_no_pairs_and_no_tile_begins():
    lens = lens_of(camera(64, 40))
    for count in (0, 5):
        shapes = random_shapes(count)
        shapes[:, :3] = 2.0 * lens.eye
        found = project(lens, shapes, random_harmonics(count, 1))
        assert found.pairs == 0 and not found.ends.numpy().any()


def test_more_pairs_than_can_be_sorted_are_refused_by_their_number(monkeypatch):
    lens = lens_of(camera(64, 40))
    pairs = projected(lens).pairs
    monkeypatch.setattr(sorting, "MAX_PAIRS", pairs)
    assert projected(lens).pairs == pairs
    monkeypatch.setattr(sorting, "MAX_PAIRS", pairs - 1)
    with pytest.raises(PairsError, match=f"touch {pairs} tiles"):
        projected(lens)
