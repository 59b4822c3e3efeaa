"""Pictures of a baked ball: what they show, which files there are, and going on."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.assets import AssetError
from neuron_core.cameras.camera import CameraError, load_cameras, look_at, project
from neuron_core.cameras.dome import turntable
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import ConfigMismatchError, FileError, NeuronError
from neuron_core.foundation.interrupts import Stopped
from neuron_core.foundation.progress import Silent
from neuron_core.images.exr import read_exr
from neuron_core.images.pictures import decode_image
from neuron_core.models.field import stored
from neuron_core.models.field.model import Structure
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.models.field.voxelize import codes_of, voxelize
from neuron_core.rendering import tracing
from neuron_core.rendering.tracing import BakedTracer, Pictures, draw, trace_centers
from neuron_core.rendering.views import fitted, framed_turntable, turning_distance
from neuron_core.tasks.render.config import RenderConfig
from neuron_core.tasks.render.run import run
from neuron_core.voxels.baked import Baked, read_baked
from neuron_core.voxels.nvf import encode_codes
from neuron_core.voxels.shading import shader_from_tensors
from tests.core.asset_samples import MANIFEST
from tests.core.baked_samples import BOX, CENTER, RADIUS, cameras, write_ball
from tests.core.small_fields import small_field

ROOT = Path(__file__).resolve().parents[2]


class Ball(torch.nn.Module):
    """The ball as a geometry branch: exact signed distances in cube sides, of which one is a meter."""

    def forward(self, units):
        away = units - 0.5
        distance = away.norm(dim=-1)
        normals = away / distance[:, None].clamp_min(1e-6)
        return Structure(distance - RADIUS, normals, torch.zeros(len(units), 8))


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("asset") / "ball.neuron")


@pytest.fixture
def config(asset, tmp_path):
    return RenderConfig(asset, tmp_path / "out", cameras="turntable:3", size="20", device="cpu")


def test_every_camera_gets_a_picture_and_a_turntable_an_animation(config):
    result = run(replace(config, size="24x16"), Silent())
    assert [Path(frame).name for frame in result["frames"]] == [
        "turn_000.png",
        "turn_001.png",
        "turn_002.png",
    ]
    pixels = decode_image(Path(result["frames"][0]))
    assert pixels.shape == (16, 24, 4)
    assert pixels[8, 12, 3] == 255 and pixels[0, 0, 3] == 0
    assert Path(result["animation"]).read_bytes()[8:12] == b"WEBP"
    names = [camera.name for camera in load_cameras(Path(result["cameras"]))[0]]
    assert names == ["turn_000", "turn_001", "turn_002"]


def test_white_background_is_opaque_and_white(config):
    result = run(replace(config, background="white"), Silent())
    pixels = decode_image(Path(result["frames"][0]))
    assert pixels.shape == (20, 20, 3) and (pixels[0, 0] == 255).all()


def test_aovs_are_those_of_a_ball(config):
    result = run(replace(config, aov="depth,normal,alpha", elevation=0.0), Silent())
    channels = read_exr(Path(result["exr"][0]))
    assert set(channels) == {"R", "G", "B", "A", "depth", "N.X", "N.Y", "N.Z"}
    camera = load_cameras(Path(result["cameras"]))[0][0]
    nearest = np.linalg.norm(camera.position - CENTER) - RADIUS
    assert channels["depth"][9:11, 9:11].mean() == pytest.approx(nearest, abs=0.01)
    assert channels["N.Z"][9:11, 9:11].min() > 0.95
    missed = channels["depth"] == 0
    assert missed[0, 0] and not channels["N.Y"][missed].any()
    assert channels["A"].min() == 0.0 and channels["A"][10, 10] == pytest.approx(1.0, abs=1e-2)


def test_without_aovs_there_is_no_exr(config):
    assert run(config, Silent())["exr"] == []
    assert not list(config.out.glob("*.exr"))


def test_the_same_command_renders_only_what_is_missing(config):
    first = run(config, Silent())
    contents = {path: Path(path).read_bytes() for path in first["frames"]}
    Path(first["frames"][1]).unlink()
    second = run(config, Silent())
    assert (second["rendered"], second["skipped"]) == (1, 2)
    assert {path: Path(path).read_bytes() for path in second["frames"]} == contents
    assert run(config, Silent())["rendered"] == 0


def test_parts_of_a_range_share_a_folder(config):
    config = replace(config, cameras="turntable:4")
    first = run(replace(config, frames="1-2"), Silent())
    assert len(first["frames"]) == 2 and first["animation"] is None
    second = run(replace(config, frames="3-4"), Silent())
    assert second["animation"] is not None
    assert run(config, Silent())["rendered"] == 0


def test_every_other_frame_is_a_range_with_a_step(config):
    result = run(replace(config, cameras="turntable:5", frames="1-5x2"), Silent())
    assert [Path(frame).stem for frame in result["frames"]] == ["turn_000", "turn_002", "turn_004"]


def test_other_pictures_are_not_touched_unless_told(config):
    first = run(config, Silent())
    before = Path(first["frames"][0]).read_bytes()
    other = replace(config, prompt="worn copper")
    with pytest.raises(ConfigMismatchError, match="look"):
        run(other, Silent())
    assert Path(first["frames"][0]).read_bytes() == before
    (config.out / "mine.png").write_bytes(b"keep")
    result = run(replace(other, overwrite=True), Silent())
    assert result["rendered"] == 3
    assert Path(result["frames"][0]).read_bytes() != before
    assert (config.out / "mine.png").read_bytes() == b"keep"


def test_a_stopped_rendering_goes_on(config, monkeypatch):
    class StopsAfterOne(Silent):
        def progress(self, fraction, stage, message="", metrics=None):
            if stage == "render":
                interrupts.request_stop()

    monkeypatch.setattr(interrupts, "_received", None)
    with pytest.raises(Stopped):
        run(config, StopsAfterOne())
    assert len(list(config.out.glob("turn_*.png"))) == 1
    interrupts._received = None
    assert run(config, Silent())["rendered"] == 2


@pytest.mark.parametrize("wanted", ["worn_copper", "worn copper", "WORN COPPER", "worn-copper"])
def test_a_look_is_found_by_its_name_and_by_its_prompt(config, wanted):
    assert run(replace(config, prompt=wanted, frames="1"), Silent())["look"] == "worn_copper"


def test_the_first_look_is_the_default(config):
    assert run(replace(config, frames="1"), Silent())["look"] == "polished_gold"


def test_another_prompt_is_refused_with_what_makes_it(config):
    with pytest.raises(AssetError, match="no look 'oak'") as caught:
        run(replace(config, prompt="oak"), Silent())
    assert "neuron bake" in caught.value.hint and "polished_gold" in caught.value.hint


def test_the_field_draws_any_prompt(config):
    result = run(replace(config, detail="inr", prompt="oak", frames="1", samples=1), Silent())
    assert result["prompt"] == "oak" and Path(result["frames"][0]).is_file()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"asset": Path("scene.usda")}, "scene.usda"),
        ({"asset": Path("missing.neuron")}, "no asset at missing"),
        ({"asset": ROOT / "tests"}, "folder"),
        ({"asset": ROOT / "README.md"}, "README.md"),
        ({"cameras": "missing.json"}, "missing.json"),
        ({"cameras": "turntable:0"}, "turntable"),
        ({"cameras": "/World/camera"}, "/World/camera"),
        ({"cameras": str(ROOT / "README.md")}, "no cameras"),
        ({"frames": "2-9"}, "3 cameras"),
        ({"frames": "0-1"}, "3 cameras"),
        ({"size": "big"}, "image size"),
    ],
)
def test_what_cannot_be_drawn_is_named(config, changes, said):
    with pytest.raises(NeuronError, match=said):
        run(replace(config, **changes), Silent())
    assert not config.out.exists()


@pytest.mark.parametrize("changes", [{"aov": "depht"}, {"samples": 0}, {"samples": 9}, {"elevation": 90.0}])
def test_what_cannot_be_asked_for_is_refused_at_once(config, changes):
    with pytest.raises(NeuronError):
        replace(config, **changes)


def test_a_file_is_no_folder_for_pictures(config, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(FileError, match="taken"):
        run(replace(config, out=tmp_path / "taken"), Silent())


def test_cameras_of_a_file_keep_their_size_and_order(config, tmp_path):
    from neuron_core.cameras.camera import save_cameras

    taken = cameras(3)
    save_cameras(tmp_path / "cameras.json", taken, {"test": ["view_001"]})
    result = run(replace(config, cameras=str(tmp_path / "cameras.json"), size=""), Silent())
    assert [Path(frame).stem for frame in result["frames"]] == ["view_000", "view_001", "view_002"]
    assert result["size"] == [24, 24] and result["animation"] is None
    one = replace(config, cameras=f"{tmp_path / 'cameras.json'}:test", out=tmp_path / "one")
    assert [Path(frame).stem for frame in run(one, Silent())["frames"]] == ["view_001"]


def test_names_of_cameras_become_names_of_files(config, tmp_path):
    from neuron_core.cameras.camera import save_cameras

    first, second, third = cameras(3)
    taken = [
        replace(first, name="/World/cam"),
        replace(second, name="World cam"),
        replace(third, name="../up"),
    ]
    save_cameras(tmp_path / "cameras.json", taken, {})
    result = run(replace(config, cameras=str(tmp_path / "cameras.json")), Silent())
    assert [Path(frame).name for frame in result["frames"]] == ["World_cam.png", "World_cam_2.png", "up.png"]
    assert all(Path(frame).parent == config.out for frame in result["frames"])


def test_drawing_in_strips_changes_nothing(asset, monkeypatch):
    baked = read_baked(asset)
    tracer, camera = BakedTracer.of(baked, baked.slugs()), cameras(1)[0]
    whole, depths = draw(tracer, camera, 3), trace_centers(tracer, camera).depths
    monkeypatch.setattr(tracing, "MOST_RAYS", 24 * 9 * 5)
    strips = draw(tracer, camera, 3)
    np.testing.assert_allclose(strips.rgbs, whole.rgbs, atol=1e-4)
    np.testing.assert_allclose(strips.alphas, whole.alphas, atol=1e-4)
    np.testing.assert_allclose(trace_centers(tracer, camera).depths, depths, atol=1e-4)


def test_looks_differ_in_color_and_share_their_shape(asset):
    baked = read_baked(asset)
    camera = cameras(1)[0]
    first, second = baked.slugs()
    both = draw(BakedTracer.of(baked, [first, second]), camera)
    for index, slug in enumerate((first, second)):
        alone = draw(BakedTracer.of(baked, [slug]), camera)
        np.testing.assert_array_equal(alone.rgbs[0], both.rgbs[index])
        np.testing.assert_array_equal(alone.alphas, both.alphas)
    assert np.abs(both.rgbs[0] - both.rgbs[1]).max() > 0.01


def test_more_samples_are_the_mean_of_finer_pixels(asset):
    baked = read_baked(asset)
    tracer, camera = BakedTracer.of(baked, baked.slugs()[:1]), cameras(1)[0]
    fine = draw(tracer, fitted(camera, 48, 48), 1)
    mean = fine.rgbs.reshape(1, 24, 2, 24, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(draw(tracer, camera, 2).rgbs, mean, atol=1e-5)


def test_linear_colors_are_composited_before_they_are_encoded():
    half = Pictures(np.full((1, 1, 1, 3), 0.25, np.float32), np.full((1, 1), 0.5, np.float32), "linear")
    assert half.over_white()[0, 0, 0, 0] == pytest.approx(0.8809, abs=1e-3)  # sRGB of 0.75
    photograph = replace(half, encoding="srgb")
    assert photograph.over_white()[0, 0, 0, 0] == pytest.approx(0.75)
    rgba = photograph.linear()[0, 0, 0]
    assert rgba[0] / rgba[3] == pytest.approx(0.2140, abs=1e-3)  # linear of 0.5


@pytest.mark.parametrize("elevation", [-40.0, 0.0, 15.0, 75.0])
@pytest.mark.parametrize(("width", "height"), [(100, 100), (160, 90), (60, 120)])
def test_a_turntable_is_as_near_as_the_whole_object_stays_in_frame(elevation, width, height):
    points = np.random.default_rng(1).uniform(-1, 1, (60, 3)) * (0.5, 1.0, 0.3) + (3.0, -1.0, 2.0)
    views = framed_turntable(72, points, elevation, width, height)
    places = [project(camera, points) for camera in views]
    x = np.array([place[0] for place in places]) / width
    y = np.array([place[1] for place in places]) / height
    assert min(x.min(), y.min()) > 0 and max(x.max(), y.max()) < 1
    assert min(x.min(), y.min(), 1 - x.max(), 1 - y.max()) < 0.04


def test_the_distance_of_a_turntable_is_where_a_point_touches_the_frame():
    tan = 0.36
    distance = turning_distance(np.array([[0.7, 0.4, -0.2]]), 30.0, tan, tan)
    center = np.zeros(3)
    views = turntable(2000, center, distance, 30.0, width=100, height=100, focal_mm=36 / tan / 2)
    reached = [project(camera, np.array([[0.7, 0.4, -0.2]])) for camera in views]
    furthest = max(max(abs(x[0] - 50), abs(y[0] - 50)) for x, y, _ in reached)
    assert furthest == pytest.approx(50, abs=0.01)


def test_a_turntable_needs_an_object():
    with pytest.raises(CameraError):
        framed_turntable(4, np.zeros((1, 3)), 0.0, 10, 10)


@pytest.mark.parametrize(("width", "height"), [(48, 24), (24, 48), (7, 5)])
def test_another_size_shows_at_least_the_same_with_square_pixels(width, height):
    camera = replace(cameras(1)[0], width=36, height=24, cx=17.0, cy=13.0, c2w=look_at((0, 0, 2), (0, 0, 0)))
    seen = np.array([[x, y, 0.0] for x in (-0.2, 0.2) for y in (-0.2, 0.2)])
    before, after = project(camera, seen), project(fitted(camera, width, height), seen)
    scale = min(width / 36, height / 24)
    np.testing.assert_allclose(np.ptp(after[0]), np.ptp(before[0]) * scale)
    np.testing.assert_allclose(np.ptp(after[1]), np.ptp(before[1]) * scale)
    np.testing.assert_allclose(after[0] - width / 2, (before[0] - 18) * scale)


def test_a_field_and_its_voxels_draw_the_same():
    field = small_field()
    field.geometry = Ball()
    vectors = np.random.default_rng(0).normal(size=(2, field.spec.prompt_width)).astype(np.float32)
    nvf = voxelize(field, BOX.astype(np.float32), 48)
    codes = codes_of(field, nvf, torch.from_numpy(vectors))
    looks = {name: encode_codes(code) for name, code in zip("ab", codes, strict=True)}
    shader = shader_from_tensors(stored.to_tensors(field), field.spec.to_json())
    baked = Baked(Path("ball"), MANIFEST, nvf, looks, shader)
    camera = cameras(1)[0]
    voxels, exact = BakedTracer.of(baked, ["a", "b"]), FieldTracer(field, vectors)
    apart = np.abs(draw(voxels, camera).over_white() - draw(exact, camera).over_white())
    assert apart.mean() < 0.02
    first, second = trace_centers(voxels, camera), trace_centers(exact, camera)
    both = first.coverage & second.coverage
    assert both.sum() > 0.95 * second.coverage.sum()
    assert np.median(np.abs(first.depths - second.depths)[both]) < nvf.voxel_size
    assert ((first.normals * second.normals).sum(axis=-1)[both] > 0.95).all()


def test_drawing_voxels_imports_no_torch(config):
    code = (
        "import sys, json\n"
        "from neuron_core.cli import main\n"
        "status = main(sys.argv[1:])\n"
        "heavy = {'torch', 'mitsuba', 'open_clip', 'pxr', 'drjit', 'torchvision'} & set(sys.modules)\n"
        "print(json.dumps([status, sorted(heavy)]))\n"
    )
    words = ["render", str(config.asset), str(config.out), "--size", "16", "--cameras", "turntable:2"]
    words += ["--aov", "depth,normal,alpha", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *_, result, status = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    assert result["event"] == "result" and result["rendered"] == 2
    assert status == [0, []]


def test_the_box_frames_an_object_that_fills_it(config):
    result = run(replace(config, cameras="turntable:1", elevation=0.0, size="64"), Silent())
    alpha = decode_image(Path(result["frames"][0]))[..., 3] > 127
    rows = np.flatnonzero(alpha.any(axis=1))
    assert 0.7 < (rows[-1] - rows[0]) / 64 < 1.0
    assert math.isclose((rows[-1] + rows[0]) / 2, 31.5, abs_tol=2)
    assert np.ptp(BOX) > 0
