"""The folder of a rendering: which pictures are there, which may be kept, what is cleared.

render.json       what the pictures depend on, and its fingerprint
cameras.json      the cameras of all frames, also of those that another machine renders
<camera>.png      sRGB, straight alpha
<camera>.exr      linear, premultiplied R G B A, with depth, N.X N.Y N.Z and id if asked for
turntable.webp    or .png
"""

from collections.abc import Sequence
from glob import escape
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, save_cameras
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import read_json, write_bytes
from neuron_core.foundation.outputs import Claim, Content, Output, RecordForm
from neuron_core.foundation.progress import Reporter
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import decode_image, encode_png, straight, to_bytes
from neuron_core.images.sheet import write_animation
from neuron_core.rendering.tracing import Aovs, Pictures

CAMERAS = "cameras.json"
ANIMATION = "turntable"
ANIMATION_PIXELS = 1 << 27  # of all frames together; more becomes no animation
FORM = RecordForm("render.json", config="")
KIND = "pictures that were made differently"


class PictureFolder:
    """Where pictures are written, for one description of what they depend on.

    Several processes may draw into a `shared` one, each its own frames.
    """

    def __init__(
        self,
        path: Path,
        description: Content,
        cameras: Sequence[Camera],
        aovs: Sequence[str],
        shared: bool = False,
    ) -> None:
        self.path = path
        self.aovs = tuple(aovs)
        self._cameras = tuple(cameras)
        self._output = Output(path, description, _pictures_in(path), KIND, FORM, shared=shared)

    def claim(self, overwrite: bool) -> Claim:
        """Take the folder and write the cameras; only pictures of this description are there then.

        Raises what `Output.claim` raises.
        """
        claim = self._output.claim(overwrite)
        try:
            names = [camera.name for camera in self._cameras]
            save_cameras(self.path / CAMERAS, self._cameras, {"render": names})
        except BaseException:
            claim.release()
            raise
        return claim

    def png(self, name: str) -> Path:
        """Where the picture of a camera is."""
        return self.path / f"{name}.png"

    def exr(self, name: str) -> Path:
        """Where its channels are."""
        return self.path / f"{name}.exr"

    def has(self, name: str) -> bool:
        """Whether everything of a frame is there."""
        return self.png(name).is_file() and (not self.aovs or self.exr(name).is_file())

    def write(self, name: str, pictures: Pictures, geometry: Aovs | None, background: str) -> None:
        """Write one frame, the PNG last."""
        rgba = pictures.linear()[0]
        if self.aovs:
            write_exr(self.exr(name), _channels(rgba, geometry, self.aovs))
        pixels = to_bytes(pictures.over_white()[0]) if background == "white" else straight(rgba)
        write_bytes(self.png(name), encode_png(pixels))

    def animate(self, kind: str, report: Reporter) -> Path | None:
        """Write the animation of all frames, if they are all there; where it is.

        `kind` is webp or png. Too many pixels for one file are a warning.
        """
        names = [camera.name for camera in self._cameras]
        if len(names) < 2 or not all(self.has(name) for name in names):
            return None
        path = self.path / f"{ANIMATION}.{kind}"
        if not path.is_file():
            if sum(camera.width * camera.height for camera in self._cameras) > ANIMATION_PIXELS:
                report.warn("The frames are too large or too many for an animation in one file.")
                return None
            report.progress(0.97, "animation", str(path))
            write_animation(path, [decode_image(self.png(name)) for name in names])
        return path

    def listed(self, names: Sequence[str], rendered: int) -> dict[str, object]:
        """What a result says of frames, of which that many were drawn just now."""
        return {
            "folder": str(self.path),
            "frames": [str(self.png(name)) for name in names],
            "exr": [str(self.exr(name)) for name in names] if self.aovs else [],
            "cameras": str(self.path / CAMERAS),
            "rendered": rendered,
            "skipped": len(names) - rendered,
        }


def _pictures_in(path: Path) -> tuple[str, ...]:
    """What an earlier rendering wrote, by its list of cameras."""
    names = [CAMERAS, f"{ANIMATION}.webp", f"{ANIMATION}.png"]
    for record in _records_in(path / CAMERAS):
        name = record.get("name") if isinstance(record, dict) else None
        if isinstance(name, str) and Path(name).name == name:
            names += [f"{escape(name)}.png", f"{escape(name)}.exr"]
    return tuple(names)


def _records_in(path: Path) -> Sequence[object]:
    try:
        content = read_json(path)
    except FileError:  # nothing is there, or nothing of ours
        return ()
    records = content.get("cameras") if isinstance(content, dict) else None
    return records if isinstance(records, list) else ()


def _channels(rgba: np.ndarray, geometry: Aovs | None, aovs: tuple[str, ...]) -> dict[str, np.ndarray]:
    channels = {name: rgba[..., index] for index, name in enumerate("RGBA")}
    if geometry is not None and "depth" in aovs:
        channels["depth"] = geometry.depths
    if geometry is not None and "normal" in aovs:
        channels |= {f"N.{axis}": geometry.normals[..., index] for index, axis in enumerate("XYZ")}
    if geometry is not None and geometry.ids is not None and "id" in aovs:
        channels["id"] = geometry.ids.astype(np.float32)
    return channels
