"""The folder of anchors.

anchors.json              the cameras, the ids, what belongs to what; "complete" once all is there
<name>.exr                R G B A (linear, premultiplied), depth, N.X N.Y N.Z, id, flow.X flow.Y,
                          flow.known flow.seen
<name>.png                colour, sRGB, straight alpha
<name>_alpha.png  <name>_depth.png  <name>_normal.png  <name>_id.png    to look at
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neuron_core.foundation.errors import ConfigMismatchError, FileError
from neuron_core.foundation.files import read_json, write_bytes, write_json
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import encode_png, straight, to_bytes
from neuron_core.rendering.motion import Flow
from neuron_core.rendering.scenes import ScenePixels

INDEX = "anchors.json"
PREVIEWS = ("_alpha", "_depth", "_normal", "_id")


class AnchorFolder:
    """Where anchors are written, for one description of what they depend on."""

    def __init__(self, path: Path, description: Mapping[str, object], names: Sequence[str]) -> None:
        self.path = path
        self._names = tuple(names)
        text = json.dumps(description, sort_keys=True)
        self._head = {**description, "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:32]}

    def open(self, overwrite: bool) -> None:
        """Make sure that only these anchors are there. Raises ConfigMismatchError for others."""
        if self.path.exists() and not self.path.is_dir():
            raise FileError(f"{self.path} is a file.", "Give a folder for the anchors.")
        index = self.path / INDEX
        existing = read_json(index) if index.is_file() else {}
        existing = existing if isinstance(existing, dict) else {}
        same = existing.get("fingerprint") == self._head["fingerprint"]
        if index.is_file() and not same:
            if not overwrite:
                raise ConfigMismatchError(
                    f"{self.path} holds anchors that were made differently.",
                    "Pick another folder, or replace them with --overwrite.",
                )
            self._clear(existing)
        if not same:
            self.write_index([], complete=False)

    def has(self, name: str) -> bool:
        """Whether everything of an anchor is there; its EXR is written last."""
        return (self.path / f"{name}.exr").is_file() and (self.path / f"{name}.png").is_file()

    def files(self, name: str) -> dict[str, str]:
        """The names of an anchor's files."""
        previews = {ending[1:]: f"{name}{ending}.png" for ending in PREVIEWS}
        return {"exr": f"{name}.exr", "color": f"{name}.png", **previews}

    def write(self, name: str, pixels: ScenePixels, flow: Flow | None) -> None:
        """Write one anchor."""
        for ending, picture in _previews(pixels).items():
            write_bytes(self.path / f"{name}{ending}.png", encode_png(picture))
        write_bytes(self.path / f"{name}.png", encode_png(straight(pixels.rgba)))
        write_exr(self.path / f"{name}.exr", _channels(pixels, flow))

    def write_index(self, anchors: list[dict[str, object]], complete: bool) -> None:
        """Write what other programs read."""
        write_json(
            self.path / INDEX,
            {**self._head, "names": list(self._names), "complete": complete, "anchors": anchors},
        )

    def _clear(self, existing: Mapping[str, object]) -> None:
        """Remove what an earlier run wrote, and nothing else."""
        names = existing.get("names", [])
        for name in names if isinstance(names, list) else []:
            if isinstance(name, str) and Path(name).name == name:
                for file in self.files(name).values():
                    (self.path / file).unlink(missing_ok=True)


def _channels(pixels: ScenePixels, flow: Flow | None) -> dict[str, np.ndarray]:
    channels = {name: pixels.rgba[..., index] for index, name in enumerate("RGBA")}
    channels["depth"] = pixels.depth
    channels |= {f"N.{axis}": pixels.normal[..., index] for index, axis in enumerate("XYZ")}
    channels["id"] = pixels.ids.astype(np.float32)
    if flow is not None:
        channels |= {f"flow.{axis}": flow.offsets[..., index] for index, axis in enumerate("XY")}
        channels |= {"flow.known": flow.known.astype(np.float32), "flow.seen": flow.seen.astype(np.float32)}
    return channels


def _previews(pixels: ScenePixels) -> dict[str, np.ndarray]:
    found = pixels.ids > 0
    depths = pixels.depth[found]
    near, far = (float(depths.min()), float(depths.max())) if len(depths) else (0.0, 1.0)
    nearness = np.where(found, 1.0 - 0.9 * (pixels.depth - near) / max(far - near, 1e-9), 0.0)
    normals = np.where(found[..., None], 0.5 + 0.5 * pixels.normal, 0.0)
    numbers = pixels.ids.astype(np.uint64)[..., None] * np.array([2654435761, 40503, 2246822519], np.uint64)
    colors = np.where(found[..., None], 0.25 + 0.75 * ((numbers >> np.uint64(7)) % np.uint64(256)) / 255, 0.0)
    pictures = (pixels.rgba[..., 3], nearness, normals, colors)
    return {ending: to_bytes(_rgb(picture)) for ending, picture in zip(PREVIEWS, pictures, strict=True)}


def _rgb(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=-1)
    return np.clip(picture, 0.0, 1.0).astype(np.float32)
