"""Records of skeletons and poses: strict, and the same after a round trip."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuron_core.skeletons.records import (
    Pose,
    Skeleton,
    SkeletonError,
    read_poses,
    read_skeleton,
    write_poses,
    write_skeleton,
)

IDENTITY = tuple(tuple(row) for row in np.eye(4).tolist())
SKELETON = Skeleton(
    joints=("root", "root/arm", "root/arm/hand", "root/leg"),
    parents=(-1, 0, 1, 0),
    bind=(IDENTITY,) * 4,
    rest=(IDENTITY,) * 4,
    method="bound in the stage",
    source="lion.usda",
    prim="/Lion/Rig",
)
POSES = (
    Pose("rise", ((0.0, 0.0, 0.0, 1.0),) * 4, (IDENTITY[:3],) * 4),
    Pose("bow", ((0.0, 0.6, 0.0, 0.8),) * 4, (IDENTITY[:3],) * 4, "test", time=12.5),
)


def test_records_survive_their_files(tmp_path):
    write_skeleton(tmp_path / "skeleton.json", SKELETON)
    write_poses(tmp_path / "poses.json", POSES)
    skeleton = read_skeleton(tmp_path / "skeleton.json")
    assert skeleton == SKELETON and read_poses(tmp_path / "poses.json", skeleton) == POSES


def damaged(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(joints=[], parents=[], bind=[], rest=[]), "joints has 0 entries"),
        (lambda c: c["parents"].pop(), "4 joints have 3 parents"),
        (lambda c: c["rest"].pop(), "4 joints have 3 rest"),
        (lambda c: c["parents"].__setitem__(1, 1), "joint root/arm comes before its parent 1"),
        (lambda c: c["parents"].__setitem__(0, -2), "joint root comes before its parent -2"),
        (lambda c: c["joints"].__setitem__(3, "root"), "two joints have the same name"),
        (lambda c: c["bind"][2][3].__setitem__(0, 1.0), r"bind\[2\] has the last row \[1.0"),
        (lambda c: c["bind"][2][0].__setitem__(0, -1.0), r"bind\[2\] is flat or mirrors"),
        (lambda c: c["rest"][0][1].__setitem__(1, 0.0), r"rest\[0\] is flat or mirrors"),
        (lambda c: c["rest"][0][1].__setitem__(1, "x"), r"rest\[0\]\[1\]\[1\] is 'x', not a number"),
        (lambda c: c.update(version=2), "has version 2; this Neuron reads versions up to 1"),
        (lambda c: c.pop("bind"), "has no field bind"),
    ],
)
def test_a_damaged_skeleton_names_file_and_field(tmp_path, change, message):
    path = tmp_path / "skeleton.json"
    write_skeleton(path, SKELETON)
    damaged(path, change)
    with pytest.raises(SkeletonError, match=message) as caught:
        read_skeleton(path)
    assert "skeleton.json" in caught.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda poses: poses[1].update(name="rise"), "poses names 'rise' twice"),
        (lambda poses: poses[1].update(name="a b"), r"poses\[1\].name is 'a b', not a name"),
        (
            lambda poses: poses[1]["rotations"].__setitem__(2, [0, 0, 0, 0]),
            r"rotations\[2\] has the length 0",
        ),
        (lambda poses: poses[1]["transforms"][1][2].__setitem__(2, 0), r"transforms\[1\] is flat or mirrors"),
        (lambda poses: poses[0]["transforms"].pop(), "pose rise has 4 rotations and 3 transforms"),
        (
            lambda poses: poses[0].update(rotations=[], transforms=[]),
            "pose rise has 0 joints, the skeleton 4",
        ),
        (lambda poses: poses[0].update(time=float("inf")), "not valid JSON"),
    ],
)
def test_damaged_poses_name_file_and_field(tmp_path, change, message):
    path = tmp_path / "poses.json"
    write_poses(path, POSES)
    damaged(path, lambda content: change(content["poses"]))
    with pytest.raises(SkeletonError, match=message) as caught:
        read_poses(path, SKELETON)
    assert "poses.json" in caught.value.message
