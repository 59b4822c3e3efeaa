"""Open a dataset for training and evaluation: ours, or a foreign transforms.json as it is."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.cameras.focus import Focus, find_focus
from neuron_core.cameras.transforms import is_transforms, read_transforms
from neuron_core.datasets import layout, photographs
from neuron_core.datasets.channels import Channel
from neuron_core.datasets.contract import SPLITS, Axis, Split, View
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import DatasetManifest, Rectangle, mask_rectangle
from neuron_core.datasets.names import MaterialEntry, Names, names_of, names_of_photographs
from neuron_core.datasets.photographs import Photographs
from neuron_core.datasets.rendered import RenderedFiles, check_content
from neuron_core.foundation.files import read_json


@runtime_checkable
class Files(Protocol):
    """Where pictures come from. Views are complete and their names known."""

    @property
    def pictures(self) -> Iterable[View]:
        """The views of all pictures."""

    @property
    def shapes(self) -> Iterable[View]:
        """The views, without material and light, of all G-buffers."""

    def channels(self, view: View) -> frozenset[Channel]:
        """What there is of a view."""

    def read(self, view: View, channels: Sequence[Channel], camera: Camera) -> dict[Channel, np.ndarray]:
        """Channels that there are."""

    def digest(self) -> str:
        """SHA-256 of all content, as hex digits."""

    def verify(self) -> None:
        """Raise DatasetError or FileError if a file is missing, damaged or changed."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredDataset:
    """A dataset on disk, as `contract.Dataset` promises it, and what a person wants to know of it."""

    path: Path
    kind: Literal["rendered", "photographs"]
    aabb: np.ndarray  # [2, 3] float32 of the object, or of the scene in photographs
    background: Literal["transparent", "opaque"]
    composited: Literal["linear", "srgb"]  # where a background goes under the pictures
    manifest: DatasetManifest | None  # None for photographs
    mask_rectangle: Rectangle | None  # pixels not to learn from
    names: Names  # on the axes, with their records and splits
    files: Files  # that hold the pixels

    @property
    def axes(self) -> Mapping[Axis, tuple[str, ...]]:
        """The names on every axis, in order; frames are numbers written out."""
        return {axis: tuple(records) for axis, records in self.names.records.items()}

    @property
    def cameras(self) -> Mapping[str, Camera]:
        """All of them by name, at frame 0."""
        return self.names.cameras

    @property
    def splits(self) -> Mapping[str, Sequence[str]]:
        """Names of cameras: "train", "val", "test", and "surface" that see the shape alone."""
        return self.names.splits.cameras

    @property
    def materials(self) -> Sequence[MaterialEntry]:
        """The materials with their prompts, in order."""
        return self.names.materials

    def views(self, split: str) -> tuple[View, ...]:
        """The pictures of a split, complete, in the order of the axes: material, light, pose, camera."""
        return self.names.splits.select(_split(split), self.files.pictures)

    def shapes(self, split: str) -> tuple[View, ...]:
        """The G-buffers of a split, as views without material and light."""
        return self.names.splits.select(_split(split), self.files.shapes)

    def channels(self, view: View) -> frozenset[Channel]:
        """What there is of a view; empty if it was not rendered. Raises DatasetError for unknown names."""
        return self.files.channels(self.complete(view))

    def read(self, view: View, *channels: Channel) -> dict[Channel, np.ndarray]:
        """Those channels, as copies. Raises DatasetError naming the view and the channel that is missing."""
        whole = self.complete(view)
        missing = sorted(set(channels) - self.files.channels(whole))
        if missing:
            raise self._lacks(whole, Channel(missing[0]))
        return self.files.read(whole, channels, self.camera(whole))

    def camera(self, view: View) -> Camera:
        """Where it was seen from, at its frame."""
        whole = self.complete(view)
        return self.names.moved.get((whole.camera, whole.frame), self.names.cameras[whole.camera])

    def record(self, axis: Axis, name: str) -> Mapping[str, object]:
        """What is known of a name on an axis, as plain data. Raises DatasetError for unknown names."""
        self._require(axis, name)
        return self.names.records[axis][name]

    def valid(self, view: View) -> np.ndarray:
        """Which pixels to learn from and to compare, [H, W] bool: all but the mask rectangle."""
        camera = self.camera(view)
        valid = np.ones((camera.height, camera.width), bool)
        if self.mask_rectangle is not None:
            x0, y0, x1, y1 = self.mask_rectangle
            valid[y0:y1, x0:x1] = False
        return valid

    def material(self, name: str) -> MaterialEntry:
        """The entry of that name. Raises DatasetError with names that are near."""
        self._require("material", name)
        return next(entry for entry in self.materials if entry.name == name)

    def focus(self) -> Focus:
        """What the cameras look at together, and from how far."""
        return find_focus(list(self.cameras.values()))

    def digest(self) -> str:
        """SHA-256 of all content, as hex digits. Reads all pictures of photographs."""
        return self.files.digest()

    def verify(self) -> None:
        """Read every file. Raises DatasetError naming files that are missing, damaged or changed."""
        self.files.verify()

    def complete(self, view: View) -> View:
        """The view with the default light and pose where it names none; its names are known."""
        records = self.names.records
        light = view.light or (next(iter(records["light"])) if view.material else "")
        whole = view._replace(light=light, pose=view.pose or next(iter(records["pose"])))
        for axis in records:
            if name := str(getattr(whole, axis)):
                self._require(axis, name)
        return whole

    def _require(self, axis: Axis, name: str) -> None:
        known = self.names.records[axis]
        if name in known:
            return
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(list(known)[:8])}."
        raise DatasetError(f"{self.path} has no {axis} {name!r}.", hint)

    def _lacks(self, view: View, channel: Channel) -> DatasetError:
        found = self.files.channels(view)
        if channel != Channel.BEAUTY or not view.material:
            has = f"It has {', '.join(sorted(found))}." if found else "It was not rendered."
            return DatasetError(f"{self.path} has no channel {channel} of {view}.", has)
        return DatasetError(
            f"{self.path} has no picture of {view}.",
            "Materials that are held out are rendered from the test cameras only.",
        )


def _split(name: str) -> Split:
    if name not in SPLITS:
        raise DatasetError(f"Unknown split {name!r}.", f"Splits are {', '.join(SPLITS)}.")
    return name


def open_dataset(
    path: Path,
    downscale: float | int = 1,
    mask: Sequence[int] | None = None,
) -> StoredDataset:
    """Open a folder with dataset.json, or a foreign transforms.json (the file or its folder).

    `downscale` divides the sides of photographs. `mask` (x0 y0 x1 y1 in pixels of the full size, x1 and
    y1 excluded) replaces the dataset's own mask rectangle. Raises DatasetError.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"There is no dataset at {path}.", "Make one with `neuron dataset`.")
    folder = path.parent if path.name == layout.MANIFEST else path
    rectangle = mask_rectangle(mask)
    if (folder / layout.MANIFEST).is_file():
        if downscale != 1:
            raise DatasetError(
                f"{folder} is a rendered dataset and cannot be scaled down by {downscale:g}.",
                "Only photographs are; render with a smaller --resolution.",
            )
        return _open_rendered(folder, rectangle)
    if is_transforms(path) or path.suffix == ".json":
        return _open_photographs(path, float(downscale), rectangle)
    raise _not_a_dataset(path)


def _not_a_dataset(path: Path) -> DatasetError:
    if not path.is_dir():
        return DatasetError(f"{path} is not a dataset.", "Give a folder, or a transforms.json.")
    started = (layout.CAMERAS, layout.MATERIALS, layout.GBUFFER_FOLDER, layout.BEAUTY_FOLDER)
    if any((path / name).exists() for name in started):
        return DatasetError(
            f"The dataset in {path} is unfinished: it has no {layout.MANIFEST}.",
            "Run the same `neuron dataset` command again; it resumes where it stopped.",
        )
    return DatasetError(
        f"{path} holds no dataset: neither {layout.MANIFEST} nor transforms.json.",
        "Make one with `neuron dataset`, or give the folder of a NeRF dataset.",
    )


def _open_photographs(path: Path, downscale: float, rectangle: Rectangle | None) -> StoredDataset:
    if not 1 <= downscale <= 64:
        raise DatasetError(f"Photographs cannot be scaled down by {downscale:g}.", "Give 1 to 64.")
    transforms = read_transforms(path)
    files = Photographs(transforms, downscale)
    return StoredDataset(
        path=path,
        kind="photographs",
        aabb=photographs.bounds(transforms),
        background="transparent" if files.transparent() else "opaque",
        composited="linear" if files.linear() else "srgb",
        manifest=None,
        mask_rectangle=_scaled(rectangle, downscale),
        names=names_of_photographs(files.cameras, transforms.splits),
        files=files,
    )


def _scaled(rectangle: Rectangle | None, downscale: float) -> Rectangle | None:
    if rectangle is None:
        return None
    x0, y0, x1, y1 = np.array(rectangle) / downscale
    return int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))


def _open_rendered(folder: Path, rectangle: Rectangle | None) -> StoredDataset:
    content = read_json(folder / layout.MANIFEST)
    try:
        manifest = DatasetManifest.from_json(content)
    except DatasetError as error:
        raise DatasetError(f"{folder}: {error.message}", error.hint) from error
    for name in layout.description_files(manifest.files, manifest.version):
        check_content(folder, name, manifest.files)
    names = names_of(folder, manifest)
    return StoredDataset(
        path=folder,
        kind="rendered",
        aabb=np.array(manifest.geometry.aabb, np.float32),
        background="transparent",
        composited="linear",
        manifest=manifest,
        mask_rectangle=rectangle or manifest.mask_rectangle,
        names=names,
        files=RenderedFiles(folder, manifest, {axis: tuple(known) for axis, known in names.records.items()}),
    )
