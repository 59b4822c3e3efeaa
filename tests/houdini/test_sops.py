"""SOPs that show what the engine wrote: volumes, values at points, converted splats."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.foundation.progress import Silent
from neuron_core.tasks.grid.config import GridConfig
from neuron_core.tasks.grid.run import run
from neuron_core.volumes.grids import read_grid, sample
from tests.core.baked_samples import CENTER, write_ball
from tests.houdini.published_hou import VDB_MAGIC, Geometry, node_of


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("sops") / "ball.neuron")


@pytest.fixture
def started(hou, monkeypatch):
    """Commands that would be started, in place of jobs."""
    from neuron_houdini.nodes import background

    found = []

    def submit(key: int, job: object) -> None:
        found.append(SimpleNamespace(key=key, commands=job._commands, title=job.title))

    monkeypatch.setattr(background.jobs, "submit", submit)
    return found


def points(positions):
    node = node_of("sample")
    node._geometry = Geometry(P=positions)
    return node


def test_points_get_the_values_of_the_grid(hou, asset, tmp_path):
    from neuron_houdini.nodes.sops import sample as sop

    grid = tmp_path / "grid.npz"
    run(GridConfig(asset, grid), Silent())
    positions = np.float32(CENTER + np.random.default_rng(0).normal(size=(50, 3)) * 0.2)
    node = points(positions)
    node._values |= {"out": str(grid), "file": str(asset), "code": 1}
    sop.cook(node)
    expected = sample(read_grid(grid), positions)
    made = node.geometry().made
    assert set(made) == {"P", "density", "N", "Cd", "neuron_code"} and not node.made["warnings"]
    np.testing.assert_array_equal(made["density"][:, 0], expected.density)
    np.testing.assert_array_equal(made["N"], expected.normal)
    np.testing.assert_array_equal(made["Cd"], expected.color)
    np.testing.assert_array_equal(made["neuron_code"], expected.code)


def test_only_what_is_switched_on_is_set(hou, asset, tmp_path):
    from neuron_houdini.nodes.sops import sample as sop

    run(GridConfig(asset, tmp_path / "grid.npz"), Silent())
    node = points(np.zeros((3, 3)))
    node._values |= {"out": str(tmp_path / "grid.npz"), "normal": 0, "color": 0}
    sop.cook(node)
    assert set(node.geometry().made) == {"P", "density"}


def test_a_grid_is_read_once(hou, asset, tmp_path, monkeypatch):
    from neuron_houdini.nodes.sops import sample as sop

    run(GridConfig(asset, tmp_path / "grid.npz"), Silent())
    assert sop.read_cached(tmp_path / "grid.npz") is sop.read_cached(tmp_path / "grid.npz")


def test_without_a_grid_points_pass_unchanged_with_a_message(hou, tmp_path):
    from neuron_houdini.nodes.sops import sample as sop

    node = points(np.zeros((3, 3)))
    node._values["out"] = str(tmp_path / "none.npz")
    sop.cook(node)
    assert "Fetch Grid" in node.made["warnings"][0] and set(node.geometry().made) == {"P"}


def test_a_grid_of_another_asset_is_told(hou, asset, tmp_path):
    from neuron_houdini.nodes.sops import sample as sop

    run(GridConfig(asset, tmp_path / "grid.npz"), Silent())
    other = write_ball(tmp_path / "other.neuron", ("worn-copper",))
    node = points(np.zeros((3, 3)))
    node._values |= {"out": str(tmp_path / "grid.npz"), "file": str(other)}
    sop.cook(node)
    assert "another asset" in node.made["warnings"][0]


def test_a_damaged_grid_is_a_node_error(hou, tmp_path):
    from neuron_houdini.nodes.sops import sample as sop

    (tmp_path / "grid.npz").write_text("hello")
    node = points(np.zeros((3, 3)))
    node._values["out"] = str(tmp_path / "grid.npz")
    with pytest.raises(hou.NodeError, match="not a grid"):
        sop.cook(node)


BUTTONS = [("sample", "fetch", "grid.npz"), ("volume", "write", "ball.vdb")]


@pytest.mark.parametrize(("name", "button", "out"), BUTTONS)
def test_buttons_ask_the_engine_for_what_it_can_do(hou, asset, tmp_path, started, name, button, out):
    import importlib

    module = importlib.import_module(f"neuron_houdini.nodes.sops.{name}")
    node = node_of(name, file=str(asset), out=str(tmp_path / "made here" / out), look="polished_gold")
    getattr(module, button)(node)
    (job,) = started
    ((task, *words),) = job.commands
    config = parse(find_task(task), words)
    assert (config.out.parent.is_dir(), config.prompt, config.overwrite) == (True, "polished_gold", True)


@pytest.mark.parametrize(("name", "button", "out"), BUTTONS)
def test_buttons_without_an_asset_say_so_and_start_nothing(hou, started, tmp_path, name, button, out):
    import importlib

    module = importlib.import_module(f"neuron_houdini.nodes.sops.{name}")
    with pytest.raises(hou.NodeError, match="no asset"):
        getattr(module, button)(node_of(name, out=str(tmp_path / out)))
    assert not started


def test_a_volume_is_loaded_and_an_old_one_told(hou, asset, tmp_path):
    from neuron_houdini.nodes.sops import volume

    path = tmp_path / "a.vdb"
    node = node_of("volume", file=str(asset), out=str(path))
    volume.cook(node)
    assert "Write Volume" in node.made["warnings"][0] and not node.geometry().made
    path.write_bytes(VDB_MAGIC)
    os.utime(path, (asset.stat().st_mtime + 10,) * 2)
    volume.cook(node)
    assert node.geometry().made == {"loaded": str(path)} and len(node.made["warnings"]) == 1
    os.utime(path, (asset.stat().st_mtime - 10,) * 2)
    volume.cook(node)
    assert "newer" in node.made["warnings"][1]


def test_a_file_that_is_no_volume_is_a_node_error(hou, tmp_path):
    from neuron_houdini.nodes.sops import volume

    (tmp_path / "a.vdb").write_text("hello")
    with pytest.raises(hou.NodeError, match="not a volume"):
        volume.cook(node_of("volume", out=str(tmp_path / "a.vdb")))


def test_splats_of_other_kinds_are_converted_by_the_engine(hou, tmp_path, started):
    from neuron_houdini.nodes.sops import splats

    node = node_of("splats", file=str(tmp_path / "a.spz"), converted=str(tmp_path / "c" / "a.ply"))
    splats.cook(node)
    assert "Press Convert" in node.made["warnings"][0]
    splats.convert(node)
    ((task, *words),) = started[0].commands
    config = parse(find_task(task), words)
    assert (config.source, config.ply_axes, config.overwrite) == (tmp_path / "a.spz", "y-up", True)


def test_converted_splats_are_those_of_the_file(hou, tmp_path):
    from neuron_houdini.nodes.sops import splats

    from neuron_core.delivery.config import ExportConfig
    from neuron_core.splats.cloud import Splats
    from neuron_core.splats.files import write_splats
    from neuron_core.splats.houdini import point_attributes
    from neuron_core.tasks.export.run import run as export

    random = np.random.default_rng(0)
    turns = random.normal(size=(20, 4))
    cloud = Splats(
        positions=np.float32(random.normal(size=(20, 3))),
        scales=np.float32(random.uniform(0.01, 0.1, (20, 3))),
        rotations=np.float32(turns / np.linalg.norm(turns, axis=1, keepdims=True)),
        opacities=np.float32(random.uniform(0.1, 0.9, 20)),
        harmonics=np.float32(random.uniform(-1, 1, (20, 1, 3))),
        encoding="srgb",
    )
    write_splats(tmp_path / "a.usda", cloud, half=False)
    out = tmp_path / "a.ply"
    export(ExportConfig(tmp_path / "a.usda", out, ply_axes="y-up"), Silent())
    node = node_of("splats", file=str(tmp_path / "a.usda"), converted=str(out), rdf=1)
    splats.cook(node)
    made, expected = node.geometry().made, point_attributes(cloud)
    for name in ("P", "scale", "GS_Alpha", "Cd"):
        np.testing.assert_allclose(made[name], expected[name].reshape(made[name].shape), atol=1e-4)
