"""The manifest of a dataset, dataset.json: what was rendered, by whom, and the checksum of every file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from neuron_core.datasets.channels import GEOMETRY, Channel
from neuron_core.datasets.layout import MANIFEST, NEWEST, DatasetError
from neuron_core.foundation.checks import file_name, matching, within
from neuron_core.foundation.records import Rules, read_record, to_plain

Point = tuple[float, float, float]
Rectangle = tuple[int, int, int, int]  # x0 y0 x1 y1 in pixels, x1 and y1 excluded
Name = Annotated[str, file_name]
Digest = Annotated[str, matching("[0-9a-f]{64}", "a SHA-256")]

LARGEST_SIDE = 32768  # pixels
_STRICT = Rules(complete=True)


def _low_before_high(box: tuple[Point, Point]) -> str:
    return "" if all(a < b for a, b in zip(*box, strict=True)) else f"is an empty box, {list(box)}"


def _is_rectangle(pixels: Rectangle) -> str:
    x0, y0, x1, y1 = pixels
    fits = 0 <= x0 < x1 and 0 <= y0 < y1
    return "" if fits else f"is {list(pixels)}, not the mask rectangle x0 y0 x1 y1 with x0 < x1 and y0 < y1"


def _inside(files: Mapping[str, str]) -> str:
    for path in files:
        if path.startswith("/") or "\\" in path or ".." in path.split("/"):
            return f"lists a file outside of the folder: {path}"
    return ""


@dataclass(frozen=True, slots=True)
class GeometryInfo:
    """What was rendered, and where it is in the world of the cameras."""

    RECORD: ClassVar[Rules] = _STRICT

    spec: str  # "shaderball" or PATH.usd[@/prim]
    digest: str  # of the meshes
    assign: tuple[str, ...]  # prims that take the material; none means all
    center: Point  # the position in the source that became the origin
    aabb: Annotated[tuple[Point, Point], _low_before_high]  # lower and upper corner, meters


@dataclass(frozen=True, slots=True)
class RendererInfo:
    """What rendered it and how."""

    RECORD: ClassVar[Rules] = _STRICT

    name: str
    version: str
    variant: str
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MaterialInfo:
    """One material of the dataset; its record is in materials.json under the same name."""

    RECORD: ClassVar[Rules] = _STRICT

    name: Name
    prompt: str  # the canonical one
    prompts: tuple[str, ...]  # other wordings
    split: Literal["train", "compositional"]
    supported: bool  # whether the renderer can do it; others stay out of averages
    transmissive: bool
    dropped: tuple[str, ...] = ()  # inputs that the renderer does not have
    truth_floor: Mapping[str, float] = field(default_factory=dict)  # camera split -> dB of the truth's noise


@dataclass(frozen=True, slots=True)
class StoredChannels:
    """Which channels every EXR file of a kind has."""

    RECORD: ClassVar[Rules] = _STRICT

    beauty: tuple[Channel, ...] = (Channel.BEAUTY,)
    gbuffer: tuple[Channel, ...] = GEOMETRY

    def __post_init__(self) -> None:
        if Channel.BEAUTY not in self.beauty:
            raise ValueError("pictures need the channel beauty")
        named = [*self.beauty, *self.gbuffer]
        twice = sorted({channel for channel in named if named.count(channel) > 1})
        if twice:
            raise ValueError(f"the channels {', '.join(twice)} are stored twice")


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """The content of dataset.json. `from_json` is strict and raises DatasetError."""

    RECORD: ClassVar[Rules] = _STRICT

    geometry: GeometryInfo
    renderer: RendererInfo
    resolution: tuple[Annotated[int, within(1, LARGEST_SIDE)], Annotated[int, within(1, LARGEST_SIDE)]]
    materials: tuple[MaterialInfo, ...]
    splits: Mapping[str, tuple[str, ...]]  # train, val, test (surface) -> camera names, as in cameras.json
    files: Annotated[Mapping[str, Digest], _inside]  # relative path -> of every file but the manifest
    config: Mapping[str, object]  # what the dataset was asked to be
    fingerprint: str  # of the config
    dropped: tuple[str, ...] = ()  # inputs dropped for at least one material
    notes: tuple[str, ...] = ()  # for a person
    licences: tuple[str, ...] = ()
    mask_rectangle: Annotated[Rectangle, _is_rectangle] | None = None  # pixels not to learn from
    kind: str = "rendered"
    channels: StoredChannels = field(default_factory=StoredChannels)
    version: int = 1

    def to_json(self) -> dict[str, object]:
        """Plain data, ready for a JSON file."""
        content = to_plain(self)
        if self.version == 1:  # has these channels and does not say so
            del content["channels"]
        return content

    @staticmethod
    def from_json(content: object) -> "DatasetManifest":
        """Check and convert the content of dataset.json."""
        version = content.get("version") if isinstance(content, Mapping) else None
        if isinstance(version, int) and version > NEWEST:
            raise DatasetError(
                f"The dataset has version {version}; this Neuron reads versions up to {NEWEST}.",
                "Update Neuron, or make the dataset again with this one.",
            )
        if isinstance(content, Mapping) and version == 1 and "channels" not in content:
            content = {**content, "channels": to_plain(StoredChannels())}
        return read_record(DatasetManifest, content, MANIFEST, _damaged)


def _damaged(message: str, hint: str = "") -> DatasetError:
    return DatasetError(message, hint or "Copy the dataset again, or make it again.")


def mask_rectangle(content: object) -> Rectangle | None:
    """A mask rectangle that was asked for; None passes. Raises DatasetError."""
    if content is None:
        return None
    numbers = content if isinstance(content, list | tuple) else []
    whole = [type(number) is int or (type(number) is float and number.is_integer()) for number in numbers]
    if len(numbers) != 4 or not all(whole):
        raise DatasetError(f"The mask rectangle {content} is not x0 y0 x1 y1 in whole pixels.")
    x0, y0, x1, y1 = map(int, numbers)
    complaint = _is_rectangle((x0, y0, x1, y1))
    if complaint:
        raise DatasetError(f"The mask rectangle {complaint}.")
    return x0, y0, x1, y1
