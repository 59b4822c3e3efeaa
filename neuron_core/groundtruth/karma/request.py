"""What Karma is to render for a dataset. Needs the standard library and numpy, as hosts write it.

OUT/karma/request.json        this
OUT/karma/raw/gbuffer.0001.exr      by frame; frame 1 is the first camera
OUT/karma/raw/<material>.0001.exr
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, from_json, to_json
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import RendererInfo, mask_rectangle
from neuron_core.foundation.files import read_json, write_json
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


def read_request(folder: Path) -> Request:
    """Read it back. Raises DatasetError, CameraError or MaterialError for what it cannot be."""
    path = folder / REQUEST
    if not path.is_file():
        raise DatasetError(f"{folder} holds no request to Karma.", "Render it with the dataset node first.")
    content = read_json(path)
    try:
        if not isinstance(content, dict) or content["version"] != VERSION:
            raise TypeError("it has another version")
        cameras = tuple(from_json(record) for record in content["cameras"])
        splits = {str(split): tuple(map(str, names)) for split, names in content["splits"].items()}
        matrix = np.array(content["dataset_from_stage"], np.float64)
        listed = {name for names in splits.values() for name in names}
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise TypeError("dataset_from_stage is not a 4 x 4 matrix")
        if not cameras or listed != {camera.name for camera in cameras}:
            raise TypeError("cameras and splits do not fit")
        return Request(
            geometry=str(content["geometry"]),
            assign=tuple(map(str, content["assign"])),
            geometry_digest=str(content["geometry_digest"]),
            materials=tuple(library_from_json(content["materials"], str(path))),
            held_out=tuple(map(str, content["held_out"])),
            cameras=cameras,
            splits=splits,
            renderer=RendererInfo(**content["renderer"]),
            dataset_from_stage=matrix,
            mask_rectangle=mask_rectangle(content["mask_rectangle"]),
            layered=bool(content["layered"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"{path} is not a request to Karma: {error}.", "Render again from Houdini."
        ) from error
