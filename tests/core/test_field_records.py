"""What a field learns from records of materials that nobody rendered."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.progress import Silent
from neuron_core.geometry.surroundings import Surroundings
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.learning.objective import Step
from neuron_core.materials.grammar import combinations, find, material_of
from neuron_core.materials.principled import principled
from neuron_core.models.field import presets
from neuron_core.models.field import unrendered_records as module
from neuron_core.models.field.appearance_objective import AppearanceObjective
from neuron_core.models.field.family import encode_paraphrases
from neuron_core.models.field.losses import log_curve
from neuron_core.models.field.model import Field
from neuron_core.models.field.surface_data import read_surface
from neuron_core.models.field.unrendered_records import NEUTRAL, quantities, read_unrendered, unrendered_looks
from neuron_core.prompts import load_encoder
from neuron_core.tasks.dataset.run import run as render_dataset

CPU = torch.device("cpu")


class Hears(Silent):
    """Keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    config = DatasetConfig(
        tmp_path_factory.mktemp("described") / "dataset", materials="builtin:3+2@1", views=2, val_views=0,
        test_views=1, resolution=24, surface_views=2, spp=1, truth_spp=2,
    )  # fmt: skip
    render_dataset(config, Silent())
    return open_dataset(config.out)


@pytest.fixture(scope="module")
def surface(dataset):
    return read_surface(dataset, [entry.name for entry in dataset.materials if entry.split == "train"], CPU)


@pytest.fixture(scope="module")
def unrendered(dataset, surface):
    """A part of the grammar at some points: all of it takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "combinations", lambda: combinations()[::50])
        patch.setattr(module, "POINTS", 48)
        patch.setattr(module, "NEUTRAL_POINTS", 16)
        found = read_unrendered(dataset, surface, load_encoder(), 0, Silent())
    assert found is not None and found.values.shape[1:] == (64, 8)
    return found


def test_what_a_dataset_holds_out_is_not_learned_from_records(dataset):
    looks = unrendered_looks(dataset)
    words = {(look.base, look.finish, look.condition) for look in looks}
    hidden = [find(entry.name) for entry in dataset.materials if entry.split == "compositional"]
    assert len(hidden) == 2 and len(looks) > 1800
    assert not words & {(look.base, look.finish, look.condition) for look in hidden if look is not None}
    names = {look.name for look in looks}
    assert all(entry.name in names for entry in dataset.materials if entry.split == "train")


def test_other_libraries_are_learned_from_pictures_alone(dataset):
    tile = replace(dataset.materials[0], name="kitchen-tile")
    assert unrendered_looks(replace(dataset, names=replace(dataset.names, materials=(tile,)))) == []


def test_what_does_not_vary_is_told_as_it_is():
    points, around = np.random.default_rng(0).random((4, 3)), Surroundings.open_and_flat(4)
    columns = {"roughness": 3, "metallic": 4, "spec_trans": 5, "sheen": 6, "clearcoat": 7}
    compared = 0
    for material in map(material_of, combinations()[::97]):
        told, found = principled(material), quantities(material, points, around)
        assert found.shape == (4, 8)
        for name, column in columns.items():
            if name not in told.varying:
                np.testing.assert_allclose(found[:, column], told.values.get(name, 0.0), rtol=1e-6)
                compared += 1
    assert compared > 20


def test_patterns_are_told_point_by_point_and_the_same_each_time():
    material = material_of(next(look for look in combinations() if "rusted" in look.condition))
    points, around = np.random.default_rng(0).random((200, 3)), Surroundings.open_and_flat(200)
    found = quantities(material, points, around)
    assert found.std(axis=0)[:3].max() > 0.02
    np.testing.assert_array_equal(found[::-1], quantities(material, points[::-1], around))


def test_parts_that_keep_their_own_material_are_the_same_in_all(unrendered, surface):
    values = unrendered.values.float().numpy()
    constant = (values == values[:1]).all(axis=(0, 2))
    assert constant.any() and not constant.all()
    ratio = values[0, constant] / np.where(NEUTRAL > 0, NEUTRAL, 1.0)
    assert np.ptp(ratio, axis=0).max() == 0.0


def test_a_dataset_whose_geometry_is_gone_says_so(dataset, surface):
    told = Hears()
    shown = dataset.manifest.geometry
    gone, other = (
        replace(dataset, manifest=replace(dataset.manifest, geometry=geometry))
        for geometry in (replace(shown, spec="/nowhere/kettle.usd"), replace(shown, digest="0" * 64))
    )
    assert read_unrendered(gone, surface, load_encoder(), 0, told) is None
    assert read_unrendered(other, surface, load_encoder(), 0, told) is None
    assert len(told.warnings) == 2 and all("Only rendered materials" in text for text in told.warnings)


@pytest.fixture(scope="module")
def objective(dataset, surface, unrendered):
    encoder = load_encoder()
    torch.manual_seed(0)
    field = Field(presets.surface_spec("library-small", dataset.aabb, encoder.width))
    looks = [entry for entry in dataset.materials if entry.split == "train"]
    return AppearanceObjective(field, surface, encode_paraphrases(encoder, looks), 64, 0, 2, unrendered)


def test_records_reach_the_material_branch_and_nothing_of_the_shape(objective):
    (turn,) = objective.turns(Step(0, 0.0, 0, "appearance"))
    turn.terms["records"].backward()
    assert objective.record_head[0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in objective.field.geometry.parameters())
    assert all(parameter.grad is None for parameter in objective.field.shader.parameters())
    assert objective.field.material.conditioner[0].weight.grad.abs().sum() > 0


def test_the_head_that_reads_records_resumes_where_it_was(objective):
    kept = {name: value.clone() for name, value in objective.state().items()}
    with torch.no_grad():
        objective.record_head[0].weight.add_(1.0)
    objective.load_state(kept)
    torch.testing.assert_close(objective.record_head[0].weight, kept["0.weight"])


def test_a_pixel_at_an_edge_is_the_mean_of_its_rays(objective):
    """Colors that are what the truth is make no error, however opaque each ray is."""
    (known,) = objective.supervisions
    drawn = objective.draw(Step(0, 0.0, 0, "appearance"), torch.Generator().manual_seed(0))
    own, edges, rows = drawn.own, drawn.edges, drawn.rows
    assert len(rows) == len(own) + known.fan * len(edges) == objective.batch
    colors = torch.full((2, len(rows), 3), 0.3)
    mean = known.edge_opacities.mean(dim=1).expand(-1, 3)
    even = replace(
        known,
        targets=log_curve(torch.full_like(known.targets, 0.3)),
        edge_targets=log_curve(0.3 * mean).expand(len(objective.prompts), -1, -1),
    )
    looks = torch.arange(2)
    assert even.errors(colors, looks, own, edges).total.item() == pytest.approx(0.0, abs=1e-12)
    colors[:, len(own) :] *= 2.0
    assert even.errors(colors, looks, own, edges).total.item() > 1e-4


def test_rays_of_an_edge_surround_the_center_of_their_pixel(dataset, surface):
    fans = surface.groups[0].edges.rays_d
    assert fans.shape[1] == 4
    torch.testing.assert_close(fans.norm(dim=-1), torch.ones(fans.shape[:2]))
    width = 2.0 / 24 * 18.0 / 50.0  # of a pixel, at distance one
    spread = (fans[:, 0] - fans[:, 3]).norm(dim=-1)
    assert ((spread > 0.4 * width) & (spread < 1.1 * width)).all()
