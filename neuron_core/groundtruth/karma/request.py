"""What Karma is to render for a dataset. Needs the standard library and numpy, as hosts write it.

OUT/karma/request.json        this
OUT/karma/raw/gbuffer.0001.exr      by frame; frame 1 is the first camera
OUT/karma/raw/<material>.0001.exr
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from neuron_core.cameras.camera import Camera, CameraRecord, Row, to_json
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import Rectangle, RendererInfo, mask_rectangle
from neuron_core.foundation.checks import length
from neuron_core.foundation.files import write_json
from neuron_core.foundation.records import Rules, read_record_file
from neuron_core.geometry.mesh import Geometry
from neuron_core.groundtruth.plan import DatasetPlan, Unit
from neuron_core.materials import library_from_json, library_to_json
from neuron_core.materials.record import Material

VERSION = 1
DATASET_VERSION = 1  # that the converted dataset has
FOLDER = "karma"
REQUEST = f"{FOLDER}/request.json"
RAW = f"{FOLDER}/raw"
GBUFFER = "gbuffer"
MOST_CAMERAS = 100_000
AS_STORED = ("geometry", "assign", "geometry_digest", "held_out", "renderer", "layered")


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A dataset to be: everything that its pictures depend on. Cameras are in the dataset's world."""

    geometry: str  # as `neuron dataset` takes it
    assign: tuple[str, ...]
    geometry_digest: str
    materials: tuple[Material, ...]
    held_out: tuple[str, ...]
    cameras: tuple[Camera, ...]
    splits: dict[str, tuple[str, ...]]
    renderer: RendererInfo
    dataset_from_stage: np.ndarray  # [4, 4] from the world that Karma sees
    mask_rectangle: tuple[int, int, int, int] | None = None  # what a watermark covers
    layered: bool = True  # whether materials vary over the object, by vertex

    def plan(self, geometry: Geometry) -> DatasetPlan:
        """The plan of the dataset."""
        return DatasetPlan(geometry, self.materials, frozenset(self.held_out), self.cameras, self.splits)

    def frame_of(self, camera: str) -> int:
        """The frame in which Karma looks through a camera."""
        return next(index for index, one in enumerate(self.cameras, 1) if one.name == camera)

    def raw_path(self, unit: Unit) -> str:
        """Where Karma's picture for a file of the dataset is, relative to the dataset."""
        return f"{RAW}/{unit.material or GBUFFER}.{self.frame_of(unit.camera):04d}.exr"

    def description(self) -> dict[str, object]:
        """Plain data; two datasets with the same description are the same."""
        content = self.to_json()
        settings = {**self.renderer.settings, "version": self.renderer.version}
        return {**content, "renderer": "karma", "karma": settings, "version": DATASET_VERSION}

    def to_json(self) -> dict[str, object]:
        """Plain JSON, the inverse of `from_json`."""
        return {
            "version": VERSION,
            "geometry": self.geometry,
            "assign": list(self.assign),
            "geometry_digest": self.geometry_digest,
            "materials": library_to_json(self.materials),
            "held_out": sorted(self.held_out),
            "cameras": [to_json(camera) for camera in self.cameras],
            "splits": {split: list(names) for split, names in self.splits.items()},
            "renderer": {
                "name": self.renderer.name,
                "version": self.renderer.version,
                "variant": self.renderer.variant,
                "settings": dict(self.renderer.settings),
            },
            "dataset_from_stage": np.asarray(self.dataset_from_stage, np.float64).tolist(),
            "mask_rectangle": None if self.mask_rectangle is None else list(self.mask_rectangle),
            "layered": self.layered,
        }


def write_request(folder: Path, request: Request) -> None:
    """Write it into the folder of a dataset."""
    write_json(folder / REQUEST, request.to_json())


@dataclass(frozen=True, slots=True)
class _Stored:
    """The file, whose materials have a reader of their own."""

    RECORD: ClassVar[Rules] = Rules(version="version", newest=VERSION)

    geometry: str
    assign: tuple[str, ...]
    geometry_digest: str
    materials: object
    held_out: tuple[str, ...]
    cameras: Annotated[tuple[CameraRecord, ...], length(1, MOST_CAMERAS)]
    splits: Mapping[str, tuple[str, ...]]
    renderer: RendererInfo
    dataset_from_stage: tuple[Row, Row, Row, Row]
    mask_rectangle: Rectangle | None
    layered: bool


def read_request(folder: Path) -> Request:
    """Read it back. Raises DatasetError, CameraError or MaterialError for what it cannot be."""
    path = folder / REQUEST
    if not path.is_file():
        raise DatasetError(f"{folder} holds no request to Karma.", "Render it with the dataset node first.")
    stored = read_record_file(_Stored, path, _damaged)
    listed = {name for names in stored.splits.values() for name in names}
    if listed != {camera.name for camera in stored.cameras}:
        raise _damaged(f"{path}: cameras and splits do not fit.")
    others = {name: getattr(stored, name) for name in AS_STORED}
    return Request(
        **others,
        materials=tuple(library_from_json(stored.materials, str(path))),
        cameras=tuple(camera.camera() for camera in stored.cameras),
        splits=dict(stored.splits),
        dataset_from_stage=np.array(stored.dataset_from_stage),
        mask_rectangle=mask_rectangle(stored.mask_rectangle),
    )


def _damaged(message: str, hint: str = "Render again from Houdini.") -> DatasetError:
    return DatasetError(message, hint)
