"""Edits of stages as an algebra: inverses, repetition, order, and failures that leave nothing behind."""

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from neuron_core.foundation.values import ValueNotationError
from neuron_core.usd import SceneError, read_stage
from neuron_core.usd.adding import add, free_path, prim_name, repeat
from neuron_core.usd.assembly import Placements, add_instancer, add_references, euler_degrees
from neuron_core.usd.changing import Change, change
from neuron_core.usd.copies import Grid, parse_grid
from neuron_core.usd.layers import editing
from neuron_core.usd.new_shot import CAMERA, NewShot, write_new
from neuron_core.usd.published import locate
from tests.core.scene_samples import publish_ball

ONE, TWO = "/World/one", "/World/two"
NUMBERS = count()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A library with two versions of a ball, and a shot of two of it."""
    folder = tmp_path_factory.mktemp("home")
    for version in (1, 2):
        publish_ball(folder, folder / "lib", version=version)
    write_new(folder / "two.usda", NewShot(frames=(1, 24)))
    with editing(folder / "two.usda") as stage:
        for path in (ONE, TWO):
            add(stage, locate(folder / "lib/ball"), path)
            change(stage, path, Change(at=(1.0, 2.0, 3.0), rotate=(10.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0)))
            change(stage, path, Change(look="gold", prompt="", visible=True, purpose="default", pose=()))
    return folder


@pytest.fixture
def shot(home):
    """The shot of two balls, to be changed."""
    path = home / f"shot_{next(NUMBERS)}.usda"  # USD remembers layers by their paths
    shutil.copy(home / "two.usda", path)
    return path


def edit(path: Path, *wanted: tuple[str, Change]) -> str:
    """The text of the layer after some changes of its prims, made one after another."""
    for prim, one in wanted:
        with editing(path) as stage:
            change(stage, prim, one)
    return path.read_text()


THERE_AND_BACK = {
    "place": (Change(at=(4.0, 5.0, 6.0)), Change(at=(1.0, 2.0, 3.0))),
    "rotation": (Change(rotate=(0.0, 90.0, 0.0)), Change(rotate=(10.0, 0.0, 0.0))),
    "scale": (Change(scale=(2.0, 3.0, 4.0)), Change(scale=(1.0, 1.0, 1.0))),
    "look": (Change(look="rust"), Change(look="gold")),
    "prompt": (Change(prompt="blue clay"), Change(prompt="")),
    "pose": (Change(pose=(0.5, 1.0)), Change(pose=())),
    "purpose": (Change(purpose="render"), Change(purpose="default")),
    "visibility": (Change(visible=False), Change(visible=True)),
    "version": (Change(version="v001"), Change(version="latest")),
}


@pytest.mark.parametrize("name", THERE_AND_BACK)
def test_an_edit_and_its_inverse_leave_the_text_as_it_was(name, shot):
    there, back = THERE_AND_BACK[name]
    before = shot.read_text()
    assert edit(shot, (ONE, there)) != before
    assert edit(shot, (ONE, back)) == before


@pytest.mark.parametrize("name", THERE_AND_BACK)
def test_an_edit_that_is_made_twice_is_made_once(name, shot):
    there, _ = THERE_AND_BACK[name]
    assert edit(shot, (ONE, there)) == edit(shot, (ONE, there))


def test_a_change_of_nothing_writes_nothing_else(shot):
    before = shot.read_text()
    assert edit(shot, (ONE, Change()), (CAMERA, Change())) == before


@pytest.mark.parametrize("names", [("place", "look"), ("version", "visibility"), ("pose", "pose")])
def test_edits_of_two_prims_commute(names, shot):
    first, second = (THERE_AND_BACK[name][0] for name in names)
    start = shot.read_text()
    one = edit(shot, (ONE, first), (TWO, second))
    shot.write_text(start)
    assert edit(shot, (TWO, second), (ONE, first)) == one


def test_one_change_of_many_things_is_many_changes_of_one(shot):
    start = shot.read_text()
    apart = edit(
        shot, (ONE, Change(look="rust")), (ONE, Change(prompt="clay")), (ONE, Change(at=(0.0, 0.0, 9.0)))
    )
    shot.write_text(start)
    assert edit(shot, (ONE, Change(look="rust", prompt="clay", at=(0.0, 0.0, 9.0)))) == apart


def test_the_order_in_which_keys_are_set_does_not_matter(shot):
    keys = [Change(at=(float(n * n), 0.0, 0.0), frame=float(n)) for n in (1, 5, 9, 13)]
    start = shot.read_text()
    one = edit(shot, *[(ONE, key) for key in keys])
    shot.write_text(start)
    assert edit(shot, *[(ONE, key) for key in (keys[2], keys[0], keys[3], keys[1])]) == one


def test_places_between_keys_lie_on_a_line_and_outside_of_them_rest(shot):
    edit(shot, *[(ONE, Change(at=(x, 0.0, -x), frame=frame)) for frame, x in ((2.0, 1.0), (6.0, 3.0))])
    for frame, x in ((0.0, 1.0), (2.0, 1.0), (3.0, 1.5), (5.5, 2.75), (6.0, 3.0), (20.0, 3.0)):
        (node,) = [one for one in read_stage(shot).snapshot(frame).assets if one.path == ONE]
        np.testing.assert_allclose(node.world_from_asset[:3, 3], (x, 0.0, -x), atol=1e-12)


def test_prompts_hold_until_the_next_key(shot):
    edit(shot, *[(ONE, Change(prompt=text, frame=f)) for f, text in ((1.0, "clay"), (9.0, "ice"))])
    for frame, text in ((1.0, "clay"), (8.9, "clay"), (9.0, "ice"), (24.0, "ice")):
        assert read_stage(shot).snapshot(frame).assets[0].prompt == text


class _Stopped(BaseException):
    """What no handler of errors catches."""


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usd"])
@pytest.mark.parametrize("stop", [SceneError("no"), _Stopped()])
def test_what_stops_an_edit_leaves_the_file_byte_equal_and_nothing_in_memory(suffix, stop, home, tmp_path):
    Usd.Stage.Open(str(home / "two.usda")).Export(str(tmp_path / f"shot{suffix}"))
    shot = tmp_path / f"shot{suffix}"
    before = shot.read_bytes()
    with pytest.raises(type(stop)), editing(shot) as stage:
        change(stage, CAMERA, Change(at=(7.0, 7.0, 7.0)))
        raise stop
    assert shot.read_bytes() == before and list(tmp_path.iterdir()) == [shot]
    assert abs(read_stage(shot).camera(CAMERA, 8, 8).position[0]) < 1


def test_a_prim_and_its_copies_are_what_adding_each_would_have_made(shot, home):
    places = {f"/World/g/{name}": Change(at=(float(n), 0.0, 0.0), look=look)
              for n, (name, look) in enumerate([("a", "gold"), ("b", "rust"), ("c", "gold")])}  # fmt: skip
    first, *rest = places

    def one_by_one(stage: Usd.Stage) -> None:
        for path, wanted in places.items():
            add(stage, locate(home / "lib/ball"), path)
            change(stage, path, wanted)

    def copied(stage: Usd.Stage) -> None:
        add(stage, locate(home / "lib/ball"), first)
        change(stage, first, places[first])
        repeat(stage, first, {path: places[path] for path in rest})

    texts = []
    for makes in (one_by_one, copied):
        path = home / f"copies_{len(texts)}.usda"
        shutil.copy(shot, path)
        with editing(path) as stage:
            makes(stage)
        texts.append(path.read_text())
    assert texts[0] == texts[1]


# --- names and grids ---


def test_any_text_becomes_a_name_that_usd_takes_and_that_stays_as_it_is():
    for text in ("oak tree", "7 of 9", "", "été", "a/b.c", "__x__", "-", "😀"):
        name = prim_name(text)
        assert Sdf.Path.IsValidIdentifier(name) and prim_name(name) == name


def test_free_paths_are_free_however_many_are_taken():
    stage = Usd.Stage.CreateInMemory()
    taken = set()
    for _ in range(12):
        path = free_path(stage, "/World", "oak")
        assert path not in taken and not stage.GetPrimAtPath(path)
        UsdGeom.Xform.Define(stage, path)
        taken.add(path)
    assert "/World/oak" in taken


@pytest.mark.parametrize("up", ["Y", "Z"])
@pytest.mark.parametrize("size", [(1, 1), (5, 1), (4, 3)])
def test_a_grid_is_centered_on_its_place_and_lies_on_the_ground(size, up):
    grid, center = Grid(*size, 2.5), (10.0, 20.0, 30.0)
    places = np.array([one.at for one in grid.changes(Change(at=center), (), up)])
    assert len(np.unique(places, axis=0)) == grid.count == len(places)
    np.testing.assert_allclose(places.mean(axis=0), center, atol=1e-12)
    height = 2 if up == "Z" else 1
    assert (places[:, height] == center[height]).all()
    steps = np.linalg.norm(np.diff(places.reshape(grid.rows, grid.columns, 3), axis=1), axis=-1)
    np.testing.assert_allclose(steps, 2.5)


def test_two_looks_on_a_grid_lie_as_on_a_chess_board():
    looks = [one.look for one in Grid(6, 5, 1.0).changes(Change(), ("a", "b"), "Y")]
    board = np.array(looks).reshape(5, 6)
    assert (board[:, 1:] != board[:, :-1]).all() and (board[1:] != board[:-1]).all()


@pytest.mark.parametrize("text", ["8", "0x3", "3x-1", "axb", "8x8x8", "1000x1000", "٣x٣"])
def test_what_is_not_a_grid_is_refused(text):
    with pytest.raises(ValueNotationError):
        parse_grid(text, 1.0)


def test_grids_are_written_in_any_case_and_need_a_distance():
    assert parse_grid(" 3X4 ", 1.0) == parse_grid("3×4", 1.0) == Grid(3, 4, 1.0)
    assert parse_grid("  ", 1.0) is None
    for spacing in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueNotationError, match="spacing"):
            parse_grid("3x4", spacing)


# --- many at once ---


def turned(angles: np.ndarray) -> np.ndarray:
    """USD's own matrix of rotateXYZ, for column vectors."""
    stage = Usd.Stage.CreateInMemory()
    prim = UsdGeom.Xform.Define(stage, "/x")
    prim.AddRotateXYZOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*map(float, angles)))
    return np.array(prim.GetLocalTransformation()).T[:3, :3]


def matrix_of(quaternion: np.ndarray) -> np.ndarray:
    x, y, z, w = (float(part) for part in quaternion / np.linalg.norm(quaternion))
    return np.array(Gf.Matrix3d(Gf.Quatd(w, x, y, z))).T


SPECIAL = [(0, 0, 0, 1), (0, 1, 0, 1), (0, -1, 0, 1), (1, 1, 1, 1), (0.5, 0.5, -0.5, 0.5), (1, 0, 0, 0)]


def test_angles_turn_as_the_quaternion_does_also_where_two_axes_are_one():
    quaternions = np.concatenate([np.random.default_rng(0).normal(size=(40, 4)), np.array(SPECIAL, float)])
    for quaternion, angles in zip(quaternions, euler_degrees(quaternions), strict=True):
        np.testing.assert_allclose(turned(angles), matrix_of(quaternion), atol=1e-7)
    np.testing.assert_allclose(euler_degrees(-3.0 * quaternions[:40]), euler_degrees(quaternions[:40]))
    np.testing.assert_array_equal(euler_degrees(np.zeros((1, 4))), 0.0)


def points(home: Path, makes: Callable[[Usd.Stage, Placements], object], name: str) -> dict[tuple, int]:
    """How many assets of each look stand at each place (rounded matrices) after `makes`."""
    random = np.random.default_rng(3)
    placed = Placements(
        [str(home / "lib/ball")] * 5,
        ["gold", "rust", "", "rust", "gold"],
        random.uniform(-5, 5, (5, 3)),
        random.normal(size=(5, 4)),
        random.uniform(0.5, 2, (5, 3)),
    )
    write_new(home / name, NewShot(meters_per_unit=0.1, up_axis="Z"))
    with editing(home / name) as stage:
        makes(stage, placed)
    found: dict[tuple, int] = {}
    for node in read_stage(home / name).snapshot().assets:
        key = (node.look, *np.round(node.world_from_asset.ravel(), 2).tolist())
        found[key] = found.get(key, 0) + 1
    return found


def test_references_and_an_instancer_put_the_same_looks_in_the_same_places(home):
    apart = points(home, lambda stage, placed: add_references(stage, "/World/g", placed), "r.usda")
    together = points(home, lambda stage, placed: add_instancer(stage, "/World/g", placed), "i.usda")
    assert len(apart) == 5 and sum(apart.values()) == 5
    assert {key[0] for key in apart} == {"gold", "rust"}
    for key in apart:
        assert any(np.allclose(key[1:], other[1:], atol=0.02) and key[0] == other[0] for other in together)


@pytest.mark.parametrize("field", ["positions", "orients", "scales"])
def test_a_point_that_has_no_place_is_named_by_its_number(field):
    numbers = {"positions": np.zeros((4, 3)), "orients": np.ones((4, 4)), "scales": np.ones((4, 3))}
    numbers[field][2, 1] = np.nan
    with pytest.raises(SceneError, match="point 2"):
        Placements(["a"] * 4, [""] * 4, **numbers)
    with pytest.raises(SceneError, match="Point 1"):
        Placements(["a", ""], [""] * 2, np.zeros((2, 3)))
