"""What a view can hold beside its picture, and how each channel is named in EXR files.

Arrays are [H, W] or [H, W, C] float32, ids [H, W] int32. Lengths are meters of the world.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Channel(StrEnum):
    """A channel of a view, by the name of its layer."""

    BEAUTY = "beauty"  # RGBA, linear, premultiplied
    DEPTH = "depth"  # distance along the unit ray
    POSITION = "P"  # in the world
    NORMAL = "N"  # in the world, unit, towards the camera's side of the surface
    COVERAGE = "coverage"  # 1 where the ray through the pixel's center hits something
    SHAPE_ID = "shape_id"  # part of the object, counted from 1
    OBJECT_ID = "object_id"  # object of a scene, counted from 1
    MATERIAL_ID = "material_id"  # counted from 1
    REST = "rest"  # where the point is in the rest pose
    ALBEDO = "albedo"  # linear RGB
    ROUGHNESS = "roughness"
    METALNESS = "metalness"
    SHADOW = "shadow"  # share of the direct light that is blocked
    FLOW = "flow"  # pixels to where the point is in the next frame, x right, y down


@dataclass(frozen=True, slots=True)
class ChannelForm:
    """How a channel is stored. Everything that `misses` is exactly 0 where coverage is 0."""

    layers: tuple[str, ...]  # names in the EXR file
    half: bool = False  # written as 16 bit floats
    integer: bool = False
    misses: bool = True


def _xyz(name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{axis}" for axis in "XYZ")


FORMS: Mapping[Channel, ChannelForm] = {
    Channel.BEAUTY: ChannelForm(("R", "G", "B", "A"), half=True, misses=False),
    Channel.DEPTH: ChannelForm(("depth",)),
    Channel.POSITION: ChannelForm(_xyz("P")),
    Channel.NORMAL: ChannelForm(_xyz("N")),
    Channel.COVERAGE: ChannelForm(("coverage",)),
    Channel.SHAPE_ID: ChannelForm(("shape_id",), integer=True),
    Channel.OBJECT_ID: ChannelForm(("object_id",), integer=True),
    Channel.MATERIAL_ID: ChannelForm(("material_id",), integer=True),
    Channel.REST: ChannelForm(_xyz("rest")),
    Channel.ALBEDO: ChannelForm(tuple(f"albedo.{color}" for color in "RGB"), half=True, misses=False),
    Channel.ROUGHNESS: ChannelForm(("roughness",), half=True, misses=False),
    Channel.METALNESS: ChannelForm(("metalness",), half=True, misses=False),
    Channel.SHADOW: ChannelForm(("shadow",), half=True, misses=False),
    Channel.FLOW: ChannelForm(("flow.X", "flow.Y")),
}
GEOMETRY = (Channel.DEPTH, Channel.POSITION, Channel.NORMAL, Channel.COVERAGE, Channel.SHAPE_ID)
LARGEST_ID = 1 << 24  # beyond it float32 skips integers


def layers_of(channels: Iterable[Channel]) -> tuple[str, ...]:
    """The names in EXR files of all the channels."""
    return tuple(name for channel in channels for name in FORMS[channel].layers)


def to_layers(channels: Mapping[Channel, np.ndarray]) -> dict[str, np.ndarray]:
    """The layers [H, W] float32 of an EXR file."""
    layers: dict[str, np.ndarray] = {}
    for channel, values in channels.items():
        names = FORMS[channel].layers
        parts = [values] if len(names) == 1 else np.moveaxis(values, -1, 0)
        layers |= {name: np.asarray(part, np.float32) for name, part in zip(names, parts, strict=True)}
    return layers


def from_layers(layers: Mapping[str, np.ndarray], channel: Channel) -> np.ndarray:
    """A channel of an EXR file, a copy as float32."""
    names = FORMS[channel].layers
    return layers[names[0]].copy() if len(names) == 1 else np.stack([layers[n] for n in names], axis=-1)


def typed(channel: Channel, values: np.ndarray) -> np.ndarray:
    """Values that are checked, in the type of the channel."""
    return values.astype(np.int32) if FORMS[channel].integer else np.asarray(values, np.float32)


def complaint_about(channel: Channel, values: np.ndarray, coverage: np.ndarray | None = None) -> str:
    """What keeps an array from being that channel, as the end of a sentence; "" if nothing.

    With a `coverage` [H, W], misses have to be 0.
    """
    form = FORMS[channel]
    shape = 2 if len(form.layers) == 1 else 3
    if values.ndim != shape or (shape == 3 and values.shape[2] != len(form.layers)):
        return f"has the shape {values.shape}"
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        return f"has {bad} values that are infinite or not numbers"
    if form.integer and ((values != np.rint(values)).any() or values.min(initial=0) < 0):
        return "has values that are not whole numbers from 0"
    if form.integer and values.max(initial=0) > LARGEST_ID:
        return f"has values over {LARGEST_ID}, which files do not hold exactly"
    if coverage is not None and form.misses and np.any(values[coverage == 0]):
        return "is not 0 where coverage is 0"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class GBuffer:
    """What one exact ray through each pixel center hits first. Zero everywhere where it misses."""

    depth: np.ndarray  # [H, W] float32 distance along the unit ray, 0 for a miss
    position: np.ndarray  # [H, W, 3] float32 world
    normal: np.ndarray  # [H, W, 3] float32 world, unit, towards the camera's side of the surface
    coverage: np.ndarray  # [H, W] float32, 1 for a hit
    shape_id: np.ndarray  # [H, W] int32, counted from 1; 0 for a miss

    def channels(self) -> dict[Channel, np.ndarray]:
        """The same by channel."""
        arrays = (self.depth, self.position, self.normal, self.coverage, self.shape_id)
        return dict(zip(GEOMETRY, arrays, strict=True))

    @staticmethod
    def of(channels: Mapping[Channel, np.ndarray]) -> "GBuffer":
        """The inverse of `channels`; others are left out."""
        return GBuffer(*(channels[channel] for channel in GEOMETRY))
