"""Reads the lights of a stage at one time. Nothing is drawn here.

Emission follows the documentation of UsdLux.LightAPI: color x intensity x 2^exposure x color of the
temperature, with `normalize` divided by the area. That area is in units of the stage, as in other renderers:
a normalized light of a stage in centimeters divides by square centimeters. Geometry, portal and plug-in
lights, light filters and IES profiles are listed among the problems and not read.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf, Usd, UsdGeom, UsdLux

from neuron_core.assets import packages
from neuron_core.geometry.usd_scene import DRAWN_PURPOSES
from neuron_core.usd.light_frames import area_of, frame_of, is_flat
from neuron_core.usd.light_records import Color, Kind, Link, Shaping, StageLight
from neuron_core.usd.records import Problem, SceneError, engine_from_stage
from neuron_core.usd.walk import PlacedPrim, Walker

MOST_LIGHTS = 10_000
POINT_RADIUS = 1e-3  # meters; of normalized points and lines without a radius, whose power is known
SMALLEST_SCALE, LARGEST_SCALE = 1e-12, 1e12  # of a light's axes in meters; smaller ones have no area
EVENLY = "Scale it evenly."
_KINDS: dict[str, Kind] = {
    "DomeLight": "dome",
    "DomeLight_1": "dome",
    "DistantLight": "distant",
    "SphereLight": "sphere",
    "DiskLight": "disk",
    "RectLight": "rect",
    "CylinderLight": "cylinder",
}
_SIZES = {
    "sphere": ("radius",),
    "disk": ("radius",),
    "rect": ("width", "height"),
    "cylinder": ("radius", "length"),
}
_THIN = {"sphere": "treatAsPoint", "cylinder": "treatAsLine"}
_TEXTURED = ("dome", "rect")
_FORMATS = ("automatic", "latlong")  # of textures of domes
_POLE_ON_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # the map's +Y to +Z, its middle +Z to -Y


def stage_lights(
    stage: Usd.Stage, when: Usd.TimeCode, library: Path | None = None, problems: list[Problem] | None = None
) -> tuple[StageLight, ...]:
    """The lights that shine at a time code, in the order of the stage; those that emit nothing are left out.

    What is wrong with single lights is appended to `problems`; fatal ones are left out of the result. With a
    `library`, a resolved folder, textures have to lie in it. Raises SceneError for values that are not finite
    numbers, naming prim and attribute, and for more than MOST_LIGHTS lights.
    """
    unit = float(UsdGeom.GetStageMetersPerUnit(stage))
    if not (np.isfinite(unit) and unit > 0.0):
        raise SceneError(f"metersPerUnit is {unit}.", "Author 0.01 for centimeters, 1 for meters.")
    walker = _LightWalker(stage, when)
    walker.walk()
    problems = [] if problems is None else problems
    problems += walker.problems
    up_axis = str(UsdGeom.GetStageUpAxis(stage)).upper()
    reader = _Reader(when, library, problems, up_axis)
    placer = _Placer(engine_from_stage(unit, up_axis), unit, problems)
    found = ((placed, reader.read(placed.prim)) for placed in walker.lights)
    placed_lights = (placer.place(one, emitter) for one, emitter in found if emitter is not None)
    return tuple(light for light in placed_lights if light is not None)


class _LeftOutError(SceneError):
    """Leaves one light out of the picture, and nothing else."""

    kind = "light"


class _LightWalker(Walker):
    """Finds lights where the walker finds assets and surfaces."""

    def __init__(self, stage: Usd.Stage, when: Usd.TimeCode) -> None:
        super().__init__(stage, when)
        self.lights: list[PlacedPrim] = []

    def _visible(self, walk: Any) -> Any:
        for prim in walk:
            imageable = UsdGeom.Imageable(prim)
            if imageable and imageable.GetVisibilityAttr().Get(self.when) == UsdGeom.Tokens.invisible:
                walk.PruneChildren()
            elif prim.IsA(UsdGeom.PointInstancer) or prim.HasAPI(UsdLux.LightAPI):
                yield prim, False

    def _add(self, prim: Usd.Prim, paths: list[str], matrices: np.ndarray) -> None:
        purpose = str(UsdGeom.Imageable(prim).ComputePurpose()) if UsdGeom.Imageable(prim) else "default"
        if purpose not in DRAWN_PURPOSES:
            return
        if len(self.lights) + len(paths) > MOST_LIGHTS:
            raise SceneError(
                f"The stage has more than {MOST_LIGHTS:,} lights; {prim.GetPath()} exceeds them.",
                "Hide a part of them, or bake distant ones into a dome.",
            )
        places = zip(paths, matrices, strict=True)
        self.lights += [PlacedPrim(prim, path, matrix, purpose) for path, matrix in places]


@dataclass(frozen=True, slots=True, eq=False)
class _Emitter:
    """What a prim says of a light, before it has a place."""

    kind: Kind
    color: np.ndarray  # [3], before `normalize`
    normalize: bool
    sizes: dict[str, float]  # units of the prim's own space
    pole: np.ndarray  # [3,3] from the frame of a dome's map to the prim's space
    rest: dict[str, Any]  # fields of StageLight that are the same at every place


class _Reader:
    """Reads attributes; a prim that point instancers repeat is read once."""

    def __init__(
        self, when: Usd.TimeCode, library: Path | None, problems: list[Problem], up_axis: str
    ) -> None:
        self._when = when
        self._library = library
        self._problems = problems
        self._up_axis = up_axis
        self._known: dict[Sdf.Path, _Emitter | None] = {}

    def read(self, prim: Usd.Prim) -> _Emitter | None:
        """None for lights that are dark or cannot be read; then a problem says why."""
        path = prim.GetPath()
        if path not in self._known:
            try:
                self._known[path] = self._read(prim)
            except _LeftOutError as error:
                self._known[path] = None
                self._problems.append(Problem(str(path), error.message, error.hint, error.kind))
        return self._known[path]

    def _read(self, prim: Usd.Prim) -> _Emitter | None:
        kind = _KINDS.get(str(prim.GetTypeName()))
        if kind is None:
            raise _LeftOutError(
                f"Lights of type {prim.GetTypeName() or 'LightAPI'} are not read; it is left out.",
                "Use a dome, distant, sphere, disk, rect or cylinder light.",
            )
        values = _Values(prim, self._when)
        color = _emission(values)
        sizes = {name: values.number(f"inputs:{name}") for name in _SIZES.get(kind, ())}
        multipliers = {name: values.number(f"inputs:{name}", 1.0) for name in ("diffuse", "specular")}
        negative = [name for name, value in (sizes | multipliers).items() if value < 0.0]
        if negative or color.min() < 0.0:
            name = negative[0] if negative else "color or intensity"
            raise _LeftOutError(f"Its {name} is negative; it is left out.", "Make it positive.")
        if not color.any():
            return None
        rest = {
            **multipliers,
            "angle": values.number("inputs:angle") if kind == "distant" else 0.0,
            "thin": kind in _THIN and values.flag(_THIN[kind]),
            "texture": self._texture(values, kind),
            "casts_shadows": values.flag("inputs:shadow:enable", True),
            "shaping": _shaping(values),
            "light_link": _link(prim, "lightLink"),
            "shadow_link": _link(prim, "shadowLink"),
        }
        self._note_unread(values)
        return _Emitter(kind, color, values.flag("inputs:normalize"), sizes, self._pole(values), rest)

    def _texture(self, values: "_Values", kind: Kind) -> Path | None:
        """A light whose texture is missing is left out, as an asset is whose file is."""
        value = values.get("inputs:texture:file") if kind in _TEXTURED else None
        if not isinstance(value, Sdf.AssetPath) or not value.path:
            return None
        form = str(values.get("inputs:texture:format") or "automatic")
        if kind == "dome" and form not in _FORMATS:
            raise _LeftOutError(
                f"Its texture {value.path} has the format {form}; it is left out.",
                "Convert it to a latitude-longitude image.",
            )
        if not value.resolvedPath:
            raise _LeftOutError(
                f"There is no texture {value.path}; the light is left out.",
                "Look at the path; it is relative to the file.",
            )
        file = Path(value.resolvedPath)
        inside = self._library is None or packages.file_of(file).resolve().is_relative_to(self._library)
        if not inside:
            raise _LeftOutError(
                f"Its texture {value.path} lies outside the library {self._library}; it is left out.",
                "Put the texture into the library, or open the stage without the restriction.",
            )
        return file

    def _pole(self, values: "_Values") -> np.ndarray:
        """The turn that `poleAxis` of a DomeLight_1 asks for. It belongs to the dome, not to its children."""
        axis = str(values.get("poleAxis") or "Y")
        return _POLE_ON_Z if (self._up_axis if axis == "scene" else axis) == "Z" else np.eye(3)

    def _note_unread(self, values: "_Values") -> None:
        for one in values.prim.GetAuthoredPropertiesInNamespace("inputs"):
            if isinstance(one, Usd.Attribute) and one.HasAuthoredConnections():
                self._note(values, f"What {one.GetName()} is connected to is not read; its own value counts.")
        filters = values.prim.GetRelationship("light:filters")
        if filters and filters.HasAuthoredTargets():
            self._note(values, "Its light filters are not read; it shines without them.")
        profile = values.get("inputs:shaping:ies:file")
        if isinstance(profile, Sdf.AssetPath) and profile.path:
            self._note(values, f"Its IES profile {profile.path} is not read; it shines without it.")

    def _note(self, values: "_Values", message: str) -> None:
        hint = "Shape the light by its cone and focus."
        self._problems.append(Problem(str(values.prim.GetPath()), message, hint, "light", fatal=False))


@dataclass(frozen=True, slots=True)
class _Values:
    """Attributes of one light at a time. Raises SceneError, naming prim and attribute, for other types and
    for numbers that are not finite."""

    prim: Usd.Prim
    when: Usd.TimeCode

    def get(self, name: str) -> Any:
        """None where there is no such attribute or value."""
        attribute = self.prim.GetAttribute(name)
        return attribute.Get(self.when) if attribute else None

    def number(self, name: str, missing: float = 0.0) -> float:
        value = self.get(name)
        if value is None:
            return missing
        if not (isinstance(value, int | float) and isfinite(value)):
            raise self.error(name, value)
        return float(value)

    def color(self, name: str) -> np.ndarray:
        value = self.get(name)
        try:
            color = np.asarray((1.0, 1.0, 1.0) if value is None else value, np.float64)
        except (TypeError, ValueError):  # nothing keeps a file from attributes of other types
            raise self.error(name, value) from None
        if color.shape != (3,) or not np.isfinite(color).all():
            raise self.error(name, value)
        return color

    def flag(self, name: str, missing: bool = False) -> bool:
        value = self.get(name)
        return missing if value is None else bool(value)

    def error(self, name: str, value: object) -> SceneError:
        wanted = "three finite numbers" if name == "inputs:color" else "a finite number"
        frame = f" at frame {self.when.GetValue():g}" if self.when.IsNumeric() else ""
        return SceneError(
            f"{name} of the light {self.prim.GetPath()} is {value}{frame}.", f"Author {wanted}."
        )


def _emission(values: _Values) -> np.ndarray:
    """Color [3] of the light before `normalize`."""
    color = values.color("inputs:color")
    exposure = values.number("inputs:exposure")
    intensity = values.number("inputs:intensity")
    if intensity == 0.0:
        return np.zeros(3)
    with np.errstate(over="ignore", under="ignore"):
        scale = intensity * np.exp2(exposure)
    if not np.isfinite(scale):
        raise values.error("inputs:exposure", exposure)
    if values.flag("inputs:enableColorTemperature"):
        color = color * blackbody(values.number("inputs:colorTemperature", 6500.0))
    return np.asarray(color * scale)


@lru_cache
def blackbody(kelvin: float) -> np.ndarray:
    """Linear Rec.709 color [3] of a black body, of luminance 1; beyond 1000 to 10000 K the nearer end.

    This is UsdLuxBlackbodyTemperatureAsRgb, a spline through Planckian colors. 6500 K is near white and
    not white: (1.04, 0.98, 1.03). NaN crashes USD; `_Values.number` lets none through.
    """
    return np.array(UsdLux.BlackbodyTemperatureAsRgb(kelvin), np.float64)


def _shaping(values: _Values) -> Shaping:
    """Attributes that a light without ShapingAPI lacks leave it unshaped."""
    return Shaping(
        max(values.number("inputs:shaping:focus"), 0.0),  # UsdLux ignores negative ones
        values.number("inputs:shaping:cone:angle", 180.0),
        values.number("inputs:shaping:cone:softness"),
    )


def _link(prim: Usd.Prim, name: str) -> Link:
    if not prim.GetAuthoredPropertiesInNamespace(f"collection:{name}"):
        return Link()
    query = Usd.CollectionAPI(prim, name).ComputeMembershipQuery()
    return Link(query, None if query.UsesPathExpansionRuleMap() else prim.GetStage())


@dataclass(frozen=True, slots=True)
class _Placer:
    """Puts lights into the engine's world."""

    to_engine: np.ndarray
    unit: float  # meters per unit of the stage
    problems: list[Problem]

    def place(self, placed: PlacedPrim, emitter: _Emitter) -> StageLight | None:
        """None for lights without an area, and for transforms that make no light."""
        try:
            return self._placed(placed, emitter)
        except _LeftOutError as error:
            self.problems.append(Problem(placed.path, error.message, error.hint, "transform"))
            return None

    def _placed(self, placed: PlacedPrim, emitter: _Emitter) -> StageLight | None:
        with np.errstate(invalid="ignore", over="ignore"):
            matrix = self.to_engine @ placed.matrix.T
            linear = matrix[:3, :3] @ emitter.pole
        if not np.isfinite(matrix).all():
            raise SceneError(f"xformOpOrder of the light {placed.path} makes a transform that is not finite.")
        if not _has_axes(linear, emitter.kind):
            return None
        frame = frame_of(emitter.kind, linear, emitter.sizes)
        sizes = dict(frame.sizes)
        if emitter.rest["thin"] and emitter.normalize and sizes["radius"] == 0.0:
            sizes["radius"] = POINT_RADIUS
        area = area_of(emitter.kind, frame.axes, sizes)
        if emitter.kind in _SIZES and area == 0.0:
            return None
        if not frame.exact:
            message = f"Its scale is uneven; it is read as a {emitter.kind} light of even scale."
            self.problems.append(Problem(placed.path, message, EVENLY, "transform", fatal=False))
        color = self._color(placed.path, emitter, area)
        world_from_light = np.eye(4)
        world_from_light[:3, :3], world_from_light[:3, 3] = frame.axes, matrix[:3, 3]
        world_from_light.setflags(write=False)
        rest = emitter.rest | sizes
        return StageLight(placed.path, emitter.kind, world_from_light, color, **rest)

    def _color(self, path: str, emitter: _Emitter, area: float) -> Color:
        """Radiance, for distant lights irradiance; `area` is in square meters."""
        factor = 1.0
        if emitter.kind == "distant" and not emitter.normalize:
            factor = irradiance_of_radiance(emitter.rest["angle"])
        elif emitter.kind in _SIZES and emitter.normalize:
            factor = self.unit**2 / area
        with np.errstate(over="ignore"):
            red, green, blue = (emitter.color * factor).tolist()
        if not np.isfinite([red, green, blue, area]).all():
            raise SceneError(
                f"inputs:normalize of the light {path} divides by {area:.3g} square meters.",
                "Give it a size between a millimeter and some kilometers.",
            )
        return red, green, blue


def _has_axes(linear: np.ndarray, kind: Kind) -> bool:
    """Whether a transform leaves a light its area. Raises _LeftOutError for other unusable ones."""
    largest = float(np.abs(linear).max())
    if kind in _SIZES and largest < SMALLEST_SCALE:
        return False
    if largest > LARGEST_SCALE:
        raise _LeftOutError(f"It is scaled by {largest:.3g}; it is left out.", EVENLY)
    flat = is_flat(linear, kind)
    if flat and kind not in ("disk", "rect"):  # those have no area then
        raise _LeftOutError("Its transform is singular; it is left out.", EVENLY)
    return not flat


def irradiance_of_radiance(angle: float) -> float:
    """Of a distant light `angle` degrees across: the irradiance of a surface that faces it, at radiance 1.

    This is UsdLux's `sizeFactor`: where a parallel light has no radiance, 1.
    """
    half = np.radians(np.clip(angle, 0.0, 360.0)) / 2.0
    if half == 0.0:
        return 1.0
    square = float(np.sin(half) ** 2)
    return float(np.pi * (square if half <= np.pi / 2.0 else 2.0 - square))
