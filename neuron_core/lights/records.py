"""Records of lights, as lights.json holds them: data alone, strictly checked. Nothing is drawn here.

A light is an environment map, the same light from everywhere, or a rig of analytic lights (perhaps
with a map around it). Units and axes of analytic lights are those of UsdLux.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from neuron_core.foundation.checks import file_name, length, unique_names, within
from neuron_core.foundation.files import write_json
from neuron_core.foundation.records import Rules, read_record_file, to_plain
from neuron_core.lights.errors import LightError

Color = tuple[float, float, float]  # scene-linear Rec.709
Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]

MOST_LIGHTS = 10_000
IDENTITY: Matrix = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
WHITE: Color = (1.0, 1.0, 1.0)
_SIZES = {  # what a kind of light needs
    "distant": ("angle",),
    "sphere": ("radius",),
    "disk": ("radius",),
    "rect": ("width", "height"),
    "cylinder": ("radius", "length"),
}

Stops = Annotated[float, within(-32.0, 32.0)]
Size = Annotated[float, within(0.0, 1e6)]


def _not_negative(color: Color) -> str:
    return "" if min(color) >= 0.0 else f"is {list(color)}, with a negative part"


@dataclass(frozen=True, slots=True)
class AnalyticLight:
    """A light of a rig. It shines along its own -Z, as in UsdLux."""

    kind: Literal["distant", "sphere", "rect", "disk", "cylinder"]
    color: Annotated[Color, _not_negative] = WHITE
    intensity: Annotated[float, within(0.0, 1e12)] = 1.0
    exposure: Stops = 0.0
    normalize: bool = False  # whether its power is independent of its size
    world_from_light: Matrix = IDENTITY  # column vectors, as everywhere in the engine
    angle: Annotated[float, within(0.0, 180.0)] = 0.0  # degrees across, of distant ones
    radius: Size = 0.0  # meters, as the others
    width: Size = 0.0
    height: Size = 0.0
    length: Size = 0.0

    def __post_init__(self) -> None:
        given = {name for names in _SIZES.values() for name in names if getattr(self, name) > 0.0}
        strange = sorted(given - set(_SIZES[self.kind]))
        if strange:
            raise LightError(f"a {self.kind} light has no {strange[0]}.")


@dataclass(frozen=True, slots=True)
class LightRecord:
    """One light of a dataset. Raises LightError for what does not fit its kind."""

    name: Annotated[str, file_name]
    kind: Literal["latlong", "uniform", "rig"]
    split: Literal["train", "test"] = "train"
    file: str = ""  # of a map: a picture beside lights.json, or a name such as "studio:3", which needs none
    rotation: Annotated[float, within(-360.0, 360.0)] = 0.0  # degrees about +Y, from +Z towards +X
    exposure: Stops = 0.0
    color: Annotated[Color, _not_negative] = WHITE  # radiance of a uniform light
    lights: tuple[AnalyticLight, ...] = ()  # of a rig

    def __post_init__(self) -> None:
        wanted = {"latlong": bool(self.file), "uniform": True, "rig": bool(self.lights)}
        if not wanted[self.kind]:
            lacks = "file" if self.kind == "latlong" else "lights"
            raise LightError(f"the {self.kind} light {self.name} has no {lacks}.")
        if self.file and self.kind == "uniform":
            raise LightError(f"the uniform light {self.name} has the file {self.file}.")
        if self.lights and self.kind != "rig":
            raise LightError(f"the {self.kind} light {self.name} has analytic lights.", "Make it a rig.")


@dataclass(frozen=True, slots=True)
class _File:
    RECORD: ClassVar[Rules] = Rules(version="version", newest=1)

    lights: Annotated[tuple[LightRecord, ...], length(1, MOST_LIGHTS), unique_names]


def read_lights(path: Path) -> tuple[LightRecord, ...]:
    """The lights of a lights.json. Raises LightError naming the field, or FileError."""
    return read_record_file(_File, path, LightError).lights


def write_lights(path: Path, lights: Sequence[LightRecord]) -> None:
    """Write a lights.json, whole or not at all."""
    write_json(path, to_plain(_File(tuple(lights))))
