"""What will be rendered, before a ray is traced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cameras.camera import project
from neuron_core.foundation.clocks import clock_text
from neuron_core.foundation.seeds import seed_of
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.pace import Pace
from neuron_core.groundtruth.plan import held_out, make_cameras, make_plan, with_ground
from neuron_core.materials.record import Material, Tags

CONFIG = DatasetConfig(Path("x"), views=6, val_views=2, test_views=3, resolution=32)


def tetrahedron(size: float = 1.0) -> Geometry:
    corners = size * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], np.int32)
    normals = (corners / np.linalg.norm(corners, axis=1, keepdims=True)).astype(np.float32)
    part = MeshPart("body", corners.astype(np.float32), faces, normals, True)
    return Geometry((part,), "test", (0.0, 0.0, 0.0), ())


def materials(*tags: tuple[str, str, str]) -> list[Material]:
    return [Material(f"m-{index}", {}, (), Tags(*words)) for index, words in enumerate(tags)]


def library() -> list[Material]:
    bases, finishes, conditions = ("gold", "copper", "iron"), ("polished", "brushed"), ("", "worn", "dusty")
    return materials(*[(b, f, c) for b in bases for f in finishes for c in conditions])


@pytest.mark.parametrize("size", [1e-3, 1.0, 250.0])
def test_cameras_see_all_of_an_object_of_any_size(size):
    geometry = tetrahedron(size)
    for camera in make_plan(CONFIG, geometry, materials(("gold", "", ""))).cameras:
        x, y, depth = project(camera, geometry.parts[0].positions)
        assert (depth > 0).all()
        assert min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) <= camera.width


def test_splits_share_no_camera():
    plan = make_plan(CONFIG, tetrahedron(), materials(("gold", "", "")))
    counts = [len(plan.splits[split]) for split in ("train", "val", "test", "surface")]
    assert counts == [6, 2, 3, 42]
    positions = {tuple(camera.position.round(9)) for camera in plan.cameras}
    assert len(positions) == len({camera.name for camera in plan.cameras}) == sum(counts)


def test_cameras_that_see_the_shape_alone_take_no_pictures():
    plan = make_plan(CONFIG, tetrahedron(), materials(("gold", "", "")))
    shape_only = set(plan.splits["surface"])
    units = [unit for unit in plan.units() if unit.camera in shape_only]
    assert {unit.kind for unit in units} == {"gbuffer"} and len(units) == len(shape_only)
    sides = {camera.width for camera in plan.cameras if camera.name in shape_only}
    assert sides == {CONFIG.surface_resolution} == {128}


EXTRA = [(6, None, 42), (48, None, 0), (60, None, 0), (6, 0, 0)]


@pytest.mark.parametrize(("views", "asked", "extra"), EXTRA)
def test_the_shape_is_learned_from_enough_cameras(views, asked, extra):
    config = replace(CONFIG, views=views, surface_views=asked)
    assert config.extra_views == extra
    plan = make_plan(config, tetrahedron(), materials(("gold", "", "")))
    assert len(plan.splits.get("surface", ())) == extra
    assert ("surface_views" in config.described()) == bool(extra)


def test_materials_take_turns_at_sets_of_cameras():
    config = replace(CONFIG, view_sets=3)
    plan = make_plan(config, tetrahedron(), library())
    assert len(plan.splits["train"]) == 3 * CONFIG.views
    shown = [material.name for material in plan.materials if material.name not in plan.held_out]
    sets = {plan.training_views(name) for name in shown}
    assert len(sets) == 3 and {len(names) for names in sets} == {CONFIG.views}
    assert sorted(name for names in sets for name in names) == sorted(plan.splits["train"])
    counts = [sum(plan.training_views(name) == names for name in shown) for names in sets]
    assert max(counts) - min(counts) <= 1
    for name in shown:
        assert plan.camera_names(name) == plan.training_views(name) + plan.splits["val"] + plan.splits["test"]
    seen = {(unit.material, unit.camera) for unit in plan.units() if unit.kind == "train"}
    assert seen == {(name, camera) for name in shown for camera in plan.training_views(name)}
    measured = [unit.material for unit in plan.units() if unit.measured]
    assert sorted(measured) == sorted(shown)  # one picture of each stands for its noise


def test_every_set_of_cameras_looks_from_all_heights():
    plan = make_plan(replace(CONFIG, views=8, view_sets=4), tetrahedron(), library())
    heights = {camera.name: camera.position[1] for camera in plan.cameras}
    bands = np.array([heights[name] for name in plan.splits["train"]]).reshape(8, 4)
    for names in plan.turns.values():
        for height, band in zip(sorted(heights[name] for name in names), np.sort(bands, axis=0), strict=True):
            assert band.min() <= height <= band.max()


def test_a_dataset_where_all_see_the_same_is_described_as_ever():
    assert "view_sets" not in CONFIG.described()
    assert replace(CONFIG, view_sets=2).described()["view_sets"] == 2
    assert make_plan(CONFIG, tetrahedron(), library()).turns == {}


def test_shards_share_the_work_and_leave_nothing():
    units = make_plan(CONFIG, tetrahedron(), library()).units()
    parts = [units[index::4] for index in range(4)]
    assert sorted(unit.path for part in parts for unit in part) == sorted({unit.path for unit in units})


def test_held_out_combinations_are_new_but_their_words_are_known():
    everything = library()
    names = held_out(everything, 0)
    assert 0 < len(names) <= len(everything) / 8
    kept = [material.tags for material in everything if material.name not in names]
    for material in everything:
        if material.name in names:
            tags = material.tags
            assert tags.base in {other.base for other in kept}
            assert tags.finish in {other.finish for other in kept}
            assert tags.condition in {other.condition for other in kept}
            assert tags not in kept


def test_what_is_held_out_depends_on_the_seed_and_not_on_the_order():
    assert held_out(library(), 0) == held_out(library()[::-1], 0)
    assert len({held_out(library(), seed) for seed in range(5)}) > 1


def test_small_libraries_are_trained_on_whole():
    assert not held_out(library()[:11], 0)


def test_held_out_materials_are_seen_from_test_cameras_only():
    plan = make_plan(CONFIG, tetrahedron(), library())
    for unit in plan.units():
        if unit.material in plan.held_out:
            assert unit.camera in plan.splits["test"]


def test_the_ground_touches_the_object_and_moves_no_camera_closer():
    geometry = tetrahedron(3.0)
    grounded = with_ground(geometry)
    ground = grounded.parts[-1]
    assert not ground.takes_material
    assert ground.positions[:, 1].max() == pytest.approx(geometry.aabb()[0, 1], abs=1e-3)
    for cameras in make_cameras(replace(CONFIG, ground=True), geometry).values():
        assert all(camera.position[1] > ground.positions[0, 1] for camera in cameras)


def test_seeds_differ_for_every_purpose():
    seeds = {seed_of(0, "gold", f"train_{index}", pass_) for index in range(100) for pass_ in range(4)}
    assert len(seeds) == 400


def test_the_estimate_ends_at_nothing_left():
    pace = Pace({"train": 3, "truth": 1}, {"train": 1.0, "truth": 3.0})
    fractions = []
    for kind in ("train", "train", "truth", "train"):
        pace.done(kind)
        fractions.append(pace.fraction())
    assert pace.seconds_left() == 0.0
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_times_are_written_as_clocks():
    assert [clock_text(seconds) for seconds in (0.0, 62.0, 3723.0)] == ["0:00", "1:02", "1:02:03"]
