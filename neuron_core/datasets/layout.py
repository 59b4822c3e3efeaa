"""What a dataset folder holds and how its files are named: shared by who writes and who reads it.

    dataset.json            the manifest, written last
    cameras.json            poses, intrinsics and the camera splits
    materials.json          the records that were rendered
    gbuffer/<camera>.exr    what does not depend on the material
    beauty/<material>/<camera>.exr
    beauty/<material>/transforms.json

Paths here are relative to the folder, with forward slashes, as the manifest lists them.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from neuron_core.foundation.errors import NeuronError

T = TypeVar("T")

VERSION = 1
MANIFEST = "dataset.json"
CAMERAS = "cameras.json"
MATERIALS = "materials.json"
TRANSFORMS = "transforms.json"
GBUFFER_FOLDER = "gbuffer"
BEAUTY_FOLDER = "beauty"

BEAUTY_CHANNELS = ("R", "G", "B", "A")  # linear, premultiplied, written as halves
POSITION_CHANNELS = ("P.X", "P.Y", "P.Z")
NORMAL_CHANNELS = ("N.X", "N.Y", "N.Z")
GBUFFER_CHANNELS = ("depth", *POSITION_CHANNELS, *NORMAL_CHANNELS, "coverage", "shape_id")

CAMERA_SPLITS = ("train", "val", "test")
SURFACE_SPLIT = "surface"  # cameras with G-buffers and no pictures, perhaps of another resolution
MATERIAL_SPLITS = ("train", "compositional")
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class DatasetError(NeuronError):
    """A dataset that is missing, unfinished, damaged or not of the kind that is needed."""

    kind = "dataset"


def gbuffer_path(camera: str) -> str:
    """Where the G-buffer of a camera is."""
    return f"{GBUFFER_FOLDER}/{_slug(camera)}.exr"


def beauty_path(material: str, camera: str) -> str:
    """Where the picture of a material from a camera is."""
    return f"{BEAUTY_FOLDER}/{_slug(material)}/{_slug(camera)}.exr"


def transforms_path(material: str) -> str:
    """Where the description of one material for other NeRF programs is."""
    return f"{BEAUTY_FOLDER}/{_slug(material)}/{TRANSFORMS}"


def _slug(name: str) -> str:
    if not SLUG.fullmatch(name):
        raise DatasetError(
            f"{name!r} cannot be the name of a file.", "Use letters, digits, dots, dashes and underscores."
        )
    return name


@dataclass(frozen=True, slots=True, eq=False)
class GBuffer:
    """What one exact ray through each pixel centre hits first. Zero everywhere where it misses."""

    depth: np.ndarray  # [H, W] float32 distance along the unit ray, 0 for a miss
    position: np.ndarray  # [H, W, 3] float32 world
    normal: np.ndarray  # [H, W, 3] float32 world, unit, towards the camera's side of the surface
    coverage: np.ndarray  # [H, W] float32, 1 for a hit
    shape_id: np.ndarray  # [H, W] int32, counted from 1; 0 for a miss

    def to_channels(self) -> dict[str, np.ndarray]:
        """The channels of its EXR file, [H, W] float32."""
        values = [self.depth, *np.moveaxis(self.position, -1, 0), *np.moveaxis(self.normal, -1, 0)]
        values += [self.coverage, self.shape_id]
        return {
            name: np.asarray(value, np.float32) for name, value in zip(GBUFFER_CHANNELS, values, strict=True)
        }

    @staticmethod
    def from_channels(channels: Mapping[str, np.ndarray]) -> "GBuffer":
        """The inverse of `to_channels`."""
        return GBuffer(
            depth=channels["depth"],
            position=np.stack([channels[name] for name in POSITION_CHANNELS], axis=-1),
            normal=np.stack([channels[name] for name in NORMAL_CHANNELS], axis=-1),
            coverage=channels["coverage"],
            shape_id=np.rint(channels["shape_id"]).astype(np.int32),
        )


def beauty_channels(rgba: np.ndarray) -> dict[str, np.ndarray]:
    """The channels of the EXR file of a picture [H, W, 4]."""
    return {name: rgba[..., index] for index, name in enumerate(BEAUTY_CHANNELS)}


def require_channels(channels: Mapping[str, np.ndarray], wanted: Sequence[str], path: Path) -> None:
    """Raise DatasetError naming what is missing in the file at `path`."""
    missing = [name for name in wanted if name not in channels]
    if missing:
        raise DatasetError(f"{path} lacks the channels {', '.join(missing)}; it has {', '.join(channels)}.")


def material_records(content: object) -> dict[str, dict[str, object]]:
    """The records of materials.json (a material library) by name. Raises DatasetError for others."""
    records = content.get("materials") if isinstance(content, dict) else content
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DatasetError(f"{MATERIALS} holds no list of material records.")
    return {str(record.get("name")): record for record in records}


@dataclass(frozen=True, slots=True)
class GeometryInfo:
    """What was rendered, and where it is in the world of the cameras."""

    spec: str  # "shaderball" or PATH.usd[@/prim]
    digest: str  # of the meshes
    assign: tuple[str, ...]  # prims that take the material; none means all
    center: tuple[float, float, float]  # the position in the source that became the origin
    aabb: tuple[tuple[float, float, float], tuple[float, float, float]]  # lower and upper corner, metres


@dataclass(frozen=True, slots=True)
class RendererInfo:
    """What rendered it and how."""

    name: str
    version: str
    variant: str
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MaterialInfo:
    """One material of the dataset; its record stands in materials.json under the same name."""

    name: str
    prompt: str  # the canonical one
    prompts: tuple[str, ...]  # other wordings
    split: str  # "train" | "compositional"
    supported: bool  # whether the renderer can do it; others stay out of averages
    transmissive: bool
    dropped: tuple[str, ...] = ()  # inputs that the renderer does not have
    truth_floor: dict[str, float] = field(default_factory=dict)  # camera split -> dB of the truth's noise


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of dataset.json. `from_json` is strict and raises DatasetError."""

    geometry: GeometryInfo
    renderer: RendererInfo
    resolution: tuple[int, int]  # width, height of every picture
    materials: tuple[MaterialInfo, ...]
    splits: dict[str, tuple[str, ...]]  # train, val, test (surface) -> camera names, as in cameras.json
    files: dict[str, str]  # relative path -> SHA-256, of every file but the manifest
    config: dict[str, object]  # what the dataset was asked to be
    fingerprint: str  # of the config
    dropped: tuple[str, ...] = ()  # inputs dropped for at least one material
    notes: tuple[str, ...] = ()  # for a person
    licences: tuple[str, ...] = ()
    mask_rectangle: tuple[int, int, int, int] | None = None  # x0 y0 x1 y1: pixels not to learn from
    kind: str = "rendered"
    version: int = VERSION

    def to_json(self) -> dict[str, object]:
        """Plain data, ready for a JSON file."""
        content: dict[str, object] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return content

    @staticmethod
    def from_json(content: object) -> "Manifest":
        """Check and convert the content of dataset.json."""
        fields = _Fields(content, "dataset.json")
        version = fields.take("version", int)
        if version > VERSION:
            raise DatasetError(
                f"The dataset has version {version}; this Neuron reads versions up to {VERSION}.",
                "Update Neuron, or make the dataset again with this one.",
            )
        manifest = Manifest(
            version=version,
            kind=fields.take("kind", str),
            geometry=_geometry(fields.take("geometry", dict)),
            renderer=_renderer(fields.take("renderer", dict)),
            resolution=_pair(fields.take("resolution", list)),
            materials=tuple(_material(entry) for entry in fields.take("materials", list)),
            splits={key: _texts(names, key) for key, names in fields.take("splits", dict).items()},
            files=_files(fields.take("files", dict)),
            config=fields.take("config", dict),
            fingerprint=fields.take("fingerprint", str),
            dropped=_texts(fields.take("dropped", list), "dropped"),
            notes=_texts(fields.take("notes", list), "notes"),
            licences=_texts(fields.take("licences", list), "licences"),
            mask_rectangle=rectangle(fields.take("mask_rectangle", list, type(None))),
        )
        fields.finish()
        return manifest


class _Fields:
    """A JSON object whose entries are taken one by one, and none is left over."""

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, dict):
            raise DatasetError(f"{where} is not a JSON object but {type(content).__name__}.")
        self._rest = dict(content)
        self._where = where

    def take(self, name: str, *kinds: type[T]) -> T:
        """The entry, which must be of one of the kinds."""
        if name not in self._rest:
            raise DatasetError(f"{self._where} has no entry {name!r}.", "Make the dataset again.")
        value = self._rest.pop(name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise DatasetError(
                f"{self._where} has {name} = {str(value)[:80]!r}, which is no {kinds[0].__name__}."
            )
        return value

    def finish(self) -> None:
        """Refuse what was not taken."""
        if self._rest:
            raise DatasetError(f"{self._where} has unknown entries: {', '.join(sorted(self._rest))}.")


def _geometry(content: object) -> GeometryInfo:
    fields = _Fields(content, "geometry in dataset.json")
    info = GeometryInfo(
        spec=fields.take("spec", str),
        digest=fields.take("digest", str),
        assign=_texts(fields.take("assign", list), "assign"),
        center=_point(fields.take("center", list)),
        aabb=_box(fields.take("aabb", list)),
    )
    fields.finish()
    return info


def _renderer(content: object) -> RendererInfo:
    fields = _Fields(content, "renderer in dataset.json")
    info = RendererInfo(
        name=fields.take("name", str),
        version=fields.take("version", str),
        variant=fields.take("variant", str),
        settings=fields.take("settings", dict),
    )
    fields.finish()
    return info


def _material(content: object) -> MaterialInfo:
    fields = _Fields(content, "a material in dataset.json")
    info = MaterialInfo(
        name=_slug(fields.take("name", str)),
        prompt=fields.take("prompt", str),
        prompts=_texts(fields.take("prompts", list), "prompts"),
        split=fields.take("split", str),
        supported=fields.take("supported", bool),
        transmissive=fields.take("transmissive", bool),
        dropped=_texts(fields.take("dropped", list), "dropped"),
        truth_floor=_floors(fields.take("truth_floor", dict)),
    )
    fields.finish()
    if info.split not in MATERIAL_SPLITS:
        raise DatasetError(
            f"Material {info.name} has the split {info.split!r}, not {' or '.join(MATERIAL_SPLITS)}."
        )
    return info


def rectangle(content: object) -> tuple[int, int, int, int] | None:
    """A mask rectangle x0 y0 x1 y1 in pixels, x1 and y1 excluded; None passes."""
    if content is None:
        return None
    numbers = _numbers(content, 4, "mask_rectangle")
    x0, y0, x1, y1 = (round(number) for number in numbers)
    if numbers != (x0, y0, x1, y1) or not (0 <= x0 < x1 and 0 <= y0 < y1):
        raise DatasetError(
            f"The mask rectangle {content} is not x0 y0 x1 y1 in whole pixels, x0 < x1, y0 < y1."
        )
    return x0, y0, x1, y1


def _pair(content: object) -> tuple[int, int]:
    width, height = _numbers(content, 2, "resolution")
    if width != round(width) or height != round(height) or width < 1 or height < 1:
        raise DatasetError(f"dataset.json has the resolution {content}.")
    return round(width), round(height)


def _box(content: object) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    if not isinstance(content, list) or len(content) != 2:
        raise DatasetError(f"dataset.json has the aabb {content}, not two corners.")
    low, high = _point(content[0]), _point(content[1])
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise DatasetError(f"dataset.json has an empty aabb: {content}.")
    return low, high


def _point(content: object) -> tuple[float, float, float]:
    x, y, z = _numbers(content, 3, "a point")
    return x, y, z


def _numbers(content: object, count: int, where: str) -> tuple[float, ...]:
    if not isinstance(content, list | tuple) or len(content) != count:
        raise DatasetError(f"dataset.json has {where} = {content!r}, not {count} numbers.")
    for value in content:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DatasetError(f"dataset.json has {where} = {content!r}, not {count} finite numbers.")
    return tuple(float(value) for value in content)


def _floors(content: dict[str, object]) -> dict[str, float]:
    return {split: _numbers([value], 1, "truth_floor")[0] for split, value in content.items()}


def _texts(content: object, where: str) -> tuple[str, ...]:
    if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
        raise DatasetError(f"dataset.json has {where} = {str(content)[:80]}, not a list of texts.")
    return tuple(content)


def _files(content: dict[str, object]) -> dict[str, str]:
    for path, digest in content.items():
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise DatasetError(f"dataset.json has no SHA-256 for {path}: {str(digest)[:80]!r}.")
        if path.startswith("/") or "\\" in path or ".." in path.split("/"):
            raise DatasetError(f"dataset.json lists a file outside of the folder: {path}.")
    return {path: str(digest) for path, digest in content.items()}
