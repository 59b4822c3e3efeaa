"""`neuron export`: what is written shows what the field shows; what cannot be written is refused."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import ConfigMismatchError, FileError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.splats.comparing import error_of, target_of
from neuron_core.splats.drawing import SplatRenderer
from neuron_core.splats.files import read_splats
from neuron_core.splats.moving import turned_upside_down
from neuron_core.splats.placing import viewing_dome
from neuron_core.tasks.export.run import run
from neuron_core.voxels.baked import read_baked
from tests.core.baked_samples import BOX, write_ball


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("export") / "ball.neuron")


def exported(asset, out, **options) -> dict[str, object]:
    return run(ExportConfig(asset, out, max_splats=500, steps=0, **options), Silent())


def pixels_off(asset, splats) -> float:
    """Mean squared difference to the field's own picture from a view that nothing was fitted to."""
    baked = read_baked(asset)
    renderer = BakedRenderer(baked.nvf, baked.shader, baked.looks[baked.slugs()[0]])
    camera = viewing_dome(BOX, 1, 64, -10.0, 60.0, seed=11)[0]
    target = target_of(renderer, camera)
    return error_of(SplatRenderer(splats).draw(camera), target, splats.encoding).color


@pytest.mark.parametrize("encoding", ["linear", "srgb"])
def test_exported_splats_show_the_field_and_refinement_brings_them_nearer(asset, tmp_path, encoding):
    off = []
    for steps in (0, 60):
        out = tmp_path / f"{steps}.usdc"
        run(ExportConfig(asset, out, max_splats=1500, steps=steps, views=6, splat_color=encoding), Silent())
        splats = read_splats(out)
        assert 700 < len(splats) <= 1500 and splats.encoding == encoding
        off.append(pixels_off(asset, splats))
    assert off[0] < 0.05
    assert off[1] < 0.7 * off[0]


class Stops(Silent):
    """Asks the process to stop in the middle of the refinement."""

    def progress(self, fraction, stage, message="", metrics=None):
        if stage == "refine" and fraction > 0.3:
            interrupts.request_stop()


def test_an_export_that_was_stopped_resumes_and_writes_the_same_file(asset, tmp_path, monkeypatch):
    monkeypatch.setattr(interrupts, "_received", None)
    wanted = ExportConfig(asset, tmp_path / "whole.ply", max_splats=400, steps=40, views=3)
    run(wanted, Silent())
    part = replace(wanted, out=tmp_path / "part.ply")
    with pytest.raises(interrupts.Stopped):
        run(part, Stops())
    assert not part.out.exists()
    assert list((tmp_path / ".part.ply.refining").glob("*/checkpoint.safetensors"))
    monkeypatch.setattr(interrupts, "_received", None)
    run(part, Silent())
    assert part.out.read_bytes() == wanted.out.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.ply", "whole.ply"]


def test_an_export_that_is_not_refined_needs_no_torch(asset, tmp_path):
    code = (
        "import sys\nsys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from neuron_core.foundation.progress import Silent\n"
        "from neuron_core.delivery.config import ExportConfig\n"
        "from neuron_core.tasks.export.run import run\n"
        "asset, out = map(Path, sys.argv[1:])\n"
        "run(ExportConfig(asset, out, max_splats=300, steps=0), Silent())"
    )
    command = [sys.executable, "-c", code, asset, tmp_path / "a.ply"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(read_splats(tmp_path / "a.ply")) > 100


def test_axes_colors_and_degrees_are_those_that_are_asked_for(asset, tmp_path):
    body = exported(asset, tmp_path / "up.ply", ply_axes="y-up", degree=1)
    assert (body["degree"], body["color"]) == (1, "srgb") and body["bytes"] == (
        tmp_path / "up.ply"
    ).stat().st_size
    assert exported(asset, tmp_path / "down.ply", degree=1)["splats"] == body["splats"]
    up, down = read_splats(tmp_path / "up.ply"), read_splats(tmp_path / "down.ply")
    np.testing.assert_allclose(turned_upside_down(down).positions, up.positions, atol=1e-6)
    assert exported(asset, tmp_path / "a.usdc")["color"] == "linear"


def test_splats_of_a_file_are_converted(asset, tmp_path):
    exported(asset, tmp_path / "a.ply")
    body = exported(tmp_path / "a.ply", tmp_path / "a.usdc", precision="float")
    assert body["color"] == "srgb"
    there, back = read_splats(tmp_path / "a.usdc"), turned_upside_down(read_splats(tmp_path / "a.ply"))
    np.testing.assert_allclose(there.positions, back.positions, atol=1e-6)


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(asset, tmp_path):
    (tmp_path / "there.ply").write_bytes(b"ply")
    with pytest.raises(ConfigMismatchError, match="already there"):
        exported(asset, tmp_path / "there.ply")
    with pytest.raises(NeuronError, match="no ending"):
        exported(asset, tmp_path / "a.obj")
    with pytest.raises(FileError, match="no file"):
        exported(tmp_path / "none.neuron", tmp_path / "a.ply")
    with pytest.raises(NeuronError, match="no look"):
        exported(asset, tmp_path / "a.ply", prompt="chocolate")
    with pytest.raises(NeuronError, match="max splats of an export cannot be 0"):
        ExportConfig(asset, tmp_path / "a.ply", max_splats=0)
    with pytest.raises(FileError, match="Cannot write"):
        exported(asset, tmp_path / "there.ply" / "a.ply")
    assert [entry.name for entry in tmp_path.iterdir()] == ["there.ply"]
