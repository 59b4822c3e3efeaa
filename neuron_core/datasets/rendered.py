"""Reads the folder of a rendered dataset, of version 1 or 2."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.datasets import layout
from neuron_core.datasets.cache import LayerCache, Layers
from neuron_core.datasets.channels import Channel, complaint_about, from_layers, layers_of, typed
from neuron_core.datasets.contract import Axis, View
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import DatasetManifest
from neuron_core.foundation.files import sha256_of
from neuron_core.images.exr import read_exr


class RenderedFiles:
    """The EXR files that a manifest lists, by view."""

    def __init__(self, folder: Path, manifest: DatasetManifest, known: Mapping[Axis, Sequence[str]]) -> None:
        self._folder = folder
        self._manifest = manifest
        self._pictures, self._shapes = _by_view(folder, manifest, known)
        self._cache = LayerCache()

    @property
    def pictures(self) -> Iterable[View]:
        """Complete views of all pictures."""
        return self._pictures

    @property
    def shapes(self) -> Iterable[View]:
        """Complete views, without material and light, of all G-buffers."""
        return self._shapes

    def channels(self, view: View) -> frozenset[Channel]:
        """What there is of a complete view."""
        stored = self._manifest.channels
        found: tuple[Channel, ...] = stored.beauty if view in self._pictures else ()
        return frozenset((*found, *stored.gbuffer) if _shape_of(view) in self._shapes else found)

    def read(self, view: View, channels: Sequence[Channel], camera: Camera) -> dict[Channel, np.ndarray]:
        """Channels that there are."""
        stored = self._manifest.channels
        found: dict[Channel, np.ndarray] = {}
        beauty = [channel for channel in channels if channel in stored.beauty]
        if beauty:
            file = self._folder / self._pictures[view]
            layers = self._cache.get(file, lambda: _read(file, camera, layers_of(stored.beauty)))
            found |= {channel: _channel(layers, channel, view, file) for channel in beauty}
        shape = [channel for channel in channels if channel in stored.gbuffer]
        if shape:
            file = self._folder / self._shapes[_shape_of(view)]
            layers = _read(file, camera, layers_of(shape))
            found |= {channel: _channel(layers, channel, view, file) for channel in shape}
        return found

    def digest(self) -> str:
        """The manifest has the checksums of all other files."""
        return sha256_of(self._folder / layout.MANIFEST)

    def verify(self) -> None:
        """Read every file. Raises DatasetError for the first that is missing or changed."""
        for path in self._manifest.files:
            check_content(self._folder, path, self._manifest.files)


def check_content(folder: Path, path: str, files: Mapping[str, str]) -> None:
    """Raise DatasetError unless a file is listed and is the one that the dataset was finished with."""
    if path not in files:
        raise DatasetError(f"{layout.MANIFEST} in {folder} does not list {path}.")
    if not (folder / path).is_file():
        raise DatasetError(f"{folder / path} is missing, though the dataset lists it.", "Copy it again.")
    if sha256_of(folder / path) != files[path]:
        raise DatasetError(
            f"{folder / path} is not the file that the dataset was finished with: its checksum differs.",
            "Copy the dataset again, or make it again with --overwrite.",
        )


def _by_view(
    folder: Path, manifest: DatasetManifest, known: Mapping[Axis, Sequence[str]]
) -> tuple[dict[View, str], dict[View, str]]:
    """Files of pictures and of G-buffers by their complete view, in the order of the axes."""
    orders = {axis: {name: index for index, name in enumerate(names)} for axis, names in known.items()}
    pictures: dict[View, str] = {}
    shapes: dict[View, str] = {}
    for path in manifest.files:
        view = layout.view_at(path, manifest.version)
        if view is None:
            continue
        for axis, order in orders.items():
            name = str(getattr(view, axis))
            if name and name not in order:
                raise DatasetError(
                    f"{layout.MANIFEST} in {folder} lists {path}, but there is no {axis} {name!r}.",
                    "Copy the dataset again, or make it again.",
                )
        (pictures if view.material else shapes)[view] = path

    def place(view: View) -> list[int]:
        axes: tuple[Axis, ...] = ("material", "light", "pose", "camera", "frame")
        return [orders[axis].get(str(getattr(view, axis)), -1) for axis in axes]

    return (
        {view: pictures[view] for view in sorted(pictures, key=place)},
        {view: shapes[view] for view in sorted(shapes, key=place)},
    )


def _shape_of(view: View) -> View:
    return view._replace(material="", light="")


def _read(file: Path, camera: Camera, wanted: Sequence[str]) -> Layers:
    layers = read_exr(file)
    layout.require_channels(layers, wanted, file)
    height, width = layers[wanted[0]].shape
    if (width, height) != (camera.width, camera.height):
        raise DatasetError(
            f"{file} is an image of the wrong size: {width} x {height} pixels, not "
            f"{camera.width} x {camera.height}."
        )
    return {name: layers[name] for name in wanted}


def _channel(layers: Layers, channel: Channel, view: View, file: Path) -> np.ndarray:
    values = from_layers(layers, channel)
    complaint = complaint_about(channel, values)
    if complaint:
        raise DatasetError(
            f"{file} is damaged: the channel {channel} of {view} {complaint}.", "Render it again."
        )
    return typed(channel, values)
