"""Scenes as splats and instances: what is placed, turned and scaled looks as it did in the scene."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom

from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.splats.drawing import SplatRenderer
from neuron_core.splats.files import read_splats
from neuron_core.splats.moving import transformed
from neuron_core.splats.placing import viewing_dome
from neuron_core.tasks.export.run import run
from tests.core.baked_samples import write_ball
from tests.core.stage_samples import asset_prim, moved, write_stage

TURN = "( (0.48, 0.64, -0.6, 0), (-0.8, 0.6, 0, 0), (0.36, 0.48, 0.8, 0), (0.9, 0.2, 0, 1) )"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_ball(folder / "ball.neuron")
    write_stage(
        folder / "scene.usda",
        asset_prim("a", "./ball.neuron"),
        asset_prim("b", "./ball.neuron", TURN),
        asset_prim("c", "./ball.neuron", moved(-1.2, 0.0, 0.3, 1.5), look="worn_copper"),
    )
    return folder


def exported(folder, name, **options) -> dict[str, object]:
    options = {"max_splats": 1500, "steps": 0, "device": "cpu", **options}
    return run(ExportConfig(folder / "scene.usda", folder / name, **options), Silent())


def decibels(one, other) -> float:
    """Between two clouds, as they are drawn from around."""
    low, high = one.box()
    errors = []
    for camera in viewing_dome(np.stack([low, high]), 2, 96, 0.0, 50.0, seed=3):
        pictures = [SplatRenderer(cloud).draw(camera, 2) for cloud in (one, other)]
        errors.append(np.mean((pictures[0] - pictures[1]) ** 2))
    return float(-10 * np.log10(max(np.mean(errors), 1e-10)))


def test_a_scene_in_one_file_is_its_assets_where_they_are(folder):
    body = exported(folder, "flat.usdc", precision="float")
    assert body["instances"] == 3
    whole = read_splats(folder / "flat.usdc")
    assert len(whole) == body["splats"] <= 1500
    exported(folder, "placed.usdc", scene="instances", precision="float", max_splats=500)
    assert decibels(whole, read_splats(folder / "placed.usdc")) > 45  # transforms left to the reader


def test_instances_share_the_file_of_their_asset(folder):
    body = exported(folder, "shared.usda", scene="instances")
    assert (body["instances"], len(body["files"])) == (3, 2)  # two of three show the same look
    stage = Usd.Stage.Open(str(folder / "shared.usda"))
    assert len(stage.GetPrototypes()) == 2
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    with pytest.raises(NeuronError, match="already there"):
        exported(folder, "shared.usda", scene="instances")
    assert exported(folder, "shared.usda", scene="instances", overwrite=True)["instances"] == 3


def test_meshes_of_a_scene_are_instances(folder):
    body = exported(folder, "meshes.usda", scene="instances", form="mesh", triangles=400, texture_size=128)
    stage = Usd.Stage.Open(str(folder / "meshes.usda"))
    meshes = list(Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()))
    assert sum(prim.IsA(UsdGeom.Mesh) for prim in meshes) == body["instances"] == 3
    with pytest.raises(NeuronError, match="--scene instances|whole scene"):
        exported(folder, "flat_mesh.usda", form="mesh")


def test_uneven_scales_and_turns_before_writing_equal_those_after(folder):
    run(ExportConfig(folder / "ball.neuron", folder / "one.usdc", max_splats=800, steps=0), Silent())
    splats = read_splats(folder / "one.usdc")
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0.48, -0.8, 0.36], [0.64, 0.6, 0.48], [-0.6, 0.0, 0.8]]) @ np.diag(
        [1, 2, 0.5]
    )
    before = transformed(splats, matrix)
    stage = Usd.Stage.CreateNew(str(folder / "moved.usda"))
    prim = UsdGeom.Xform.Define(stage, "/moved")
    prim.GetPrim().GetReferences().AddReference("./one.usdc")
    prim.MakeMatrixXform().Set(Gf.Matrix4d(matrix.T.tolist()))
    stage.Save()
    assert decibels(before, read_splats(folder / "moved.usda")) > 45


def test_levels_of_splats_are_files_of_their_own(folder):
    body = run(
        ExportConfig(folder / "ball.neuron", folder / "lod.ply", max_splats=1600, steps=0, levels=3), Silent()
    )
    assert [len(read_splats(folder / name)) for name in ("lod.ply", "lod.lod1.ply", "lod.lod2.ply")] == body[
        "levels"
    ]
    assert body["levels"][2] <= body["levels"][1] // 4


def test_scenes_that_show_nothing_are_refused_and_leave_nothing(folder):
    write_stage(folder / "empty.usda")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(NeuronError):
        run(ExportConfig(folder / "empty.usda", folder / "none.ply"), Silent())
    with pytest.raises(NeuronError, match="too few"):
        exported(folder, "few.ply", max_splats=2)
    with pytest.raises(NeuronError, match="cannot place"):
        exported(folder, "few.ply", scene="instances")
    assert sorted(path.name for path in folder.iterdir()) == before
