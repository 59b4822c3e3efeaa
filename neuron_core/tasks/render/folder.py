"""The folder of a rendering: which pictures are there, which may be gone on with, what is cleared.

render.json       what the pictures depend on, and its fingerprint
cameras.json      the cameras of all frames, also of those that another machine renders
<camera>.png      sRGB, straight alpha
<camera>.exr      linear, premultiplied R G B A, with depth, N.X N.Y N.Z and id if asked for
turntable.webp    or .png
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, save_cameras
from neuron_core.foundation.errors import ConfigMismatchError, FileError
from neuron_core.foundation.files import read_json, write_bytes, write_json
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import encode_png, straight, to_bytes
from neuron_core.rendering.tracing import Geometry, Pictures

REQUEST = "render.json"
CAMERAS = "cameras.json"
ANIMATION = "turntable"
OURS = (REQUEST, CAMERAS, f"{ANIMATION}.webp", f"{ANIMATION}.png")


class RenderFolder:
    """Where pictures are written, for one description of what they depend on."""

    def __init__(
        self,
        path: Path,
        description: Mapping[str, object],
        cameras: tuple[Camera, ...],
        aovs: tuple[str, ...],
    ) -> None:
        self.path = path
        self._cameras = cameras
        self._aovs = aovs
        text = json.dumps(description, sort_keys=True)
        self._content = {**description, "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:32]}

    def open(self, overwrite: bool) -> None:
        """Make sure that only pictures of this description are there.

        Raises ConfigMismatchError if there are others and they are not to be replaced.
        """
        existing = self._existing()
        if existing is not None and existing.get("fingerprint") != self._content["fingerprint"]:
            if not overwrite:
                raise self._mismatch(existing)
            self._clear()
        names = [camera.name for camera in self._cameras]
        save_cameras(self.path / CAMERAS, self._cameras, {"render": names})
        write_json(self.path / REQUEST, self._content)

    def png(self, name: str) -> Path:
        """Where the picture of a camera is."""
        return self.path / f"{name}.png"

    def exr(self, name: str) -> Path:
        """Where its channels are."""
        return self.path / f"{name}.exr"

    def animation(self, kind: str) -> Path:
        """Where the animation is."""
        return self.path / f"{ANIMATION}.{kind}"

    def has(self, name: str) -> bool:
        """Whether everything of a frame is there."""
        return self.png(name).is_file() and (not self._aovs or self.exr(name).is_file())

    def write(self, name: str, pictures: Pictures, geometry: Geometry | None, background: str) -> None:
        """Write one frame, the PNG last."""
        rgba = pictures.linear()[0]
        if self._aovs:
            write_exr(self.exr(name), _channels(rgba, geometry, self._aovs))
        pixels = to_bytes(pictures.over_white()[0]) if background == "white" else straight(rgba)
        write_bytes(self.png(name), encode_png(pixels))

    def _existing(self) -> dict[str, object] | None:
        path = self.path / REQUEST
        if self.path.exists() and not self.path.is_dir():
            raise FileError(f"{self.path} is a file.", "Give a folder for the pictures.")
        if not path.is_file():
            return None
        content = read_json(path)
        return content if isinstance(content, dict) else {}

    def _mismatch(self, existing: Mapping[str, object]) -> ConfigMismatchError:
        names = sorted(name for name, value in self._content.items() if existing.get(name) != value)
        told = [name for name in names if name != "fingerprint"]
        return ConfigMismatchError(
            f"{self.path} holds pictures that were made differently: {', '.join(told) or 'other content'}.",
            "Pick another folder, or replace them with --overwrite.",
        )

    def _clear(self) -> None:
        """Remove what an earlier rendering wrote, and nothing else that may lie there."""
        names = [*OURS]
        content = read_json(self.path / CAMERAS) if (self.path / CAMERAS).is_file() else {}
        records = content.get("cameras", []) if isinstance(content, dict) else []
        for record in records if isinstance(records, list) else []:
            name = record.get("name") if isinstance(record, dict) else None
            if isinstance(name, str) and Path(name).name == name:
                names += [f"{name}.png", f"{name}.exr"]
        try:
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"Cannot clear {self.path}: {error.strerror or error}.") from error


def _channels(rgba: np.ndarray, geometry: Geometry | None, aovs: tuple[str, ...]) -> dict[str, np.ndarray]:
    channels = {name: rgba[..., index] for index, name in enumerate("RGBA")}
    if geometry is not None and "depth" in aovs:
        channels["depth"] = geometry.depths
    if geometry is not None and "normal" in aovs:
        channels |= {f"N.{axis}": geometry.normals[..., index] for index, axis in enumerate("XYZ")}
    if geometry is not None and geometry.ids is not None and "id" in aovs:
        channels["id"] = geometry.ids.astype(np.float32)
    return channels
