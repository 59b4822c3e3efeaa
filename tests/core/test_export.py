"""`neuron export`: what is written shows what the field shows; what cannot be written is refused."""

import numpy as np
import pytest

from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.errors import ConfigMismatchError, FileError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.splats.drawing import SplatRenderer
from neuron_core.splats.files import read_splats
from neuron_core.splats.fitting import FitSettings, fit_splats
from neuron_core.splats.moving import turned_upside_down
from neuron_core.splats.placing import viewing_dome
from neuron_core.splats.refining import Target, slope, target_of
from neuron_core.tasks.export.run import run
from neuron_core.voxels.baked import read_baked
from tests.core.baked_samples import BOX, write_ball


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("export") / "ball.neuron")


def likeness(asset, splats) -> float:
    baked = read_baked(asset)
    renderer = BakedRenderer(baked.nvf, baked.shader, baked.looks[baked.slugs()[0]])
    found = []
    for camera in viewing_dome(BOX, 2, 64, -10.0, 60.0, seed=11):
        target = target_of(renderer, camera)
        _, error = slope(SplatRenderer(splats).draw(camera), target, splats.encoding)
        found.append(-10 * np.log10(error))
    return float(np.mean(found))


@pytest.mark.parametrize("encoding", ["linear", "srgb"])
def test_splats_show_the_field_and_refinement_brings_them_nearer(asset, encoding):
    baked = read_baked(asset)
    scores = []
    for steps in (0, 60):
        settings = FitSettings(3000, 3, encoding, steps, views=12)
        splats = fit_splats(baked, baked.slugs()[0], settings)
        assert 1500 < len(splats) <= 3000
        scores.append(likeness(asset, splats))
    assert scores[0] > 20
    assert scores[1] > scores[0] + 1


def test_a_picture_that_is_the_target_has_no_slope():
    random = np.random.default_rng(0)
    alphas = random.uniform(size=(5, 4)).astype(np.float32)
    shown = random.uniform(0.3, 1, size=(5, 4, 3)).astype(np.float32)
    picture = np.concatenate([shown - 1 + alphas[..., None], alphas[..., None]], axis=-1)
    view = viewing_dome(BOX, 1, 4, 0.0, 10.0, seed=0)[0]
    gradient, error = slope(picture, Target(view, shown, alphas), "srgb")
    assert error < 1e-12 and np.abs(gradient).max() < 1e-6


def exported(asset, out, **options) -> dict[str, object]:
    return run(ExportConfig(asset, out, max_splats=500, steps=0, **options), Silent())


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
    with pytest.raises(NeuronError, match="0 splats"):
        ExportConfig(asset, tmp_path / "a.ply", max_splats=0)
    with pytest.raises(FileError, match="Cannot write"):
        exported(asset, tmp_path / "there.ply" / "a.ply")
    assert [entry.name for entry in tmp_path.iterdir()] == ["there.ply"]
