"""The work of a dataset, with a renderer that is a formula: what is asked for, noted and written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera
from neuron_core.datasets.channels import GEOMETRY, Channel, GBuffer
from neuron_core.datasets.contract import read_picture
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.progress import Silent
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.finishing import finish
from neuron_core.groundtruth.folder import DatasetFolder
from neuron_core.groundtruth.plan import DatasetPlan, Unit, make_plan
from neuron_core.groundtruth.rendering import (
    describe,
    facts_of,
    is_done,
    render_missing,
    warn_of_losses,
    warn_of_noise,
)
from neuron_core.groundtruth.truth import decibels, pair_error
from neuron_core.images.exr import read_exr
from neuron_core.lights.studio import studio_environment
from neuron_core.materials import Material, read_library

SIDE = 8
LIGHT = studio_environment(8, 4)


class Formula:
    """A gray square under noise that falls as samples grow; remembers what it was asked."""

    name, version, variant, partial = "formula", "1", "numpy", True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int, int]] = []
        self.prepared: list[tuple[Geometry, np.ndarray]] = []

    def settings(self) -> dict[str, object]:
        return {"noise": 0.1}

    def prepare(self, geometry: Geometry, environment: np.ndarray) -> None:
        self.prepared.append((geometry, environment))

    def gbuffer(self, camera: Camera) -> GBuffer:
        self.asked.append(("", camera.name, 1, 0))
        hit = np.ones((camera.height, camera.width), np.float32)
        position = np.stack([hit * camera.position[axis] for axis in range(3)], axis=-1).astype(np.float32)
        return GBuffer(hit * 2, position, position, hit, hit.astype(np.int32))

    def beauty(self, material, camera, spp, seed, repeats=None) -> np.ndarray:
        self.asked.append((material.name, camera.name, spp, seed))
        many = np.ones((camera.height, camera.width)) if repeats is None else repeats
        noise = np.random.default_rng(seed).standard_normal((camera.height, camera.width, 3))
        picture = np.ones((camera.height, camera.width, 4))
        picture[..., :3] = 0.4 + 0.1 * noise / np.sqrt(spp * np.maximum(many, 1))[..., None]
        return np.where(many[..., None] > 0, picture, 0.0).astype(np.float32)


class Notebook(Silent):
    """Keeps warnings and fractions."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.fractions: list[float] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def progress(self, fraction, stage, message="", metrics=None) -> None:
        self.fractions.append(fraction)


@pytest.fixture
def config(tmp_path: Path) -> DatasetConfig:
    return DatasetConfig(
        out=tmp_path / "set",
        materials="polished-gold,clear-glass",
        views=2,
        val_views=1,
        test_views=1,
        surface_views=1,
        resolution=SIDE,
        spp=4,
        truth_db=30.0,
        truth_spp=4096,
    )


def plan_of(config: DatasetConfig) -> DatasetPlan:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    part = MeshPart("tetrahedron", corners - 0.5, faces, np.tile(np.float32([0, 1, 0]), (4, 1)), True)
    geometry = Geometry((part,), "tetrahedron", (0.5, 0.5, 0.5), ())
    return make_plan(config, geometry, read_library(config.materials).materials)


def rendered(config: DatasetConfig, plan: DatasetPlan, units=None, report=None):
    """The folder, and the renderer that filled it."""
    folder, renderer = DatasetFolder(config.out, describe(config, plan, LIGHT)), Formula()
    folder.claim(False).release()
    units = plan.units() if units is None else units
    render_missing(config, plan, LIGHT, folder, units, report or Silent(), lambda *_: renderer)
    return folder, renderer


def picture_at(config: DatasetConfig, unit: Unit) -> np.ndarray:
    channels = read_exr(config.out / unit.path)
    return np.stack([channels[name] for name in "RGBA"], axis=-1)


def test_every_file_of_the_plan_is_rendered_from_one_prepared_object(config):
    plan = plan_of(config)
    folder, renderer = rendered(config, plan)
    assert all(is_done(folder, unit) for unit in plan.units())
    ((geometry, light),) = renderer.prepared
    assert geometry is plan.geometry and light is LIGHT
    shapes = [camera for material, camera, _, _ in renderer.asked if not material]
    assert shapes == [camera.name for camera in plan.cameras]


def test_only_what_is_missing_is_rendered_and_it_comes_out_the_same(config):
    plan = plan_of(config)
    rendered(config, plan)
    gone = [plan.units()[0], next(unit for unit in plan.units() if unit.kind == "truth")]
    before = [(config.out / unit.path).read_bytes() for unit in gone]
    for unit in gone:
        (config.out / unit.path).unlink()
    _, renderer = rendered(config, plan)
    assert {(material, camera) for material, camera, _, _ in renderer.asked} == {
        (unit.material, unit.camera) for unit in gone
    }
    assert [(config.out / unit.path).read_bytes() for unit in gone] == before
    _, idle = rendered(config, plan)
    assert not idle.prepared


def test_training_pictures_cost_the_samples_that_were_asked_and_one_is_measured(config):
    plan = plan_of(config)
    folder, renderer = rendered(config, plan)
    units = [unit for unit in plan.units() if unit.kind == "train" and unit.material == "polished-gold"]
    assert [unit.measured for unit in units] == [True, False]
    for unit in units:
        own = (unit.material, unit.camera)
        seeds = [seed for *where, _, seed in renderer.asked if tuple(where) == own]
        halves = [Formula().beauty(plan.materials[0], plan.cameras[0], 4, seed) for seed in seeds]
        assert len(set(seeds)) == len(seeds) == 1 + unit.measured
        np.testing.assert_allclose(picture_at(config, unit), np.mean(halves, axis=0), atol=1e-3)
        if unit.measured:
            noted = folder.measured(unit.path)
            assert noted == pytest.approx({"spp": 8.0, "error": pair_error(*halves) / 2})
        else:
            assert folder.measured(unit.path) is None


def test_seeds_differ_for_every_picture_and_follow_the_seed_of_the_dataset(config):
    plan = plan_of(config)
    first = [seed for material, _, _, seed in rendered(config, plan)[1].asked if material]
    assert len(set(first)) == len(first)
    other = replace(config, seed=1, out=config.out.parent / "other")
    assert not set(first) & {seed for material, _, _, seed in rendered(other, plan)[1].asked if material}


def test_test_pictures_are_sampled_until_they_are_as_good_as_was_asked(config):
    plan = plan_of(config)
    folder, _ = rendered(config, plan)
    limit = np.full((SIDE, SIDE, 4), 0.4)
    limit[..., 3] = 1.0
    for unit in plan.units():
        if unit.kind == "truth":
            noted = folder.measured(unit.path)
            assert noted is not None and decibels(noted["error"]) >= config.truth_db
            assert decibels(pair_error(picture_at(config, unit), limit)) > config.truth_db - 2.0


def test_a_picture_without_its_note_is_rendered_again(config):
    plan = plan_of(config)
    folder, _ = rendered(config, plan)
    unit = next(unit for unit in plan.units() if unit.kind == "truth")
    (note,) = (config.out / "unfinished" / "beauty").rglob(f"{unit.material}/{unit.camera}.json")
    note.unlink()
    assert not is_done(folder, unit)
    assert {camera for _, camera, _, _ in rendered(config, plan)[1].asked} == {unit.camera}


def test_the_fraction_never_falls_and_leaves_room_for_the_rest(config):
    report = Notebook()
    rendered(config, plan_of(config), report=report)
    assert report.fractions == sorted(report.fractions) and 0.9 < report.fractions[-1] <= 0.98


def test_the_finished_folder_says_what_was_rendered(config):
    plan = plan_of(config)
    folder, _ = rendered(config, plan)
    folder.claim(False)
    manifest = finish(plan, folder, facts_of(config, plan, folder, ("a note",)))
    dataset = open_dataset(config.out)
    dataset.verify()
    assert dataset.manifest == manifest
    assert (manifest.renderer.name, manifest.renderer.settings) == ("formula", {"noise": 0.1})
    assert manifest.resolution == (SIDE, SIDE) and "a note" in manifest.notes
    assert manifest.geometry.center == (0.5, 0.5, 0.5)
    assert [len(dataset.views(split)) for split in ("train", "val", "test")] == [4, 2, 2]
    for view in dataset.shapes("train"):
        buffers = dataset.read(view, *GEOMETRY)
        np.testing.assert_allclose(buffers[Channel.POSITION][0, 0], dataset.camera(view).position, rtol=1e-6)
    assert manifest.licences == facts_of(config, plan, folder, ()).licences != ()
    (view, *_) = dataset.views("test")
    np.testing.assert_allclose(read_picture(dataset, view)[..., :3], 0.4, atol=0.1)


def test_the_floor_of_a_split_is_the_mean_error_of_its_pictures(config):
    config = replace(config, test_views=3)
    plan = plan_of(config)
    folder, _ = rendered(config, plan)
    info = facts_of(config, plan, folder, ()).materials[1]
    for split, kind in (("train", "train"), ("val", "truth"), ("test", "truth")):
        units = [unit for unit in plan.units() if unit.material == info.name and unit.kind == kind]
        notes = [folder.measured(unit.path) for unit in units if unit.camera in plan.splits[split]]
        errors = [note["error"] for note in notes if note is not None]
        assert len(errors) == (3 if split == "test" else 1)
        assert info.truth_floor[split] == pytest.approx(decibels(np.mean(errors)), abs=0.01)


def test_noise_and_losses_are_warned_of_once_for_each_material(config):
    plan = plan_of(config)
    folder, _ = rendered(config, plan)
    folder.claim(False)
    manifest = finish(plan, folder, facts_of(config, plan, folder, ()))
    report = Notebook()
    warn_of_noise(config, manifest, report)
    assert report.warnings == []
    warn_of_noise(replace(config, truth_db=80.0), manifest, report)
    assert [text.split(" are ")[0] for text in report.warnings] == [
        "Test pictures of polished-gold",
        "Test pictures of clear-glass",
    ]


def test_what_a_renderer_cannot_do_is_said_before_it_starts():
    wax = Material("wax", {"subsurface_weight": 0.5})
    felt = Material("felt", {"fuzz_weight": 1.0, "fuzz_color": (1.0, 0.0, 0.0)})
    report = Notebook()
    warn_of_losses((*read_library("polished-gold").materials, wax, felt), report)
    first, second = report.warnings
    assert first.startswith("wax cannot be rendered as it is and stays out of averages: subsurface_weight")
    assert second == "felt is rendered without fuzz_color."


@pytest.mark.parametrize(
    ("changes", "count"),
    [({}, 1), ({"geometry": "kettle.usd"}, 2), ({"geometry": "kettle.usd", "light": "sky.exr"}, 3)],
)
def test_what_comes_from_elsewhere_has_a_licence_of_its_own(config, changes, count):
    plan = plan_of(config)
    folder, _ = rendered(config, plan)
    licences = facts_of(replace(config, **changes), plan, folder, ()).licences
    assert len(licences) == count and all(value in " ".join(licences) for value in changes.values())


def test_everything_that_pictures_depend_on_is_in_the_description(config):
    plan = plan_of(config)
    one = describe(config, plan, LIGHT)
    assert one == describe(replace(config, out=Path("elsewhere"), variant="llvm"), plan, LIGHT)
    for other in (
        describe(replace(config, spp=9), plan, LIGHT),
        describe(config, plan, LIGHT * 2),
        describe(config, replace(plan, materials=plan.materials[:1]), LIGHT),
        describe(config, replace(plan, geometry=replace(plan.geometry, parts=())), LIGHT),
    ):
        assert other != one
