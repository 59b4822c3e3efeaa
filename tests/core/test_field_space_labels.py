"""Which cells of the cube cameras see through, which hold the surface, and which are inside.

The ball of the samples, whose every ray is a formula, in cells of 0.05 meters.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuron_core.datasets.reader import open_dataset
from neuron_core.models.field.surface_data import FREE, INSIDE, NEAR, label_space, read_surface
from tests.core.training_samples import COLORS, RADIUS, write_rendered

CPU = torch.device("cpu")
CELLS, HALF = 20, 0.5
CELL = 2 * HALF / CELLS


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(write_rendered(tmp_path_factory.mktemp("ball"), size=(80, 64)))


@pytest.fixture(scope="module")
def pool(dataset):
    return read_surface(dataset, list(COLORS), CPU)


@pytest.fixture(scope="module")
def centers():
    axis = (np.arange(CELLS) + 0.5) * CELL - HALF
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


@pytest.fixture(scope="module")
def seen_through(dataset, pool):
    """The cells that cameras see through, or that are outside the box, even where the surface is near."""
    columns = ("points", "normals", "rays_d", "shapes")
    nowhere = replace(pool, **{name: getattr(pool, name)[:0] for name in columns})
    return label_space(dataset, nowhere, torch.zeros(3), HALF, CELLS).labels.numpy() == FREE


def test_no_cell_inside_the_ball_is_seen_through(seen_through, centers):
    pixel = 2.0 / 80 * 36 / 60  # meters at the ball: pictures do not know better at its edge
    distances = np.linalg.norm(centers, axis=-1)
    assert not (seen_through & (distances < RADIUS - pixel)).any()


def test_every_cell_that_a_ray_passes_clear_of_the_ball_is_seen_through(dataset, seen_through, centers):
    for name in dataset.splits["train"]:
        camera = dataset.cameras[name]
        local = (centers - camera.position) @ camera.c2w[:3, :3]
        depth = -local[..., 2]
        right, down = camera.fl_x * local[..., 0] / depth, -camera.fl_y * local[..., 1] / depth
        shown = (abs(right) < camera.width / 2 - 1) & (abs(down) < camera.height / 2 - 1)
        ways = (centers - camera.position) / np.linalg.norm(centers - camera.position, axis=-1, keepdims=True)
        along = -(ways @ camera.position)
        aside = np.linalg.norm(camera.position + along[..., None] * ways, axis=-1)
        before = np.linalg.norm(centers - camera.position, axis=-1) < along - RADIUS - 1.5 * CELL
        clear = shown & ((aside > 1.1 * RADIUS) | before)
        assert clear.any() and seen_through[clear].all()


def test_cells_outside_the_box_are_free_where_no_camera_looks(dataset, pool, centers):
    labels = label_space(dataset, pool, torch.zeros(3), HALF, CELLS).labels.numpy()
    below = centers[..., 1] < -RADIUS - CELL
    assert below.any() and (labels[below] == FREE).all()


def test_cells_with_points_of_the_surface_and_their_neighbors_are_near(dataset, pool, centers):
    labels = label_space(dataset, pool, torch.zeros(3), HALF, CELLS).labels.numpy()
    points = pool.points.numpy()
    gaps = np.abs(centers[..., None, :] - points[:: max(1, len(points) // 500)]).max(axis=-1).min(axis=-1)
    assert (labels[gaps < 1.5 * CELL] == NEAR).all()
    distances = np.linalg.norm(centers, axis=-1)
    assert (labels[distances < RADIUS - 3 * CELL] == INSIDE).all()
