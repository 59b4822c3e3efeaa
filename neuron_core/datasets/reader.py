"""Open a dataset for training and evaluation: ours, or a foreign transforms.json as it is."""

import difflib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from neuron_core.cameras.camera import Camera, load_cameras
from neuron_core.cameras.focus import Focus, find_focus
from neuron_core.cameras.transforms import is_transforms, read_transforms
from neuron_core.datasets import layout, photographs
from neuron_core.datasets.layout import DatasetError, GBuffer, Manifest
from neuron_core.datasets.photographs import Photographs, require_finite
from neuron_core.foundation.colors import linear_to_srgb, over_white
from neuron_core.foundation.files import read_json, sha256_of
from neuron_core.images.exr import read_exr

CACHE_BYTES = 256 << 20  # of decoded pictures that are kept


@dataclass(frozen=True, slots=True)
class MaterialEntry:
    """One look of the dataset. Photographs have a single one, called "scene"."""

    name: str
    prompt: str  # the canonical one
    prompts: tuple[str, ...]  # other wordings
    record: Mapping[str, object]  # as in materials.json
    split: str  # "train" | "compositional"
    supported: bool = True  # whether the renderer could do it; others stay out of averages
    transmissive: bool = False
    dropped: tuple[str, ...] = ()
    truth_floors: Mapping[str, float] | None = None  # camera split -> dB

    @property
    def truth_floor(self) -> float | None:
        """How alike two renders of the same test view are, in dB, if that was measured."""
        return (self.truth_floors or {}).get("test")


@runtime_checkable
class Source(Protocol):
    """Where pictures come from."""

    def picture(self, material: str, camera: str) -> np.ndarray:
        """Linear premultiplied [H, W, 4] float32."""

    def file_of(self, material: str, camera: str) -> Path:
        """Where the picture is on disk."""

    def gbuffer(self, camera: str) -> GBuffer | None:
        """What the rays through the pixel centres hit, if that is known."""

    def exists(self, material: str, camera: str) -> bool:
        """Whether there is such a picture."""

    def digest(self) -> str:
        """SHA-256 of all content, as hex digits."""

    def verify(self) -> None:
        """Raise DatasetError or FileError if a file is missing, damaged or changed."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Cameras, looks and the pictures of the looks from the cameras. Pictures are read when asked for."""

    path: Path
    kind: Literal["rendered", "photographs"]
    cameras: dict[str, Camera]
    splits: dict[str, list[str]]  # "train", "val", "test", "surface" (G-buffers only) -> names of cameras
    materials: list[MaterialEntry]
    aabb: np.ndarray  # [2, 3] float32 of the object, or of the scene in photographs
    background: Literal["transparent", "opaque"]
    composited: Literal["linear", "srgb"]  # where a background goes under the pictures
    manifest: dict[str, object]  # of dataset.json; empty for photographs
    mask_rectangle: tuple[int, int, int, int] | None  # x0 y0 x1 y1 in pixels: not to learn from
    _source: Source
    _cache: "_Cache"

    def beauty(self, material: str, camera: str) -> np.ndarray:
        """The picture [H, W, 4] float32, linear and premultiplied; photographs are decoded from sRGB.

        Raises DatasetError or FileError naming what is unknown, missing or damaged.
        """
        self._check(material, camera)
        return self._cache.get((material, camera), lambda: self._source.picture(material, camera)).copy()

    def gbuffer(self, camera: str) -> GBuffer | None:
        """What the rays through the pixel centres hit first; None for photographs."""
        self._check_camera(camera)
        return self._source.gbuffer(camera)

    def encoded(self, material: str, camera: str) -> np.ndarray:
        """The picture as metrics compare it: sRGB over white, [H, W, 3] float32 in [0, 1].

        Renders (EXR) are composited in linear, photographs in sRGB.
        """
        rgba = self.beauty(material, camera)
        if self.composited == "linear":
            return linear_to_srgb(over_white(rgba))
        alpha = rgba[..., 3:4]
        straight = np.divide(rgba[..., :3], alpha, out=np.zeros_like(rgba[..., :3]), where=alpha > 0)
        return np.asarray(linear_to_srgb(straight) * alpha + (1 - alpha), np.float32)

    def valid(self, camera: str) -> np.ndarray:
        """Which pixels to learn from and to compare, [H, W] bool: all but the mask rectangle."""
        self._check_camera(camera)
        valid = np.ones((self.cameras[camera].height, self.cameras[camera].width), bool)
        if self.mask_rectangle is not None:
            x0, y0, x1, y1 = self.mask_rectangle
            valid[y0:y1, x0:x1] = False
        return valid

    def has(self, material: str, camera: str) -> bool:
        """Whether there is a picture. Materials that are held out are not rendered from every camera."""
        self._check_names(material, camera)
        return self._source.exists(material, camera)

    def file_of(self, material: str, camera: str) -> Path:
        """Where the picture is on disk."""
        self._check(material, camera)
        return self._source.file_of(material, camera)

    def material(self, name: str) -> MaterialEntry:
        """The entry of that name. Raises DatasetError with names that are near."""
        names = [entry.name for entry in self.materials]
        if name not in names:
            raise _unknown("material", name, names, self.path)
        return self.materials[names.index(name)]

    def focus(self) -> Focus:
        """What the cameras look at together, and from how far."""
        return find_focus(list(self.cameras.values()))

    def digest(self) -> str:
        """SHA-256 of all content, as hex digits. Reads all pictures of photographs."""
        return self._source.digest()

    def verify(self) -> None:
        """Read every file. Raises DatasetError naming files that are missing, damaged or changed."""
        self._source.verify()

    def _check(self, material: str, camera: str) -> None:
        if not self.has(material, camera):
            raise DatasetError(
                f"{self.path} has no picture of {material} from {camera}.",
                "Materials that are held out are rendered from the test cameras only.",
            )

    def _check_names(self, material: str, camera: str) -> None:
        self.material(material)
        self._check_camera(camera)

    def _check_camera(self, camera: str) -> None:
        if camera not in self.cameras:
            raise _unknown("camera", camera, self.cameras, self.path)


def open_dataset(
    path: Path,
    downscale: float | int = 1,
    mask_rectangle: Sequence[int] | None = None,
) -> Dataset:
    """Open a folder with dataset.json, or a foreign transforms.json (the file or its folder).

    `downscale` divides the sides of photographs. `mask_rectangle` (x0 y0 x1 y1 in pixels of the full
    size, x1 and y1 excluded) replaces the dataset's own. Raises DatasetError.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"There is no dataset at {path}.", "Make one with `neuron dataset`.")
    folder = path.parent if path.name == layout.MANIFEST else path
    rectangle = layout.rectangle(None if mask_rectangle is None else list(mask_rectangle))
    if (folder / layout.MANIFEST).is_file():
        if downscale != 1:
            raise DatasetError(
                f"{folder} is a rendered dataset and cannot be scaled down by {downscale:g}.",
                "Only photographs are; render with a smaller --resolution.",
            )
        return _open_rendered(folder, rectangle)
    if is_transforms(path) or path.suffix == ".json":
        return _open_photographs(path, float(downscale), rectangle)
    raise _no_dataset(path)


def _no_dataset(path: Path) -> DatasetError:
    if not path.is_dir():
        return DatasetError(f"{path} is no dataset.", "Give a folder, or a transforms.json.")
    started = (layout.CAMERAS, layout.MATERIALS, layout.GBUFFER_FOLDER, layout.BEAUTY_FOLDER)
    if any((path / name).exists() for name in started):
        return DatasetError(
            f"The dataset in {path} is unfinished: it has no {layout.MANIFEST}.",
            "Run the same `neuron dataset` command again; it goes on where it stopped.",
        )
    return DatasetError(
        f"{path} holds no dataset: neither {layout.MANIFEST} nor transforms.json.",
        "Make one with `neuron dataset`, or give the folder of a NeRF dataset.",
    )


def _unknown(kind: str, name: str, known: Iterable[str], path: Path) -> DatasetError:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(known[:8])}."
    return DatasetError(f"{path} has no {kind} {name!r}.", hint)


def _open_photographs(path: Path, downscale: float, rectangle: tuple[int, int, int, int] | None) -> Dataset:
    if not 1 <= downscale <= 64:
        raise DatasetError(f"Photographs cannot be scaled down by {downscale:g}.", "Give 1 to 64.")
    transforms = read_transforms(path)
    source = Photographs(transforms, downscale)
    return Dataset(
        path=path,
        kind="photographs",
        cameras=dict(source.cameras),
        splits=transforms.splits,
        materials=[MaterialEntry(photographs.SCENE, photographs.PROMPT, (), {}, "train")],
        aabb=photographs.bounds(transforms),
        background="transparent" if source.transparent() else "opaque",
        composited="linear" if source.linear() else "srgb",
        manifest={},
        mask_rectangle=_scaled(rectangle, downscale),
        _source=source,
        _cache=_Cache(),
    )


def _scaled(
    rectangle: tuple[int, int, int, int] | None, downscale: float
) -> tuple[int, int, int, int] | None:
    if rectangle is None:
        return None
    x0, y0, x1, y1 = np.array(rectangle) / downscale
    return int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))


def _open_rendered(folder: Path, rectangle: tuple[int, int, int, int] | None) -> Dataset:
    content = read_json(folder / layout.MANIFEST)
    try:
        manifest = Manifest.from_json(content)
    except DatasetError as error:
        raise DatasetError(f"{folder}: {error.message}", error.hint) from error
    assert isinstance(content, dict)
    for name in (layout.CAMERAS, layout.MATERIALS):
        _check_content(folder, name, manifest.files)
    cameras, splits = load_cameras(folder / layout.CAMERAS)
    _check_cameras(folder, cameras, splits, manifest)
    named = {camera.name: camera for camera in cameras}
    return Dataset(
        path=folder,
        kind="rendered",
        cameras=named,
        splits={split: splits.get(split, []) for split in (*layout.CAMERA_SPLITS, layout.SURFACE_SPLIT)},
        materials=_entries(folder, manifest),
        aabb=np.array(manifest.geometry.aabb, np.float32),
        background="transparent",
        composited="linear",
        manifest=content,
        mask_rectangle=rectangle or manifest.mask_rectangle,
        _source=_Rendered(folder, manifest, named),
        _cache=_Cache(),
    )


def _check_cameras(
    folder: Path, cameras: Sequence[Camera], splits: Mapping[str, Sequence[str]], manifest: Manifest
) -> None:
    told = {split: list(names) for split, names in manifest.splits.items() if names}
    found = {split: list(names) for split, names in splits.items() if names}
    if told != found:
        raise DatasetError(f"The splits of {layout.CAMERAS} and {layout.MANIFEST} in {folder} differ.")
    free = splits.get(layout.SURFACE_SPLIT, ())
    for camera in cameras:
        if camera.name not in free and (camera.width, camera.height) != manifest.resolution:
            width, height = manifest.resolution
            raise DatasetError(
                f"Camera {camera.name} in {folder} has {camera.width} x {camera.height} pixels, the dataset "
                f"{width} x {height}."
            )


def _entries(folder: Path, manifest: Manifest) -> list[MaterialEntry]:
    records = layout.material_records(read_json(folder / layout.MATERIALS))
    missing = [info.name for info in manifest.materials if info.name not in records]
    if missing:
        raise DatasetError(f"{layout.MATERIALS} in {folder} lacks {', '.join(missing[:5])}.")
    return [
        MaterialEntry(
            info.name,
            info.prompt,
            info.prompts,
            records[info.name],
            info.split,
            info.supported,
            info.transmissive,
            info.dropped,
            info.truth_floor,
        )
        for info in manifest.materials
    ]


class _Rendered:
    """The pictures of a folder that `neuron dataset` or Houdini wrote."""

    def __init__(self, folder: Path, manifest: Manifest, cameras: Mapping[str, Camera]) -> None:
        self._folder = folder
        self._files = manifest.files
        self._cameras = cameras

    def exists(self, material: str, camera: str) -> bool:
        return layout.beauty_path(material, camera) in self._files

    def file_of(self, material: str, camera: str) -> Path:
        return self._folder / layout.beauty_path(material, camera)

    def picture(self, material: str, camera: str) -> np.ndarray:
        channels = self._channels(layout.beauty_path(material, camera), camera, layout.BEAUTY_CHANNELS)
        return np.stack([channels[name] for name in layout.BEAUTY_CHANNELS], axis=-1)

    def gbuffer(self, camera: str) -> GBuffer | None:
        path = layout.gbuffer_path(camera)
        if path not in self._files:
            return None
        return GBuffer.from_channels(self._channels(path, camera, layout.GBUFFER_CHANNELS))

    def _channels(self, path: str, camera: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        file = self._folder / path
        channels = read_exr(file)
        layout.require_channels(channels, wanted, file)
        expected = self._cameras[camera]
        for name in wanted:
            require_finite(channels[name], file)
        height, width = channels[wanted[0]].shape
        if (width, height) != (expected.width, expected.height):
            raise DatasetError(
                f"{file} is an image of the wrong size: {width} x {height} pixels, not "
                f"{expected.width} x {expected.height}."
            )
        return channels

    def digest(self) -> str:
        return sha256_of(self._folder / layout.MANIFEST)

    def verify(self) -> None:
        for path in self._files:
            _check_content(self._folder, path, self._files)


def _check_content(folder: Path, path: str, files: Mapping[str, str]) -> None:
    if path not in files:
        raise DatasetError(f"{layout.MANIFEST} in {folder} does not list {path}.")
    if not (folder / path).is_file():
        raise DatasetError(f"{folder / path} is missing, though the dataset lists it.", "Copy it again.")
    if sha256_of(folder / path) != files[path]:
        raise DatasetError(
            f"{folder / path} is not the file that the dataset was finished with: its checksum differs.",
            "Copy the dataset again, or make it again with --overwrite.",
        )


class _Cache:
    """The pictures that were used last, up to a number of bytes. Safe to use from several threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str], read: Callable[[], np.ndarray]) -> np.ndarray:
        """What is kept under `key`, else what `read` returns. Not to be written to."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = read()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._bytes += value.nbytes
            while self._bytes > self._limit and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return value
