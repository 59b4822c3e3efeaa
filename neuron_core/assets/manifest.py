"""What a `.neuron` file says about itself, as data: nothing in it is a path, a class or an expression.

`from_json` takes values from files that nobody vouches for; every field is checked for its type and
range, and a field that is missing or unknown is named in the AssetError.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from neuron_core.assets import strict_json
from neuron_core.assets.errors import DAMAGED, AssetError, shown

Vec3 = tuple[float, float, float]

ARCHITECTURES: Mapping[str, frozenset[str]] = {
    "inr": frozenset({"neuron-field-1"}),
    "nvf": frozenset({"nvf-1"}),
}
"""The closed registry: by group of tensors, the names that this version can run."""

MAX_LOOKS = 4096
MAX_COORDINATE = 1e7  # metres from the origin

_SLUG = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ASSET_ID = re.compile(r"[0-9a-f]{32}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Encoder:
    """The prompt encoder that the field was trained with; another one is refused."""

    id: str
    digest: str  # sha256 of its weights, hex

    def to_json(self) -> dict[str, object]:
        """Plain JSON, the inverse of `from_json`."""
        return {"id": self.id, "digest": self.digest}

    @staticmethod
    def from_json(value: object, where: str = "encoder") -> "Encoder":
        """Read it back. Raises AssetError."""
        fields = _Fields(value, where, {"id", "digest"})
        return Encoder(fields.text("id", 256, required=True), fields.matching("digest", _SHA256))


@dataclass(frozen=True, slots=True)
class Look:
    """One appearance of an asset, with the prompt that made it."""

    slug: str  # names its tensors and its USD variant
    prompt: str  # free text, empty where no prompt was involved
    details: Mapping[str, object] = field(default_factory=dict)  # anything JSON, shown to people

    def to_json(self) -> dict[str, object]:
        """Plain JSON, the inverse of `from_json`."""
        return {"slug": self.slug, "prompt": self.prompt, "details": self.details}

    @staticmethod
    def from_json(value: object, where: str = "look") -> "Look":
        """Read it back. Raises AssetError."""
        fields = _Fields(value, where, {"slug", "prompt", "details"})
        slug = fields.text("slug", 64)
        if not is_slug(slug):
            raise AssetError(f"{where}.slug is {shown(slug)}, not lower-case words joined by underscores.")
        return Look(slug, fields.text("prompt", 4096), fields.mapping("details"))


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about an asset but its tensors.

    `asset_id` and `digest` may stay empty until the file is written, which fills them in. Whoever
    writes a changed asset keeps its `asset_id`.
    """

    name: str
    aabb: tuple[Vec3, Vec3]  # lower and upper corner of the object, metres, Y up
    architecture: Mapping[str, str]  # group of tensors -> name in ARCHITECTURES
    looks: tuple[Look, ...] = ()
    encoder: Encoder | None = None  # None: made without prompts, no look can be added
    settings: Mapping[str, object] = field(default_factory=dict)  # numbers that the architectures need
    provenance: Mapping[str, object] = field(default_factory=dict)  # dataset, training, seeds; no clock
    metrics: Mapping[str, object] = field(default_factory=dict)
    licence: str = ""
    version: int = 1
    units: str = "m"
    up_axis: str = "Y"
    asset_id: str = ""
    digest: str = ""  # of all tensors, see `digest_of`

    def look(self, slug: str) -> Look:
        """The look of that name. Raises AssetError with the names there are."""
        for look in self.looks:
            if look.slug == slug:
                return look
        known = ", ".join(look.slug for look in self.looks) or "none"
        raise AssetError(f"{self.name} has no look {shown(slug)}.", f"It has: {known}.")

    def to_json(self) -> dict[str, object]:
        """Plain JSON, the inverse of `from_json`."""
        return {
            "id": self.asset_id,
            "name": self.name,
            "version": self.version,
            "aabb": [list(map(float, corner)) for corner in self.aabb],
            "units": self.units,
            "up_axis": self.up_axis,
            "architecture": dict(self.architecture),
            "settings": self.settings,
            "encoder": None if self.encoder is None else self.encoder.to_json(),
            "looks": [look.to_json() for look in self.looks],
            "provenance": self.provenance,
            "metrics": self.metrics,
            "licence": self.licence,
            "digest": self.digest,
        }

    @staticmethod
    def from_json(value: object) -> "Manifest":
        """Read it back. Raises AssetError with the field that is wrong."""
        fields = _Fields(value, "manifest", _MANIFEST_KEYS)
        encoder = fields.get("encoder")
        return Manifest(
            name=fields.text("name", 256, required=True),
            aabb=_read_aabb(fields.get("aabb")),
            architecture=_read_architecture(fields.get("architecture")),
            looks=_read_looks(fields.get("looks")),
            encoder=None if encoder is None else Encoder.from_json(encoder, "manifest.encoder"),
            settings=fields.mapping("settings"),
            provenance=fields.mapping("provenance"),
            metrics=fields.mapping("metrics"),
            licence=fields.text("licence", 65_536, lines=True),
            version=fields.integer("version", 1, 1_000_000),
            units=fields.choice("units", {"m"}),
            up_axis=fields.choice("up_axis", {"Y"}),
            asset_id=fields.matching("id", _ASSET_ID),
            digest=fields.matching("digest", _SHA256),
        )


_MANIFEST_KEYS = {
    "id", "name", "version", "aabb", "units", "up_axis", "architecture", "settings", "encoder", "looks",
    "provenance", "metrics", "licence", "digest",
}  # fmt: skip


def is_slug(text: str) -> bool:
    """Whether a text can name a look: lower-case ASCII words joined by single underscores, 64 at most."""
    return len(text) <= 64 and _SLUG.fullmatch(text) is not None


def slug_of(text: str, taken: Collection[str] = ()) -> str:
    """A slug that a person recognizes `text` in, and that is none of `taken`.

    The same text gives the same slug. What had to be cut, or is taken, ends in a short hash.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = "_".join(re.findall(r"[a-z0-9]+", ascii_text))
    if not words or not words[0].isalpha():
        words = f"look_{words}".rstrip("_")
    if len(words) <= 48 and words not in taken:
        return words
    salt = 0
    while True:
        short_hash = hashlib.sha256(f"{salt}\0{text}".encode("utf-8", "replace")).hexdigest()[:6]
        slug = f"{words[:48].rstrip('_')}_{short_hash}"
        if slug not in taken:
            return slug
        salt += 1


class _Fields:
    """The fields of one JSON object, each read with its check."""

    def __init__(self, value: object, where: str, keys: set[str]) -> None:
        if not isinstance(value, dict):
            raise AssetError(f"{where} is a {strict_json.type_name(value)}, not an object.")
        for missing in sorted(keys - set(value)):
            raise AssetError(f"{where} has no field {missing}.")
        for unknown in sorted(set(value) - keys):
            raise AssetError(f"{where} has the unknown field {shown(unknown)}.")
        self._value = value
        self._where = where

    def get(self, key: str) -> object:
        return self._value[key]

    def text(self, key: str, limit: int, *, required: bool = False, lines: bool = False) -> str:
        value, where = self._value[key], f"{self._where}.{key}"
        if not isinstance(value, str):
            raise AssetError(f"{where} is a {strict_json.type_name(value)}, not text.")
        if len(value) > limit:
            raise AssetError(f"{where} has {len(value)} characters; at most {limit} are allowed.")
        if required and not value.strip():
            raise AssetError(f"{where} is empty.")
        _check_printable(value, where, lines)
        return value

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self.text(key, 256)
        if not pattern.fullmatch(value):
            raise AssetError(f"{self._where}.{key} is {shown(value)}, not of the form {pattern.pattern}.")
        return value

    def choice(self, key: str, allowed: set[str]) -> str:
        value = self.text(key, 256)
        if value not in allowed:
            raise AssetError(
                f"{self._where}.{key} is {shown(value)}; it can be {', '.join(sorted(allowed))}."
            )
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        value, where = self._value[key], f"{self._where}.{key}"
        if type(value) is not int:
            raise AssetError(f"{where} is {shown(value)}, not an integer.")
        if not low <= value <= high:
            raise AssetError(f"{where} is {shown(value)}, not between {low} and {high}.")
        return value

    def mapping(self, key: str) -> dict[str, object]:
        value, where = self._value[key], f"{self._where}.{key}"
        if not isinstance(value, Mapping):
            raise AssetError(f"{where} is a {strict_json.type_name(value)}, not an object.")
        copy = strict_json.plain(value, where)
        _check_all_printable(copy, where)
        return copy if isinstance(copy, dict) else {}


def _check_printable(text: str, where: str, lines: bool) -> None:
    # Names and prompts are printed in terminals and node parameters: no escapes, no reordering.
    if _CONTROL.search(text.replace("\n", "").replace("\t", "") if lines else text):
        raise AssetError(f"{where} holds control characters: {shown(text)}.")


def _check_all_printable(value: object, where: str) -> None:
    if isinstance(value, str):
        _check_printable(value, where, lines=True)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_all_printable(item, f"{where}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_printable(key, f"a key of {where}", lines=False)
            _check_all_printable(item, f"{where}.{key}")


def _read_aabb(value: object) -> tuple[Vec3, Vec3]:
    where = "manifest.aabb"
    if not isinstance(value, list) or len(value) != 2:
        raise AssetError(f"{where} is {shown(value)}, not two corners.")
    low, high = _read_corner(value[0], where), _read_corner(value[1], where)
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise AssetError(f"{where} is empty: its lower corner is {low}, its upper one {high}.")
    return low, high


def _read_corner(value: object, where: str) -> Vec3:
    if not isinstance(value, list) or len(value) != 3:
        raise AssetError(f"{where} has the corner {shown(value)}, not three numbers.")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise AssetError(f"{where} has the corner {shown(value)}, not three numbers.")
        if not abs(number) <= MAX_COORDINATE:  # also true for NaN
            raise AssetError(f"{where} reaches {shown(number)} m; {MAX_COORDINATE:g} m is the limit.")
    return float(value[0]), float(value[1]), float(value[2])


def _read_architecture(value: object) -> dict[str, str]:
    where = "manifest.architecture"
    if not isinstance(value, dict) or not value:
        raise AssetError(f"{where} is {shown(value)}, not an object that names what the tensors are.")
    for group, name in value.items():
        if group not in ARCHITECTURES:
            raise AssetError(f"{where} names the unknown group {shown(group)}.")
        if not isinstance(name, str) or name not in ARCHITECTURES[group]:
            known = ", ".join(sorted(ARCHITECTURES[group]))
            raise AssetError(
                f"{where}.{group} is {shown(name)}, which this version does not know. It knows {known}.",
                f"Update Neuron if the file is from a newer one. {DAMAGED}",
            )
    return dict(value)


def _read_looks(value: object) -> tuple[Look, ...]:
    where = "manifest.looks"
    if not isinstance(value, list) or len(value) > MAX_LOOKS:
        raise AssetError(f"{where} is no list of at most {MAX_LOOKS} looks.")
    looks = tuple(Look.from_json(look, f"{where}[{index}]") for index, look in enumerate(value))
    seen: set[str] = set()
    for look in looks:
        if look.slug in seen:
            raise AssetError(f"{where} has two looks named {look.slug}.")
        seen.add(look.slug)
    return looks
