"""Frames of a dataset, frames.json: what moves between them, cameras and the objects of a scene."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from neuron_core.cameras.camera import Camera, CameraError, from_json
from neuron_core.datasets.channels import LARGEST_ID
from neuron_core.datasets.layout import LAST_FRAME, DatasetError
from neuron_core.datasets.manifest import Point
from neuron_core.foundation.checks import length, within
from neuron_core.foundation.files import write_json
from neuron_core.foundation.records import Rules, read_record_file, to_plain

Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]


@dataclass(frozen=True, slots=True)
class ObjectBox:
    """Where an object of a scene is: its box in its own space."""

    id: Annotated[int, within(1, LARGEST_ID)]  # in the channel object_id; the same in every frame
    name: str
    world_from_object: Matrix  # column vectors
    low: Point
    high: Point

    def __post_init__(self) -> None:
        if not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise DatasetError(f"the object {self.name} has an empty box.")


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame. Cameras that it does not list are where cameras.json has them."""

    number: Annotated[int, within(0, LAST_FRAME)]
    time: float = 0.0  # seconds
    split: Literal["train", "val", "test"] = "train"
    cameras: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # as cameras.json has them
    objects: tuple[ObjectBox, ...] = ()

    @property
    def name(self) -> str:
        """The number, written out."""
        return str(self.number)

    def moved_cameras(self) -> dict[str, Camera]:
        """Those that are elsewhere at this frame. Raises DatasetError."""
        try:
            cameras = {name: from_json(content) for name, content in self.cameras.items()}
        except CameraError as error:
            raise DatasetError(f"Frame {self.number}: {error.message}", error.hint) from error
        wrong = [name for name, camera in cameras.items() if camera.name != name]
        if wrong:
            raise DatasetError(f"Frame {self.number} has another camera under the name {wrong[0]}.")
        return cameras


@dataclass(frozen=True, slots=True)
class _File:
    RECORD: ClassVar[Rules] = Rules(version="version", newest=1)

    frames: Annotated[tuple[FrameRecord, ...], length(1, LAST_FRAME + 1)]

    def __post_init__(self) -> None:
        numbers = [frame.number for frame in self.frames]
        if numbers != sorted(set(numbers)):
            raise DatasetError(f"the frames {numbers[:8]} do not follow each other.")


def read_frames(path: Path) -> tuple[FrameRecord, ...]:
    """The frames of a frames.json. Raises DatasetError naming the field, or FileError."""
    return read_record_file(_File, path, DatasetError).frames


def write_frames(path: Path, frames: Sequence[FrameRecord]) -> None:
    """Write a frames.json, whole or not at all."""
    write_json(path, to_plain(_File(tuple(frames))))
