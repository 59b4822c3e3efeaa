"""What training reads of datasets whose materials were seen from different cameras."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neuron_core.datasets.contract import View, has_picture, read_gbuffer, read_picture
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.learning.objective import Step
from neuron_core.models.field import presets
from neuron_core.models.field.appearance_objective import AppearanceObjective
from neuron_core.models.field.family import encode_paraphrases
from neuron_core.models.field.frame_data import read_frames
from neuron_core.models.field.model import Field, Structure
from neuron_core.models.field.preview import Preview
from neuron_core.models.field.surface_data import read_surface
from neuron_core.models.field.surface_hits import surface_hits
from neuron_core.prompts import load_encoder
from neuron_core.tasks.dataset.run import run as render_dataset

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    config = DatasetConfig(
        tmp_path_factory.mktemp("t") / "dataset", materials="gold-polished,oak-wood-polished,copper-brushed",
        views=2, view_sets=2, val_views=0, test_views=0, resolution=24, surface_views=2, spp=1, truth_spp=2,
    )  # fmt: skip
    render_dataset(config, Silent())
    return open_dataset(config.out)


@pytest.fixture(scope="module")
def names(dataset):
    return [entry.name for entry in dataset.materials]


@pytest.fixture(scope="module")
def surface(dataset, names):
    return read_surface(dataset, names, CPU)


def test_each_material_is_in_one_view_group(surface, names):
    assert len(surface.groups) == 2
    rows = torch.cat([group.looks for group in surface.groups])
    assert sorted(rows.tolist()) == list(range(len(names)))


def test_colors_are_those_of_the_pixels_that_see_the_points(dataset, surface, names):
    """Every point is found again in a picture of its material, by its ray and its color."""
    for group in surface.groups:
        first = names[group.looks[0]]
        seen = [name for name in dataset.splits["train"] if has_picture(dataset, View(name, first))]
        assert len(seen) == 2 and len(group.smooth) > 50
        for look, colors in zip(group.looks.tolist(), group.colors, strict=True):
            hits = [read_gbuffer(dataset, View(camera)).coverage > 0.5 for camera in seen]
            pictures = [
                read_picture(dataset, View(camera, names[look]))[hit]
                for camera, hit in zip(seen, hits, strict=True)
            ]
            places = [
                read_gbuffer(dataset, View(camera)).position[hit]
                for camera, hit in zip(seen, hits, strict=True)
            ]
            points = torch.from_numpy(np.concatenate(places))
            gaps = torch.cdist(surface.points[group.smooth].double(), points.double())
            nearest = gaps.argmin(dim=1)
            assert gaps.min(dim=1).values.max() == 0.0
            rgba = torch.from_numpy(np.concatenate(pictures))
            # Two cameras may see one place: the color is of one of the pixels that do.
            torch.testing.assert_close(colors[0], rgba[nearest[0], :3])
            assert (colors == rgba[nearest, :3]).all(dim=1).float().mean() > 0.99


def test_a_step_teaches_what_was_seen_together_and_all_get_their_turn(dataset, surface, names):
    torch.manual_seed(0)
    encoder = load_encoder()
    field = Field(presets.surface_spec("cpu-demo", dataset.aabb, encoder.width))
    prompts = encode_paraphrases(encoder, dataset.materials)
    objective = AppearanceObjective(field, surface, prompts, 64, 0, 8)
    taught = set()
    for index in range(12):
        step = Step(index, 0.0, 0, "appearance")
        drawn = objective.draw(step, step.generator("appearance", CPU))
        taught.add(frozenset(drawn.supervision.looks[drawn.chosen].tolist()))
    assert taught == {frozenset(group.looks.tolist()) for group in surface.groups}


def test_previews_show_what_their_camera_saw(dataset, names, tmp_path):
    encoder = load_encoder()
    field = Field(presets.surface_spec("cpu-demo", dataset.aabb, encoder.width))
    shown = Preview(
        dataset, field, dataset.materials, encode_paraphrases(encoder, dataset.materials)[:, 0], tmp_path
    )
    (view,) = shown.views
    pictures = shown.pictures(view)
    assert 1 <= len(pictures) < len(names)
    assert set(pictures) == {name for name in names if has_picture(dataset, View(view, name))}
    assert np.isfinite(shown.measure()["psnr"])


def test_frames_ask_for_pictures_from_all_cameras(dataset, names):
    with pytest.raises(NeuronError, match="from some of its training cameras only"):
        read_frames(dataset, names, CPU)


class _Ball(torch.nn.Module):
    """A geometry branch that knows a ball of a quarter of the cube's side by heart."""

    def forward(self, units):
        away = units - 0.5
        distances = away.norm(dim=-1)
        normals = away / distances.clamp_min(1e-6)[:, None]
        return Structure(distances - 0.25, normals, torch.zeros(len(units), 8))


def test_colors_are_learned_where_a_picture_will_ask_for_them():
    field = Field(presets.surface_spec("cpu-demo", np.array([[-0.5] * 3, [0.5] * 3]), 8))
    field.geometry = _Ball()  # type: ignore[assignment]
    side = 2 * field.spec.half_side
    ramp = field.spec.ramp * side
    random = torch.Generator().manual_seed(0)
    outward = F.normalize(torch.randn(400, 3, generator=random), dim=-1)
    rays_d = F.normalize(torch.randn(400, 3, generator=random) - 2.0 * outward, dim=-1)
    facing = -(rays_d * outward).sum(-1) > 0.3
    outward, rays_d = outward[facing], rays_d[facing]
    points = field.center + 0.25 * side * outward
    hits = surface_hits(field, points, rays_d)
    aside = (hits - points) - ((hits - points) * rays_d).sum(-1, keepdim=True) * rays_d
    assert aside.norm(dim=-1).max() < 1e-4 * side
    assert ((hits - field.center).norm(dim=-1) - 0.25 * side).abs().max() < 0.3 * ramp
    stray = points + 20 * ramp * outward
    torch.testing.assert_close(surface_hits(field, stray, outward), stray)
