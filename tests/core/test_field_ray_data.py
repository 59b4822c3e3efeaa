"""What training reads from photographs: the rays and colors of their pixels, each once."""

import json

import numpy as np
import pytest
import torch

from neuron_core.cameras.camera import pixel_centers, rays
from neuron_core.datasets.contract import View
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.errors import NeuronError
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import decode_image
from neuron_core.models.field.ray_data import read_rays
from tests.core.foreign_scenes import intrinsics, matrix, scene_cameras
from tests.core.training_samples import cameras, write_photographs

CPU = torch.device("cpu")


def distort(folder, **lens: float) -> None:
    path = folder / "transforms.json"
    content = json.loads(path.read_text())
    for index, frame in enumerate(content["frames"]):
        frame.update({name: value * (1 + index % 2) for name, value in lens.items()})
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("lens", [{}, {"k1": 0.06, "k2": -0.08, "p1": -0.001, "p2": 0.002}])
def test_rays_and_colors_are_those_of_the_pixels(tmp_path, lens):
    folder = write_photographs(tmp_path)
    distort(folder, **lens)
    dataset = open_dataset(folder)
    pool = read_rays(dataset, "train", CPU)
    batch = pool.batch(torch.arange(len(pool)))
    rays_o, rays_d, colors = [], [], []
    for name in dataset.splits["train"]:
        camera = dataset.cameras[name]
        origins, directions = rays(camera, *pixel_centers(camera))
        rays_o.append(origins.reshape(-1, 3))
        rays_d.append(directions.reshape(-1, 3))
        colors.append(decode_image(folder / "images" / f"{name}.png").reshape(-1, 3))
    np.testing.assert_allclose(batch.rays_o.numpy(), np.concatenate(rays_o), atol=1e-6)
    np.testing.assert_allclose(batch.rays_d.numpy(), np.concatenate(rays_d), atol=1e-6)
    np.testing.assert_array_equal((batch.colors[:, :3] * 255).numpy().round(), np.concatenate(colors))
    assert (batch.colors[:, 3] == 1).all() and not pool.transparent
    pixels = 20 * 16
    assert torch.equal(batch.views, torch.arange(pool.views).repeat_interleave(pixels))
    assert len(pool.directions) == (2 if lens else 1) * pixels  # each lens once


def test_alpha_is_straight_and_colors_stay_as_they_were_encoded(tmp_path):
    folder = write_photographs(tmp_path, transparent=True)
    dataset = open_dataset(folder)
    pool = read_rays(dataset, "train", CPU)
    first = decode_image(folder / "images" / f"{dataset.splits['train'][0]}.png").reshape(-1, 4)
    opaque = first[:, 3] == 255
    assert pool.transparent and 0 < opaque.sum() < len(first)
    np.testing.assert_array_equal(pool.colors[: len(first)].numpy()[opaque], first[opaque])
    assert not pool.colors[: len(first), 3][~opaque].any()


def test_masked_pixels_are_never_drawn(tmp_path):
    dataset = open_dataset(write_photographs(tmp_path), mask=(3, 2, 7, 9))
    pool = read_rays(dataset, "train", CPU)
    assert len(pool) == pool.views * (20 * 16 - 4 * 7)
    valid = dataset.valid(View(dataset.splits["train"][0]))
    camera = dataset.cameras[dataset.splits["train"][1]]
    expected = rays(camera, *pixel_centers(camera))[1][valid]
    second = pool.batch(torch.arange(len(expected)) + len(expected))
    np.testing.assert_allclose(second.rays_d.numpy(), expected, atol=1e-6)


def test_a_mask_over_everything_is_an_error(tmp_path):
    dataset = open_dataset(write_photographs(tmp_path), mask=(0, 0, 20, 16))
    with pytest.raises(NeuronError, match="no pixels"):
        read_rays(dataset, "train", CPU)


def test_colors_that_are_no_numbers_are_refused(tmp_path):
    taken = scene_cameras(4)
    frames = []
    for index, camera in enumerate(taken):
        pixels = np.full((camera.height, camera.width), 0.5, np.float32)
        broken = np.where(np.arange(camera.width) == 3, np.nan, pixels)
        channels = {"R": broken if index == 2 else pixels, "G": pixels, "B": pixels}
        (tmp_path / "images").mkdir(exist_ok=True)
        write_exr(tmp_path / "images" / f"{camera.name}.exr", channels)
        frames.append({"file_path": f"images/{camera.name}.exr", "transform_matrix": matrix(camera)})
    content = {**intrinsics(taken[0]), "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="not numbers"):
        read_rays(open_dataset(tmp_path), "train", CPU)


def test_a_pixel_costs_four_bytes_beside_its_lens(tmp_path):
    dataset = open_dataset(write_photographs(tmp_path))
    pool = read_rays(dataset, "train", CPU)
    tensors = [pool.colors, pool.starts, pool.positions, pool.rotations, pool.lens_starts, pool.directions]
    pixels = len(cameras(1)) * 20 * 16
    assert sum(tensor.nbytes for tensor in tensors) <= 4 * len(pool) + 12 * pixels + 100 * pool.views
