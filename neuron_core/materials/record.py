"""What a material is: OpenPBR values, procedural layers in object space, and words about it.

Colors are scene-linear Rec.709, lengths in units of the longest side of the recentered object. A record that
exists is valid: names are known, values finite and in range. Everything a record is made from
is checked here once, and MaterialError names what is wrong.
"""

import difflib
import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.records import read_record, to_plain
from neuron_core.materials.openpbr import CONSTANT_INPUTS, INPUTS, Input, Value

LayerKind = Literal[
    "noise", "streaks", "rings", "patches", "flakes",
    "scratches", "weave", "veins", "prints", "runs",
    "edges", "cavities", "settled",
]  # fmt: skip
LayerRole = Literal["surface", "wear", "dirt", "wet"]

KINDS: tuple[str, ...] = get_args(LayerKind)
ROLES: tuple[str, ...] = get_args(LayerRole)
_RANGES = {"amount": (0.0, 1.0), "scale": (1e-4, 1e3), "softness": (0.01, 1.0)}  # in sides
LARGEST_SEED = 2**32 - 1
MOST_LAYERS = 32
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WORDS = re.compile(r"[a-z0-9][a-z0-9 '/-]*")


class MaterialError(NeuronError):
    """A material or a library that cannot be used as it is."""

    kind = "material"


@dataclass(frozen=True, slots=True)
class Tags:
    """Lower-case words that prompts are written from; an empty string says nothing."""

    base: str = ""  # what it is: "gold", "car paint"
    finish: str = ""  # "polished", "brushed", "matte"
    condition: str = ""  # "worn", "dirty"
    color: str = ""  # "red"

    def __post_init__(self) -> None:
        for name in ("base", "finish", "condition", "color"):
            _words(f"tags.{name}", getattr(self, name))


@dataclass(frozen=True, slots=True)
class Layer:
    """One procedural variation: where its mask is 1, the parameters become `towards`.

    `amount` in [0, 1] is how much of that shows; for patches and flakes it is the share of
    space that they cover, with edges as wide as `softness`. `scale` is the size of a feature.
    `edges`, `cavities` and `settled` follow the shape of the object: convex edges, places that
    little light reaches, surfaces that face up. Layers with the role `wear`, `dirt` or `wet` grow
    and shrink with the condition of the material.
    """

    kind: LayerKind
    amount: float
    scale: float
    seed: int
    towards: Mapping[str, Value] = field(default_factory=dict)
    role: LayerRole = "surface"
    softness: float = 0.15

    def __post_init__(self) -> None:
        _choice("layer kind", self.kind, KINDS)
        _choice("layer role", self.role, ROLES)
        _whole("layer seed", self.seed, LARGEST_SEED)
        for name, (low, high) in _RANGES.items():
            _set(self, name, _number(f"layer {name}", getattr(self, name), low, high))
        _set(self, "towards", checked_values(self.towards))


@dataclass(frozen=True, slots=True)
class Material:
    """A surface. `parameters` holds what differs from OpenPBR's defaults, by their names.

    `name` is a slug, unique in a library. Layers are blended in their order.
    """

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    tags: Tags = field(default_factory=Tags)

    def __post_init__(self) -> None:
        _slug(self.name)
        _set(self, "parameters", checked_values(self.parameters))
        _set(self, "layers", tuple(self.layers))
        if len(self.layers) > MOST_LAYERS:
            raise MaterialError(f"{self.name} has {len(self.layers)} layers; {MOST_LAYERS} are the most.")

    def value(self, name: str) -> Value:
        """The constant of an OpenPBR input before any layer: ours or the default."""
        return self.parameters.get(name, INPUTS[name].default)

    def number(self, name: str) -> float:
        """The constant of an input that is a number."""
        value = self.value(name)
        assert isinstance(value, float), name
        return value

    def color(self, name: str) -> tuple[float, float, float]:
        """The constant of an input that is a color."""
        value = self.value(name)
        assert isinstance(value, tuple), name
        return value

    def to_json(self) -> dict[str, object]:
        """Plain data, the inverse of `from_json`."""
        return to_plain(self)

    @staticmethod
    def from_json(content: object, source: str = "material") -> "Material":
        """Read what `to_json` wrote. Unknown or missing names are errors that name `source`."""
        try:
            return read_record(Material, content, "", MaterialError)
        except MaterialError as error:
            name = content.get("name") if isinstance(content, Mapping) else None
            named = f"{source} ({_shown(name)})" if name is not None else source
            raise MaterialError(f"{named}: {error.message}", error.hint) from error


def slug(text: str) -> str:
    """A material name made from any text; empty if nothing of it can be used."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80].strip("-")


def checked_values(values: object) -> dict[str, Value]:
    """OpenPBR values in the order of the standard, as floats and tuples of three floats.

    Raises MaterialError for an unknown name, a wrong type, or a value out of range.
    """
    if not isinstance(values, Mapping):
        raise MaterialError(f"Parameters must be an object of names and values, not {_shown(values)}.")
    for name in values:
        if not isinstance(name, str) or name not in CONSTANT_INPUTS:
            raise MaterialError(f"There is no OpenPBR input {_shown(name)}.", _near(name))
    return {name: checked_value(name, values[name]) for name in CONSTANT_INPUTS if name in values}


def checked_value(name: str, value: object) -> Value:
    """One OpenPBR value, as a float or a tuple of three floats; MaterialError if it cannot be one."""
    item = INPUTS[name]
    if item.kind == "color":
        return _color(name, value, item)
    number = _number(name, value, item.low, item.high)
    if item.kind == "switch" and number not in (0.0, 1.0):
        raise MaterialError(f"{name} must be 0 or 1, not {number}.")
    return number


def _color(name: str, value: object, item: Input) -> tuple[float, float, float]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 3:
        raise MaterialError(f"{name} must be three numbers, not {_shown(value)}.")
    red, green, blue = (_number(name, part, item.low, item.high) for part in value)
    return red, green, blue


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MaterialError(f"{name} must be a number, not {_shown(value)}.")
    if not low <= value <= high:  # NaN fails too
        raise MaterialError(f"{name} must lie in [{low:g}, {high:g}], not {_shown(value)}.")
    number = float(value)
    assert math.isfinite(number)
    return number


def _whole(name: str, value: object, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise MaterialError(f"{name} must be a whole number in [0, {high}], not {_shown(value)}.")
    return value


def _choice(name: str, value: object, choices: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise MaterialError(f"There is no {name} {_shown(value)}.", f"Choose one of {', '.join(choices)}.")
    return value


def _slug(value: object) -> str:
    if not isinstance(value, str) or not _SLUG.fullmatch(value) or len(value) > 80:
        raise MaterialError(
            f"The material name {_shown(value)} is not a slug.",
            "Use lower-case letters and digits joined by single hyphens, like `brushed-copper`.",
        )
    return value


def _words(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 60 or (value and not _WORDS.fullmatch(value)):
        raise MaterialError(
            f"{name} must be a few lower-case words, not {_shown(value)}.", "Use an empty string for none."
        )
    return value


def _near(name: object) -> str:
    near = difflib.get_close_matches(str(name)[:100], CONSTANT_INPUTS, n=3)
    return f"Near are {', '.join(near)}." if near else "Use the names of MaterialX open_pbr_surface."


def _shown(value: object) -> str:
    """A value as a person may read it: short, whatever it is."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge number"
    return reprlib.repr(value)


def _set(record: object, name: str, value: object) -> None:
    object.__setattr__(record, name, value)
