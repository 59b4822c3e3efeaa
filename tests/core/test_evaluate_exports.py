"""Exports are measured against their asset: what is alike scores high, what is moved does not."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.cli.arguments import ArgumentsError, parse
from neuron_core.cli.registry import TASKS
from neuron_core.delivery.config import ExportConfig
from neuron_core.evaluation.drawers import open_export
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.images.metrics import psnr
from neuron_core.splats.files import read_splats, write_splats
from neuron_core.splats.moving import transformed
from neuron_core.splats.placing import viewing_dome
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.tasks.evaluate.run import run
from neuron_core.tasks.export.run import run as export
from neuron_core.tasks.inspect.config import InspectConfig
from neuron_core.tasks.inspect.run import run as inspect
from tests.core.baked_samples import BOX, write_ball


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("measured") / "ball.neuron")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


def score(asset, path, **options) -> dict[str, object]:
    found = run(EvaluateConfig(path, None, against=asset, views=2, device="cpu", **options), Silent())
    (row,) = found["rows"]
    assert found["mean"][row["representation"]]["psnr"] == row["psnr"]
    return row


@pytest.mark.parametrize(
    ("name", "representation", "iou"),
    [
        ("a.ply", "splat", 0.9),
        ("a.usdc", "splat", 0.9),
        ("a.vdb", "volume", 0.85),
        ("mesh.usdz", "mesh", 0.97),
        ("points.usda", "points", 0.85),
        ("volume.usda", "volume", 0.85),
    ],
)
def test_every_export_is_like_its_asset(asset, folder, name, representation, iou):
    stem = name.split(".")[0]
    form = stem if stem != "a" else "auto"
    out = folder / name
    export(
        ExportConfig(
            asset, out, form=form, max_splats=4000, steps=0, triangles=2000, texture_size=512, device="cpu"
        ),
        Silent(),
    )
    row = score(asset, out)
    assert row["representation"] == representation and row["views"] == 2
    assert row["iou"] > iou and row["psnr"] > 17
    assert row["bytes"] >= out.stat().st_size and sum(row["counts"].values()) > 100


def test_a_moved_export_scores_less(asset, folder):
    export(ExportConfig(asset, folder / "b.spz", max_splats=3000, steps=0), Silent())
    before = score(asset, folder / "b.spz")
    matrix = np.eye(4)
    matrix[:3, 3] = 0.1
    write_splats(folder / "moved.spz", transformed(read_splats(folder / "b.spz"), matrix))
    after = score(asset, folder / "moved.spz")
    assert after["psnr"] < before["psnr"] - 3 and after["iou"] < before["iou"] - 0.1


def test_axes_of_a_ply_file_count(asset, folder):
    export(ExportConfig(asset, folder / "up.ply", max_splats=3000, steps=0, ply_axes="y-up"), Silent())
    right = score(asset, folder / "up.ply", ply_axes="y-up")
    assert right["iou"] > score(asset, folder / "up.ply", out=folder / "wrong")["iou"]


def test_an_export_needs_its_asset(asset, folder):
    (folder / "c.ply").write_bytes(b"")
    wanted = EvaluateConfig(folder / "c.ply", None)
    with pytest.raises(NeuronError, match="export"):
        run(wanted, Silent())
    with pytest.raises(NeuronError, match="not a PLY"):
        run(replace(wanted, against=asset), Silent())
    (folder / "c.nvdb").write_bytes(b"")
    with pytest.raises(NeuronError, match="cannot be measured"):
        run(EvaluateConfig(folder / "c.nvdb", None, against=asset), Silent())
    with pytest.raises(NeuronError, match="nothing to measure"):
        run(EvaluateConfig(asset, None), Silent())


def test_the_command_line_takes_exports_without_a_dataset():
    task = next(task for task in TASKS if task.name == "evaluate")
    config = parse(task, ["a.ply", "--against", "a.neuron", "--views", "3"])
    assert (config.dataset, config.views, str(config.against)) == (None, 3, "a.neuron")
    assert str(parse(task, ["--views", "3", "run", "data"]).dataset) == "data"
    with pytest.raises(ArgumentsError, match="SUBJECT"):
        parse(task, [])


def test_files_of_splats_are_inspected(asset, folder):
    out = folder / "d.ply"
    count = export(ExportConfig(asset, out, max_splats=500, steps=0, degree=1), Silent())["splats"]
    found = inspect(InspectConfig(out), Silent())
    assert found["kind"] == "splats"
    assert (found["details"]["splats"], found["details"]["degree"]) == (count, 1)
    out.write_bytes(out.read_bytes()[:-1])
    with pytest.raises(NeuronError, match="ends early"):
        inspect(InspectConfig(out), Silent())


def test_a_mesh_looks_the_same_by_its_texture_as_by_its_vertices(asset, folder):
    pictures = []
    for side in (512, 0):
        out = folder / f"by_{side}.usdc"
        export(
            ExportConfig(asset, out, form="mesh", triangles=3000, texture_size=side, device="cpu"), Silent()
        )
        view = viewing_dome(BOX, 1, 96, 20.0, 40.0, seed=2)[0]
        pictures.append(open_export(out, "rdf", Silent()).picture(view).encoded)
    assert psnr(pictures[0], pictures[1]) > 30
