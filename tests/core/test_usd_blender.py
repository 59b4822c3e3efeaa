"""Blender, which knows nothing of Neuron, opens what was published and finds it in its place.

Runs where `python scripts/blender_env.py` was run; Blender lives in an environment of its own.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from blender_env import blender_python, why_not

from neuron_core.usd.adding import add
from neuron_core.usd.changing import Change, change
from neuron_core.usd.layers import editing
from neuron_core.usd.new_shot import CAMERA, NewShot, write_new
from neuron_core.usd.published import locate
from tests.core.scene_samples import publish_ball

pytestmark = pytest.mark.readers

LISTING = """
import json, sys
import bpy, mathutils
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.usd_import(filepath=sys.argv[-1])
bpy.context.view_layer.update()
found = []
for one in bpy.context.evaluated_depsgraph_get().object_instances:
    names = [one.object.name] + ([one.parent.name] if one.is_instance else [])
    above = one.parent if one.is_instance else one.object.parent
    while above is not None:
        names.append(above.name)
        above = above.parent
    box = [list(one.matrix_world @ mathutils.Vector(corner)) for corner in one.object.bound_box]
    matrix = [list(row) for row in one.matrix_world]
    found.append({'names': names, 'type': one.object.type, 'matrix': matrix, 'box': box})
print('LISTED ' + json.dumps(found))
"""
Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # from Y up, as Blender imports


@pytest.fixture(scope="module")
def blender():
    if why_not():
        pytest.skip(why_not())
    return blender_python()


def seen_by(blender: Path, path: Path) -> list[dict[str, list]]:
    """What Blender draws of a stage, instances too: names from the object upwards, matrix, corners."""
    done = subprocess.run(
        [str(blender), "-c", LISTING, str(path)], capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("LISTED ")]
    assert lines, done.stderr
    return json.loads(lines[-1].removeprefix("LISTED "))


def box_of(objects: list[dict[str, list]], name: str) -> np.ndarray:
    """The world box [2, 3] of all meshes below a name, in meters with Y up."""
    boxes = [one["box"] for one in objects if name in one["names"] and one["type"] == "MESH"]
    corners = np.concatenate(boxes) @ Z_UP[:3, :3]
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def test_a_published_asset_opens_with_its_stand_in(blender, tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    objects = seen_by(blender, tmp_path / "lib/ball/ball.usd")
    assert any(one["type"] == "MESH" for one in objects)
    np.testing.assert_allclose(box_of(objects, "ball"), [[-0.3, 0, -0.3], [0.3, 0.6, 0.3]], atol=0.03)


@pytest.mark.parametrize(("unit", "up"), [(1.0, "Y"), (0.01, "Z")])
def test_objects_of_a_shot_stand_where_they_were_put(unit, up, blender, tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    shot = tmp_path / "shot.usda"
    write_new(shot, NewShot(meters_per_unit=unit, up_axis=up))
    with editing(shot) as stage:
        for name in ("first", "second"):
            add(stage, locate(tmp_path / "lib/ball"), f"/World/{name}")
        ground = (0.0, -2.0 / unit, 0.0) if up == "Z" else (0.0, 0.0, 2.0 / unit)  # two meters to the front
        change(stage, "/World/first", Change(at=(1.5 / unit, 0.0, 0.0), scale=(2.0, 2.0, 2.0)))
        change(stage, "/World/second", Change(at=ground))
    objects = seen_by(blender, shot)
    first, second = box_of(objects, "first"), box_of(objects, "second")
    np.testing.assert_allclose(first, [[0.9, 0, -0.6], [2.1, 1.2, 0.6]], atol=0.06)
    np.testing.assert_allclose(second, [[-0.3, 0, 1.7], [0.3, 0.6, 2.3]], atol=0.03)
    (camera,) = [one for one in objects if one["type"] == "CAMERA"]
    assert camera["names"][0].startswith(CAMERA.rpartition("/")[2])
    place = np.linalg.inv(Z_UP) @ np.array(camera["matrix"])
    np.testing.assert_allclose(place[:3, 3], [0, 1, 3], atol=1e-4)
