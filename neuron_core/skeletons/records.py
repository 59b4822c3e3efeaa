"""Records of a skeleton and its poses, as skeleton.json and poses.json hold them, strictly checked.

Joints are named by their path, as in UsdSkel ("root/arm/hand"), parents before children. Matrices
are for column vectors and in meters; quaternions are x y z w.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from neuron_core.foundation.checks import file_name, length, unique_names
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import write_json
from neuron_core.foundation.records import Rules, read_record_file, to_plain, write_record

Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]
Affine = tuple[Row, Row, Row]  # the upper three rows
Quaternion = tuple[float, float, float, float]

MOST_JOINTS, MOST_POSES = 4096, 100_000
OFF_UNIT = 1e-3  # that the length of a rotation may differ from 1


class SkeletonError(NeuronError):
    """A skeleton or pose that is damaged, or poses of another skeleton."""

    kind = "skeleton"


def _is_affine(matrix: Matrix) -> str:
    if matrix[3] != (0.0, 0.0, 0.0, 1.0):
        return f"has the last row {list(matrix[3])}, not 0 0 0 1"
    return _keeps_sides(matrix[:3])


def _keeps_sides(rows: Affine) -> str:
    (a, b, c, _), (d, e, f, _), (g, h, i, _) = rows
    volume = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return "" if volume > 0.0 else f"is flat or mirrors: its determinant is {volume:g}"


def _is_rotation(quaternion: Quaternion) -> str:
    size = math.hypot(*quaternion)
    return "" if abs(size - 1.0) <= OFF_UNIT else f"has the length {size:g}, not 1"


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joints at rest. Raises SkeletonError for joints that are not a tree."""

    RECORD: ClassVar[Rules] = Rules(version="version", newest=1)

    joints: Annotated[tuple[str, ...], length(1, MOST_JOINTS)]
    parents: tuple[int, ...]  # index of the parent, -1 for a root
    bind: tuple[Annotated[Matrix, _is_affine], ...]  # asset_from_joint where the mesh was bound
    rest: tuple[Annotated[Matrix, _is_affine], ...]  # parent_from_joint in the rest pose
    method: str = ""  # how the weights were found
    source: str = ""  # the stage that it comes from
    prim: str = ""

    def __post_init__(self) -> None:
        count = len(self.joints)
        for name, values in (("parents", self.parents), ("bind", self.bind), ("rest", self.rest)):
            if len(values) != count:
                raise SkeletonError(f"{count} joints have {len(values)} {name}.")
        if len(set(self.joints)) < count:
            raise SkeletonError("two joints have the same name.")
        for index, (joint, parent) in enumerate(zip(self.joints, self.parents, strict=True)):
            if not -1 <= parent < index:
                raise SkeletonError(f"joint {joint} comes before its parent {parent}.")


@dataclass(frozen=True, slots=True)
class Pose:
    """One pose of a skeleton, a value per joint in its order."""

    name: Annotated[str, file_name]
    rotations: tuple[Annotated[Quaternion, _is_rotation], ...]  # parent_from_joint
    transforms: tuple[Annotated[Affine, _keeps_sides], ...]  # posed_from_bound, in the asset's space
    split: Literal["train", "val", "test"] = "train"
    time: float = 0.0  # of the clip that it comes from, in frames

    def __post_init__(self) -> None:
        if len(self.rotations) != len(self.transforms):
            raise SkeletonError(
                f"pose {self.name} has {len(self.rotations)} rotations and {len(self.transforms)} transforms."
            )


@dataclass(frozen=True, slots=True)
class _File:
    RECORD: ClassVar[Rules] = Rules(version="version", newest=1)

    poses: Annotated[tuple[Pose, ...], length(1, MOST_POSES), unique_names]


def read_skeleton(path: Path) -> Skeleton:
    """The skeleton of a skeleton.json. Raises SkeletonError naming the field, or FileError."""
    return read_record_file(Skeleton, path, SkeletonError)


def write_skeleton(path: Path, skeleton: Skeleton) -> None:
    """Write a skeleton.json, whole or not at all."""
    write_record(path, skeleton)


def read_poses(path: Path, skeleton: Skeleton) -> tuple[Pose, ...]:
    """The poses of a poses.json. Raises SkeletonError naming the field or the pose, or FileError."""
    poses = read_record_file(_File, path, SkeletonError).poses
    for pose in poses:
        if len(pose.rotations) != len(skeleton.joints):
            raise SkeletonError(
                f"{path}: pose {pose.name} has {len(pose.rotations)} joints, the skeleton "
                f"{len(skeleton.joints)}.",
                "Take the poses from the same clip as the skeleton.",
            )
    return poses


def write_poses(path: Path, poses: Sequence[Pose]) -> None:
    """Write a poses.json, whole or not at all."""
    write_json(path, to_plain(_File(tuple(poses))))
