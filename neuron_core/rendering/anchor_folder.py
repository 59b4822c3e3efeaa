"""The folder of anchors.

anchors.json              the cameras, the ids, what belongs to what; "complete" once all is there
<name>.exr                R G B A (linear, premultiplied), depth, N.X N.Y N.Z, id, flow.X flow.Y,
                          flow.known flow.seen
<name>.png                color, sRGB, straight alpha
<name>_alpha.png  <name>_depth.png  <name>_normal.png  <name>_id.png    to look at
"""

from collections.abc import Sequence
from glob import escape
from pathlib import Path

import numpy as np

from neuron_core.foundation.files import write_bytes
from neuron_core.foundation.outputs import Claim, Content, Output, RecordForm
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import encode_png, straight, to_bytes
from neuron_core.rendering.motion import Flow
from neuron_core.rendering.scenes import ScenePixels

INDEX = "anchors.json"
PREVIEWS = ("_alpha", "_depth", "_normal", "_id")
KIND = "anchors that were made differently"


class AnchorFolder:
    """Where anchors are written, for one description of what they depend on."""

    def __init__(self, path: Path, description: Content, names: Sequence[str]) -> None:
        self.path = path
        self._names = list(names)
        output = Output(path, description, kind=KIND, form=RecordForm(INDEX, config=""))
        self._output = Output(path, description, _anchors_in(output.found()), KIND, output.form)

    def claim(self, overwrite: bool) -> Claim:
        """Take the folder; only these anchors are there then. Raises what `Output.claim` raises."""
        claim = self._output.claim(overwrite)
        if claim.state == "fresh":
            self.write_index(claim, [], complete=False)
        return claim

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

    def write_index(self, claim: Claim, anchors: list[dict[str, object]], complete: bool) -> None:
        """Write what other programs read."""
        claim.save({"names": self._names, "complete": complete, "anchors": anchors})


def _anchors_in(index: Content) -> tuple[str, ...]:
    """The files that an index lists, as globs."""
    names = index.get("names")
    listed = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    plain = [escape(name) for name in listed if Path(name).name == name]
    endings = (".exr", ".png", *(f"{ending}.png" for ending in PREVIEWS))
    return tuple(f"{name}{ending}" for name in plain for ending in endings)


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
