"""What whoever learns or measures can ask of a dataset: axes x channels, whatever is on disk.

A view is one picture: a value on each axis. Its camera looks at an object in a `material`, under a
`light`, in a `pose`, at a `frame`. Datasets without lights, poses or frames of their own have the
one light "studio" (photographs "captured"), the pose "rest" and the frame 0.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.datasets.channels import GEOMETRY, Channel, GBuffer
from neuron_core.foundation.colors import linear_to_srgb, over_white

Axis = Literal["camera", "material", "light", "pose", "frame"]
STUDIO, REST_POSE, STILL = "studio", "rest", 0

Split = Literal["train", "val", "test", "compositional", "lights", "poses"]
SPLITS: tuple[Split, ...] = get_args(Split)


class View(NamedTuple):
    """One picture. What is empty is the first light, the rest pose; without a material, the shape alone."""

    camera: str
    material: str = ""
    light: str = ""
    pose: str = ""
    frame: int = STILL

    def __str__(self) -> str:
        parts = [self.material or "the shape", f"from {self.camera}"]
        parts += [f"under {self.light}"] if self.light else []
        parts += [f"in pose {self.pose}"] if self.pose not in ("", REST_POSE) else []
        return " ".join([*parts, f"at frame {self.frame}"] if self.frame else parts)


@runtime_checkable
class Dataset(Protocol):
    """Views and their channels. Everything is read when it is asked for."""

    @property
    def axes(self) -> Mapping[Axis, tuple[str, ...]]:
        """The names on every axis, in order; frames are numbers written out."""

    @property
    def aabb(self) -> np.ndarray:
        """[2, 3] float32 corners of the object, or of the scene in photographs."""

    @property
    def composited(self) -> Literal["linear", "srgb"]:
        """Where a background goes under the pictures; photographs were never linear."""

    def views(self, split: str) -> Sequence[View]:
        """The pictures of a split, complete, in the order of material, light, pose, camera, frame.

        "train"; "val" and "test": what is trained on, from other cameras or at other frames; one thing
        that nothing was trained on, from any camera: "compositional" (a material), "lights", "poses".
        Raises DatasetError for another name.
        """

    def shapes(self, split: str) -> Sequence[View]:
        """The G-buffers of a split, views without material and light. Cameras that see the shape alone
        are part of "train"."""

    def channels(self, view: View) -> frozenset[Channel]:
        """What there is of a view; empty if it was not rendered. Raises DatasetError for unknown names."""

    def read(self, view: View, *channels: Channel) -> Mapping[Channel, np.ndarray]:
        """Those channels as `datasets.channels` says: copies, finite, of the camera's size.

        Raises DatasetError or FileError naming the view and the channel that is missing or damaged.
        """

    def camera(self, view: View) -> Camera:
        """Where it was seen from, at its frame."""

    def record(self, axis: Axis, name: str) -> Mapping[str, object]:
        """What is known of a name on an axis, as plain data: a material, light, pose, frame or camera."""

    def valid(self, view: View) -> np.ndarray:
        """Which pixels to learn from and to compare, [H, W] bool."""

    def digest(self) -> str:
        """SHA-256 of all content, as hex digits."""


def read_picture(dataset: Dataset, view: View) -> np.ndarray:
    """The picture [H, W, 4] float32, linear and premultiplied; photographs are decoded from sRGB."""
    return dataset.read(view, Channel.BEAUTY)[Channel.BEAUTY]


def has_picture(dataset: Dataset, view: View) -> bool:
    """Whether there is one. Materials that are held out are not rendered from every camera."""
    return Channel.BEAUTY in dataset.channels(view)


def read_gbuffer(dataset: Dataset, view: View) -> GBuffer | None:
    """What the rays through the pixel centers hit first; None for photographs."""
    if not dataset.channels(view) >= set(GEOMETRY):
        return None
    return GBuffer.of(dataset.read(view, *GEOMETRY))


def read_encoded(dataset: Dataset, view: View) -> np.ndarray:
    """The picture as metrics compare it: sRGB over white, [H, W, 3] float32 in [0, 1].

    Renders (EXR) are composited in linear, photographs in sRGB.
    """
    rgba = read_picture(dataset, view)
    if dataset.composited == "linear":
        return linear_to_srgb(over_white(rgba))
    alpha = rgba[..., 3:4]
    straight = np.divide(rgba[..., :3], alpha, out=np.zeros_like(rgba[..., :3]), where=alpha > 0)
    return np.asarray(linear_to_srgb(straight) * alpha + (1 - alpha), np.float32)
