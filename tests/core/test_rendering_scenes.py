"""Stages drawn: what a snapshot shows, what is told about what is broken, and the files of a shot."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.assets import read_asset, write_asset
from neuron_core.cameras.camera import Camera, CameraError, load_cameras, look_at, rays, resized, save_cameras
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.images.exr import read_exr
from neuron_core.images.pictures import decode_image
from neuron_core.models.field.prompted import look_maker
from neuron_core.prompts import EncoderId
from neuron_core.rendering import scenes
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.rendering.scenes import SceneRenderer, identity
from neuron_core.rendering.tracing import BakedTracer, draw
from neuron_core.tasks.anchor.config import AnchorConfig
from neuron_core.tasks.anchor.run import run as run_anchor
from neuron_core.tasks.render.config import RenderConfig
from neuron_core.tasks.render.run import run
from neuron_core.usd import read_stage
from neuron_core.usd.records import AssetNode, SceneSnapshot
from neuron_core.voxels.baked import read_baked
from tests.core.baked_samples import CENTER, RADIUS, write_ball
from tests.core.composed_samples import decibels
from tests.core.stage_samples import SQUARE, asset_prim, camera_prim, moved, write_stage

ROOT = Path(__file__).resolve().parents[2]
SINGULAR = "( (1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1) )"


class Listener(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene")
    write_ball(path / "ball.neuron")
    return path


def view(side: int = 40) -> Camera:
    pose = look_at(CENTER + np.array([0.3, 0.4, 1.2]), CENTER)
    return Camera("view", side, side, 1.4 * side, 1.4 * side, side / 2, side / 2, pose)


def test_one_asset_in_a_stage_is_the_asset_alone(folder):
    stage = read_stage(write_stage(folder / "one.usda", asset_prim("ball", "./ball.neuron")))
    renderer = SceneRenderer()
    assert renderer.load(stage.snapshot()) == ()
    pixels = renderer.render(view(), samples=2)
    baked = read_baked(folder / "ball.neuron")
    alone = BakedRenderer(baked.nvf, baked.shader, baked.looks[baked.slugs()[0]])
    fine = alone.render(resized(view(), 80, 80)).rgba.reshape(40, 2, 40, 2, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels.rgba, fine, atol=1e-5)
    # The same pixels by rays that the host makes, which are rounded differently.
    traced = draw(BakedTracer.of(baked, baked.slugs()[:1]), view(), 2).linear()[0]
    assert decibels(pixels.rgba, traced) > 65
    assert set(np.unique(pixels.ids)) == {0, identity("/ball")}


def test_a_file_is_read_once_and_instances_share_its_memory(folder):
    prims = [asset_prim(f"ball{n}", "./ball.neuron", moved(n, 0, 0)) for n in range(16)]
    one, many = SceneRenderer(), SceneRenderer()
    one.load(read_stage(write_stage(folder / "a.usda", prims[0])).snapshot())
    many.load(read_stage(write_stage(folder / "b.usda", *prims)).snapshot())
    assert many.nbytes() <= 1.01 * one.nbytes()
    assert len(many.paths) == 16


BROKEN = {
    "missing": (asset_prim("broken", "./nothing.neuron"), "nothing.neuron"),
    "tiny": (asset_prim("broken", "./ball.neuron", moved(0, 0, 0, 1e-30)), "scale"),
    "vast": (asset_prim("broken", "./ball.neuron", moved(0, 0, 0, 1e30)), "scale"),
    "singular": (asset_prim("broken", "./ball.neuron", SINGULAR), "singular"),
    "no look": (asset_prim("broken", "./ball.neuron", look="velvet"), "velvet"),
    "no file": (asset_prim("broken", ""), "neuron"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_asset_is_told_by_its_path_and_the_rest_is_drawn(folder, kind):
    prim, word = BROKEN[kind]
    path = write_stage(folder / f"{kind.replace(' ', '_')}.usda", asset_prim("ball", "./ball.neuron"), prim)
    renderer = SceneRenderer()
    problems = renderer.load(read_stage(path).snapshot())
    assert [problem.path for problem in problems] == ["/broken"]
    assert word in problems[0].message and problems[0].hint
    assert renderer.paths == ("/ball",)
    assert renderer.render(view()).rgba[..., 3].max() > 0.9


def test_a_damaged_file_is_found_when_it_is_read(folder):
    whole = (folder / "ball.neuron").read_bytes()
    (folder / "cut.neuron").write_bytes(whole[: len(whole) // 2])
    nodes = (
        AssetNode("/cut", folder / "cut.neuron", "", "polished_gold", "", (), np.eye(4), "default"),
        AssetNode("/flat", folder / "ball.neuron", "", "", "", (), np.diag([1.0, 1.0, 0.0, 1.0]), "default"),
        AssetNode("/ball", folder / "ball.neuron", "", "", "", (), np.eye(4), "render"),
        AssetNode("/proxy", folder / "ball.neuron", "", "", "", (), np.eye(4), "proxy"),
    )
    renderer = SceneRenderer()
    problems = renderer.load(SceneSnapshot(nodes, (), (), 1.0, "Y"))
    assert [problem.path for problem in problems] == ["/cut", "/flat"]
    assert renderer.paths == ("/ball",)


def test_looks_and_meshes_of_the_stage_are_shown(folder):
    path = write_stage(
        folder / "looks.usda",
        asset_prim("gold", "./ball.neuron", moved(-0.4, 0, 0), look="polished_gold"),
        asset_prim("copper", "./ball.neuron", moved(0.4, 0, 0), look="worn_copper"),
        SQUARE,
    )
    renderer = SceneRenderer()
    renderer.load(read_stage(path).snapshot())
    wide = Camera("wide", 64, 64, 60.0, 60.0, 32.0, 32.0, look_at((0.1, 0.5, 2.0), (0.1, -0.1, 0.0)))
    pixels = renderer.render(wide)
    assert set(np.unique(pixels.ids)) == {0, *map(identity, ("/gold", "/copper", "/floor"))}
    colors = [pixels.rgba[pixels.ids == identity(name)].mean(axis=0) for name in ("/gold", "/copper")]
    assert np.abs(colors[0] - colors[1]).max() > 0.02
    floor = pixels.rgba[pixels.ids == identity("/floor")][:, :3]
    np.testing.assert_allclose(np.median(floor / floor[:, 1:2], axis=0), [0.5, 1.0, 0.25], atol=0.02)


def test_more_triangles_than_can_be_drawn_are_told_by_the_mesh_that_is_too_much(folder, monkeypatch):
    meshes = [SQUARE.replace("floor", f"floor{number}") for number in range(4)]
    path = write_stage(folder / "many.usda", asset_prim("ball", "./ball.neuron"), *meshes)
    monkeypatch.setattr(scenes, "MOST_TRIANGLES", 5)
    renderer = SceneRenderer()
    (problem,) = renderer.load(read_stage(path).snapshot())
    assert problem.path == "/floor2" and "5 triangles" in problem.message and problem.hint
    assert renderer.paths == ("/ball", "/floor0", "/floor1")


@pytest.fixture(scope="module")
def shot(folder):
    return write_stage(
        folder / "shot.usda",
        asset_prim("ball", "./ball.neuron"),
        asset_prim("broken", "./nothing.neuron"),
        SQUARE,
        camera_prim(x2=0.3, turn2=8.0),
    )


def test_frames_of_a_camera_are_rendered_once_and_gone_on_with(shot, tmp_path):
    config = RenderConfig(
        shot,
        tmp_path / "out",
        cameras="/shot",
        frames="1-3x2",
        size="32",
        aov="depth,normal,id",
        device="cpu",
    )
    listener = Listener()
    result = run(config, listener)
    assert [Path(frame).name for frame in result["frames"]] == ["shot_0001.png", "shot_0003.png"]
    assert len(listener.warnings) == 1 and "/broken" in listener.warnings[0]
    assert [problem["path"] for problem in result["problems"]] == ["/broken"]
    again = run(replace(config, frames="1-5"), Silent())
    assert (again["rendered"], again["skipped"]) == (3, 2)
    whole = run(replace(config, out=tmp_path / "whole", frames=""), Silent())
    for one, two in zip(again["frames"], whole["frames"], strict=True):
        assert Path(one).read_bytes() == Path(two).read_bytes()
    channels = read_exr(Path(again["exr"][0]))
    assert set(channels) == {"R", "G", "B", "A", "depth", "N.X", "N.Y", "N.Z", "id"}
    assert {0.0, float(identity("/ball")), float(identity("/floor"))} == set(np.unique(channels["id"]))
    with pytest.raises(ConfigMismatchError):
        run(replace(config, samples=1), Silent())


def test_a_turntable_of_a_scene_frames_all_of_it(folder, tmp_path):
    path = write_stage(
        folder / "turn.usda",
        asset_prim("left", "./ball.neuron", moved(-1, 0, 0)),
        asset_prim("right", "./ball.neuron", moved(1, 0, 0)),
    )
    result = run(
        RenderConfig(path, tmp_path / "out", cameras="turntable:3", size="32", device="cpu"), Silent()
    )
    pictures = [decode_image(Path(frame)) for frame in result["frames"]]
    for picture in pictures:
        assert picture[..., 3].max() == 255
        assert not picture[[0, -1]][..., 3].any() and not picture[:, [0, -1]][..., 3].any()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"cameras": "/nothing"}, "/nothing"),
        ({"cameras": "/shot", "frames": "5-1"}, "empty"),
        ({"cameras": "/shot", "prompt": "gold"}, "looks"),
        ({"cameras": "/shot", "detail": "inr"}, "voxels"),
    ],
)
def test_what_cannot_be_rendered_is_refused_by_name(shot, tmp_path, options, word):
    with pytest.raises(NeuronError, match=word):
        run(RenderConfig(shot, tmp_path / "out", size="16", device="cpu", **options), Silent())
    assert not (tmp_path / "out").exists()


def test_a_stage_that_shows_nothing_says_why(folder, tmp_path):
    path = write_stage(folder / "empty.usda", asset_prim("broken", "./nothing.neuron"), camera_prim())
    with pytest.raises(NeuronError, match="/broken"):
        run(RenderConfig(path, tmp_path / "out", cameras="/shot", size="16", device="cpu"), Silent())


@pytest.fixture(scope="module")
def anchors(folder, tmp_path_factory):
    moving = """double3 xformOp:translate.timeSamples = { 1: (0, 0, 0), 5: (0.2, 0.1, -0.1) }
    uniform token[] xformOpOrder = ["xformOp:translate"]"""
    path = write_stage(
        folder / "anchors.usda",
        asset_prim("ball", "./ball.neuron", extra=moving),
        SQUARE,
        camera_prim(x=0.0, x2=0.4, turn=-3.0, turn2=9.0),
    )
    out = tmp_path_factory.mktemp("anchors") / "out"
    config = AnchorConfig(path, out, frames="1,3,5", size="96", device="cpu")
    return config, run_anchor(config, Silent())


def reprojected(record: dict, depth: np.ndarray, other: dict, step: dict[int, np.ndarray], ids: np.ndarray):
    """Where the pixels of one anchor are in another, from nothing but the index and the channels."""
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    inverse = np.linalg.inv(np.array(record["K"]))
    local = np.stack([x, y, np.ones_like(x)], axis=-1) @ inverse.T * [1, -1, -1]
    local = local / np.linalg.norm(local, axis=-1, keepdims=True) * depth[..., None]
    pose, target = np.array(record["c2w"]), np.linalg.inv(np.array(other["c2w"]))
    world = local @ pose[:3, :3].T + pose[:3, 3]
    for number, matrix in step.items():
        world[ids == number] = world[ids == number] @ matrix[:3, :3].T + matrix[:3, 3]
    seen = world @ target[:3, :3].T + target[:3, 3]
    pixels = (seen * [1, -1, -1]) @ np.array(other["K"]).T
    return pixels[..., :2] / pixels[..., 2:], np.linalg.norm(seen, axis=-1)


def test_an_anchor_reprojects_into_the_next_by_its_depth_and_cameras(anchors):
    config, result = anchors
    index = json.loads(Path(result["index"]).read_text())
    assert index["complete"] and [one["frame"] for one in index["anchors"]] == [1, 3, 5]
    for one, two in zip(index["anchors"], index["anchors"][1:], strict=False):
        here, there = (read_exr(config.out / record["files"]["exr"]) for record in (one, two))
        step = {
            identity(path): np.array(two["world_from_local"][path])
            @ np.linalg.inv(one["world_from_local"][path])
            for path in one["ids"]
        }
        places, distances = reprojected(one, here["depth"], two, step, here["id"].astype(int))
        x, y = np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5)
        known = here["flow.known"] > 0
        flow = np.stack([here["flow.X"] + x, here["flow.Y"] + y], axis=-1)
        assert known.sum() > 2000
        assert np.abs(flow - places)[known].max() < 0.01
        # The next anchor's own depth, back along the same way, leads to the pixel that it came from.
        seen = here["flow.seen"] > 0
        back = {number: np.linalg.inv(matrix) for number, matrix in step.items()}
        returned, _ = reprojected(two, there["depth"], one, back, there["id"].astype(int))
        column, row = flow[seen].astype(int).T
        same = there["id"][row, column] == here["id"][seen]
        inner = same & (np.abs(there["depth"][row, column] - distances[seen]) < 0.05)
        # Where the pixel landed off its center, so much of the way back belongs to the center.
        rest = flow[seen] - (np.stack([column, row], axis=-1) + 0.5)
        error = np.linalg.norm(returned[row, column] + rest - np.stack([x, y], axis=-1)[seen], axis=-1)
        assert inner.mean() > 0.95
        assert np.percentile(error[inner], 99) < 0.5


def test_anchors_hold_exact_geometry(anchors):
    config, result = anchors
    index = json.loads(Path(result["index"]).read_text())
    record = index["anchors"][0]
    channels = read_exr(config.out / record["files"]["exr"])
    pose = np.array(record["c2w"])
    camera = Camera("a", 96, 96, record["K"][0][0], record["K"][1][1], 48.0, 48.0, pose)
    x, y = np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5)
    rays_o, rays_d = rays(camera, x, y)
    ball = channels["id"] == identity("/ball")
    points = rays_o[ball] + channels["depth"][ball, None] * rays_d[ball]
    inner = -np.einsum("ij,ij->i", rays_d[ball], points - CENTER) / RADIUS > 0.4
    distance = np.linalg.norm(points - CENTER, axis=-1)
    assert ball.sum() > 500 and np.abs(distance[inner] - RADIUS).max() < 0.01
    floor = channels["id"] == identity("/floor")
    heights = (rays_o[floor] + channels["depth"][floor, None] * rays_d[floor])[:, 1]
    np.testing.assert_allclose(heights, -0.35, atol=1e-4)
    assert record["focal_mm"] == 50 and record["film_back_mm"] == pytest.approx([36.0, 36.0])
    assert "flow.X" not in read_exr(config.out / index["anchors"][-1]["files"]["exr"])
    for file in record["files"].values():
        assert (config.out / file).is_file()


def test_anchors_are_gone_on_with_and_repeat_byte_by_byte(anchors, tmp_path):
    config, result = anchors
    assert run_anchor(config, Silent())["rendered"] == 0
    first = Path(result["anchors"][0])
    before, index = first.read_bytes(), Path(result["index"]).read_bytes()
    first.unlink()
    assert run_anchor(config, Silent())["rendered"] == 1
    assert first.read_bytes() == before and Path(result["index"]).read_bytes() == index
    with pytest.raises(ConfigMismatchError):
        run_anchor(replace(config, size="48"), Silent())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"camera": "/nothing"}, CameraError),
        ({"frames": "3,1"}, NeuronError),
        ({"frames": "1,,2"}, NeuronError),
        ({"frames": "9-2"}, NeuronError),
    ],
)
def test_anchors_that_cannot_be_made_are_refused(anchors, tmp_path, options, error):
    with pytest.raises(error):
        run_anchor(replace(anchors[0], out=tmp_path / "out", **options), Silent())
    assert not (tmp_path / "out").exists()


def test_a_prompt_of_a_prim_is_asked_of_the_field_in_its_file(folder, tmp_path):
    plain = asset_prim("ball", "./ball.neuron", look="polished_gold")
    prompted = asset_prim(
        "ball", "./ball.neuron", look="polished_gold", extra='string neuron:prompt = "worn oak"'
    )
    pictures = []
    for name, prim in (("plain", plain), ("prompted", prompted)):
        path = write_stage(folder / f"{name}.usda", prim, camera_prim())
        config = RenderConfig(path, tmp_path / name, cameras="/shot", frames="1", size="24", device="cpu")
        result = run(config, Silent())
        assert result["problems"] == []
        pictures.append(decode_image(Path(result["frames"][0])))
    assert np.array_equal(pictures[0][..., 3], pictures[1][..., 3])
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 3
    renderer = SceneRenderer()
    problems = renderer.load(read_stage(folder / "prompted.usda").snapshot())
    assert [(problem.path, problem.fatal) for problem in problems] == [("/ball", False)]
    assert renderer.paths == ("/ball",)


def test_a_prompt_for_another_encoder_leaves_its_prim_out_and_draws_the_rest(folder):
    whole = read_asset(folder / "ball.neuron")
    strange = replace(whole.manifest, encoder=EncoderId(whole.manifest.encoder.name, "0" * 64), digest="")
    write_asset(folder / "strange.neuron", strange, whole.tensors)
    prompt = 'string neuron:prompt = "worn oak"'
    prims = asset_prim("broken", "./strange.neuron", extra=prompt), asset_prim("ball", "./ball.neuron")
    renderer = SceneRenderer(make_look=look_maker(None, Silent()))
    (problem,) = renderer.load(read_stage(write_stage(folder / "strange.usda", *prims)).snapshot())
    assert (problem.path, problem.kind, problem.fatal) == ("/broken", "prompt", True)
    assert renderer.paths == ("/ball",) and renderer.render(view()).rgba[..., 3].max() > 0.9


def test_assets_outside_a_library_are_told_and_not_drawn(folder, tmp_path):
    (tmp_path / "lib").mkdir()
    write_ball(tmp_path / "lib" / "ball.neuron")
    prims = asset_prim("inside", "./lib/ball.neuron"), asset_prim("outside", f"{folder}/ball.neuron")
    path = write_stage(tmp_path / "s.usda", *prims, camera_prim())
    config = RenderConfig(path, tmp_path / "out", cameras="/shot", frames="1", size="16", device="cpu")
    result = run(replace(config, library=tmp_path / "lib"), Silent())
    assert list(result["ids"]) == ["/inside"]
    assert [one["path"] for one in result["problems"]] == ["/outside"]
    with pytest.raises(ConfigMismatchError):
        run(config, Silent())


def test_a_move_through_cameras_passes_through_them(folder, tmp_path):
    path = write_stage(folder / "move.usda", asset_prim("ball", "./ball.neuron"))
    keys = [
        replace_name(view(24), "a", 0.0),
        replace_name(view(24), "b", 0.2),
        replace_name(view(24), "c", 0.3),
    ]
    save_cameras(tmp_path / "keys.json", keys, {})
    config = RenderConfig(path, tmp_path / "out", cameras=f"path:{tmp_path / 'keys.json'}:5", device="cpu")
    result = run(config, Silent())
    assert len(result["frames"]) == 5
    cameras = load_cameras(Path(result["cameras"]))[0]
    for frame, key in ((0, keys[0]), (2, keys[1]), (4, keys[2])):
        np.testing.assert_allclose(cameras[frame].c2w, key.c2w, atol=1e-9)
    with pytest.raises(NeuronError, match="path"):
        run(replace(config, cameras=f"path:{tmp_path / 'keys.json'}:1"), Silent())


def replace_name(camera: Camera, name: str, right: float) -> Camera:
    """The camera, called otherwise and moved to the right."""
    pose = camera.c2w.copy()
    pose[:3, 3] += right * pose[:3, 0]
    return replace(camera, name=name, c2w=pose)


def test_drawing_a_scene_imports_no_torch(shot, tmp_path):
    code = (
        "import sys\n"
        "from neuron_core.cli import main\n"
        f"main(['render', {str(shot)!r}, {str(tmp_path / 'out')!r}, '--cameras', '/shot', '--frames', '1', "
        "'--size', '16', '--json'])\n"
        "assert 'torch' not in sys.modules, 'torch'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "result"
