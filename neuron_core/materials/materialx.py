"""Read `standard_surface` and `open_pbr_surface` materials from MaterialX files.

Constants are read, and connections to constants are followed. Anything else that is connected
keeps its default and is named in the notes. Files come from anywhere: there are no entities, no
includes, and a limit on size, depth and count.
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

import numpy as np

from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import read_bytes
from neuron_core.materials.openpbr import INPUTS, Value
from neuron_core.materials.record import Material, MaterialError, checked_value, slug
from neuron_core.materials.surfaces import TRANSLATORS, Translator
from neuron_core.materials.wording import tags_from_name

LARGEST_FILE = 16 << 20
DEEPEST = 64
MOST_ELEMENTS = 200_000
MOST_FILES = 10_000
LONGEST_CHAIN = 16  # connections that are followed one after another

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")

# Primaries of ACEScg (AP1, white near D60) to Rec.709 (D65), Bradford adaptation; columns are R, G, B.
_REC709_FROM_AP1 = np.array(
    [
        [1.7050510, -0.6217921, -0.0832589],
        [-0.1302564, 1.1408048, -0.0105483],
        [-0.0240034, -0.1289690, 1.1529724],
    ]
)


@dataclass(frozen=True, slots=True)
class MaterialXContent:
    """The materials of files, and what a person should know about how they were read."""

    materials: tuple[Material, ...]
    notes: tuple[str, ...]


def read_materialx(path: Path) -> MaterialXContent:
    """Every material of one `.mtlx` file, or of all such files in a folder, in the order of names.

    Materials of the same name in different files are distinguished by the names of their files.
    Raises FileError for what cannot be read, MaterialError for what it says.
    """
    path = Path(path)
    files = _files(path)
    found = [(file, _Document(file)) for file in files]
    named = [(name, document, shader) for _, document in found for name, shader in document.surfaces()]
    names = _unique_names([(name, document.path) for name, document, _ in named])
    materials, notes = [], [note for _, document in found for note in document.notes]
    for name, (_, document, shader) in zip(names, named, strict=True):
        values, lost = document.read_surface(name, shader)
        materials.append(Material(name, values, (), tags_from_name(name)))
        notes += lost
    return MaterialXContent(tuple(materials), tuple(notes))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".mtlx" and file.is_file())
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    if not files:
        raise MaterialError(f"There is no .mtlx file in {path}.", "Choose a folder of MaterialX files.")
    if len(files) > MOST_FILES:
        raise MaterialError(f"{path} holds {len(files)} .mtlx files; {MOST_FILES} are the most.")
    return files


def _unique_names(found: list[tuple[str, Path]]) -> list[str]:
    """Slugs; where several would be the same, all of them take the names of their files."""
    slugs = [slug(name) or "material" for name, _ in found]
    counts = Counter(slugs)
    in_file = Counter(path for _, path in found)
    told_apart = []
    for name, (_, path) in zip(slugs, found, strict=True):
        stem = slug(path.stem) or "material"
        if counts[name] > 1:
            name = stem if in_file[path] == 1 else slug(f"{stem}-{name}")
        told_apart.append(name)
    taken: Counter[str] = Counter()
    for index, name in enumerate(told_apart):
        taken[name] += 1
        if taken[name] > 1:
            told_apart[index] = f"{name[:70]}-{taken[name]}"
    return told_apart


# ---- one file


class _Document:
    """The parsed tree of one file, with errors that say where."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self.root = _parse(path)
        if self.root.tag != "materialx":
            raise self.error(f"its root is <{self.root.tag}>, not <materialx>", "Choose a MaterialX file.")
        self.parents = {child: parent for parent in self.root.iter() for child in parent}
        if any(_local(item.tag) == "include" for item in self.root):
            self.notes.append(f"{path.name} includes other files, which are not read.")

    def error(self, what: str, hint: str = "") -> MaterialError:
        return MaterialError(f"{self.path}: {what}.", hint)

    def surfaces(self) -> list[tuple[str, ET.Element]]:
        """Each material's name and surface node, in the order of the file."""
        materials = [item for item in self.root if item.tag == "surfacematerial"]
        if materials:
            return [(_name(item), self._surface_of(item)) for item in materials]
        bare = [(_name(item), item) for item in self.root if item.tag in TRANSLATORS]
        if not bare:
            raise self.error(
                "there is no material with a standard_surface or open_pbr_surface",
                "Export the surface as one of these, in MaterialX 1.38 or later.",
            )
        return bare if len(bare) > 1 else [(self.path.stem, bare[0][1])]

    def _surface_of(self, material: ET.Element) -> ET.Element:
        where = f"surfacematerial {_name(material)!r}"
        source = _input(material, "surfaceshader")
        if source is None:
            raise self.error(f"{where} has no surfaceshader")
        shader = self._connected(source, where)
        if shader is None or shader.tag not in TRANSLATORS:
            kind = "nothing" if shader is None else f"<{shader.tag}>"
            raise self.error(
                f"the surface of {where} is {kind}", "Only standard_surface and open_pbr_surface are read."
            )
        return shader

    def read_surface(self, name: str, shader: ET.Element) -> tuple[dict[str, Value], list[str]]:
        """OpenPBR values that differ from the defaults, and notes that begin with `name`."""
        translator = TRANSLATORS[shader.tag]
        given: dict[str, Value] = {}
        notes: list[str] = []
        for item in shader:
            if item.tag != "input":
                continue
            key = _name(item)
            if key in translator.without_value:
                notes.append(f"{name}: {key} is connected or set, which is not followed.")
            elif key in given:
                raise self.error(f"{shader.tag} {_name(shader)!r} has two inputs {key!r}")
            elif key in translator.kinds:
                value = self._input_value(name, shader, item, translator.kinds[key], notes)
                if value is not None:
                    given[key] = value
            else:
                notes.append(f"{name}: {key} is not an input of {shader.tag} and is ignored.")
        return self._translated(name, shader, translator, given, notes), notes

    def _translated(
        self,
        name: str,
        shader: ET.Element,
        translator: Translator,
        given: Mapping[str, Value],
        notes: list[str],
    ) -> dict[str, Value]:
        values, found = translator.translate(given, shader.get("version", ""))
        notes += [f"{name}: {note}" for note in found]
        checked = {}
        for key, value in values.items():
            try:
                checked[key] = checked_value(key, value)
            except MaterialError as error:
                where = f"{shader.tag} {_name(shader)!r}, input {translator.sources.get(key, key)!r}"
                raise self.error(f"{where}: {error.message.rstrip('.')}", error.hint) from error
        return {key: value for key, value in checked.items() if value != INPUTS[key].default}

    def _input_value(
        self, name: str, shader: ET.Element, item: ET.Element, kind: str, notes: list[str]
    ) -> Value | None:
        where = f"{shader.tag} {_name(shader)!r}, input {_name(item)!r}"
        source, graph = self._constant(item, where)
        if source is None:
            notes.append(
                f"{name}: {_name(item)} comes from {graph}, which is not followed; its default is used."
            )
            return None
        value = self._parsed(source, item.get("type", ""), kind, where)
        if isinstance(value, tuple) and source.get("type", item.get("type")) == "color3":
            linear, is_clipped = self._linear(np.array(value), source, where)
            if is_clipped:
                notes.append(f"{name}: {_name(item)} lies outside Rec.709 and was clipped.")
            return linear
        return value

    # ---- connections

    def _constant(self, item: ET.Element, where: str) -> tuple[ET.Element | None, str]:
        """The element whose `value` an input has, or what it comes from in words."""
        origin = ""
        for _ in range(LONGEST_CHAIN):
            if not _is_connected(item):
                return item, ""
            origin = origin or _described(item)
            node = self._connected(item, where)
            if node is None:
                return None, origin
            following = node if node.tag == "input" else _input(node, _PASSING.get(node.tag, ""))
            if following is None:
                return None, origin
            item = following
        raise self.error(f"{where}: connections go in circles or are longer than {LONGEST_CHAIN}")

    def _connected(self, item: ET.Element, where: str) -> ET.Element | None:
        """The node, or the input of a graph, at the other end of a connection."""
        if (interface := item.get("interfacename")) is not None:
            owner = self._enclosing_graph(item)
            return None if owner is None else _input(owner, interface)
        scope = self._scope(item)
        if (graph_name := item.get("nodegraph")) is not None:
            graph = _child(self.root, graph_name, "nodegraph")
            if graph is None:
                raise self.error(f"{where}: there is no node graph {graph_name!r}")
            outputs = [child for child in graph if child.tag == "output"]
            wanted = item.get("output")
            chosen = [child for child in outputs if wanted is None or child.get("name") == wanted]
            if not chosen:
                raise self.error(f"{where}: node graph {graph_name!r} has no output {wanted!r}")
            item, scope = chosen[0], graph
        if (node_name := item.get("nodename")) is None:
            return None
        node = _child(scope, node_name)
        if node is None:
            raise self.error(f"{where}: there is no node {node_name!r}")
        return node

    def _scope(self, item: ET.Element) -> ET.Element:
        """Where the names in a connection are looked up; a graph's own inputs look outside."""
        parent = self.parents.get(item)
        if item.tag == "input" and parent is not None and parent.tag == "nodegraph":
            item = parent
        graph = self._enclosing_graph(item)
        return self.root if graph is None else graph

    def _enclosing_graph(self, item: ET.Element) -> ET.Element | None:
        while (parent := self.parents.get(item)) is not None:
            if parent.tag == "nodegraph":
                return parent
            item = parent
        return None

    # ---- values

    def _parsed(self, source: ET.Element, wanted: str, kind: str, where: str) -> Value:
        text = source.get("value")
        if text is None:
            raise self.error(f"{where} has neither a value nor a connection")
        type_name = source.get("type", wanted)
        allowed = _TYPES[kind]
        if type_name not in allowed:
            raise self.error(f"{where} has the type {type_name!r}", f"It must be {' or '.join(allowed)}.")
        if kind == "switch":
            if text.strip().lower() not in ("true", "false"):
                raise self.error(f"{where} is {text[:80]!r}, neither true nor false")
            return float(text.strip().lower() == "true")
        numbers = self._numbers(text, 3 if kind == "color" else 1, where)
        if kind == "float":
            return numbers[0]
        return numbers[0], numbers[1], numbers[2]

    def _numbers(self, text: str, count: int, where: str) -> list[float]:
        parts = text.split(",")
        if len(parts) != count or not all(_NUMBER.fullmatch(part) for part in parts):
            expected = "a number" if count == 1 else f"{count} numbers"
            raise self.error(f"{where} is {text[:80]!r}, not {expected}")
        return [float(part) for part in parts]

    def _linear(
        self, color: np.ndarray, source: ET.Element, where: str
    ) -> tuple[tuple[float, float, float], bool]:
        """Linear Rec.709, and whether its gamut had to be clipped to."""
        space = self._color_space(source)
        if space not in _COLOR_SPACES:
            raise self.error(
                f"{where} has the color space {space!r}, which is not known",
                f"Known are {', '.join(sorted(_COLOR_SPACES))}.",
            )
        linear = clipped = _COLOR_SPACES[space](color)
        if space in _WIDE and 0.0 <= color.min() and color.max() <= 1.0:
            clipped = np.clip(linear, 0.0, 1.0)
        red, green, blue = clipped.tolist()
        return (red, green, blue), bool(np.abs(clipped - linear).max() > 1e-5)

    def _color_space(self, item: ET.Element) -> str:
        element: ET.Element | None = item
        while element is not None:
            if (space := element.get("colorspace")) is not None:
                return space
            element = self.parents.get(element)
        return "lin_rec709"


_PASSING = {"constant": "value", "dot": "in"}  # nodes that give on one of their inputs as it is

_TYPES = {
    "float": ("float", "integer"),
    "color": ("color3", "vector3"),
    "switch": ("boolean",),
}


def _same(color: np.ndarray) -> np.ndarray:
    return color


def _from_srgb(color: np.ndarray) -> np.ndarray:
    return srgb_to_linear(color).astype(np.float64)


def _from_gamma(exponent: float) -> Callable[[np.ndarray], np.ndarray]:
    def decode(color: np.ndarray) -> np.ndarray:
        linear: np.ndarray = np.maximum(color, 0.0) ** exponent
        return linear

    return decode


def _from_acescg(color: np.ndarray) -> np.ndarray:
    linear: np.ndarray = _REC709_FROM_AP1 @ color
    return linear


_COLOR_SPACES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": _same,
    "none": _same,
    "lin_rec709": _same,
    "lin_rec709_scene": _same,
    "linear": _same,
    "srgb_texture": _from_srgb,
    "srgb_rec709_scene": _from_srgb,
    "gamma18": _from_gamma(1.8),
    "gamma22": _from_gamma(2.2),
    "g22_rec709": _from_gamma(2.2),
    "gamma24": _from_gamma(2.4),
    "acescg": _from_acescg,
    "lin_ap1": _from_acescg,
    "lin_ap1_scene": _from_acescg,
}
_WIDE = ("acescg", "lin_ap1", "lin_ap1_scene")


def _parse(path: Path) -> ET.Element:
    content = _limited_content(path)
    try:
        _refuse_tricks(content)
        return ET.fromstring(content)
    except (expat.ExpatError, ET.ParseError, _RefusedError, ValueError, LookupError) as error:
        raise MaterialError(f"{path}: not readable as XML: {error}.", "Export the file again.") from error


def _limited_content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    if size > LARGEST_FILE:
        raise MaterialError(f"{path}: {size} bytes are too many; {LARGEST_FILE} are the most.")
    return read_bytes(path)


class _RefusedError(Exception):
    """Something that a material file has no business to hold."""


def _refuse_tricks(content: bytes) -> None:
    """Stop at document types, entities, and trees that are too deep or too large."""
    parser = expat.ParserCreate()
    depth = count = 0

    def refuse(*_: object) -> None:
        raise _RefusedError("document types and entities are not allowed")

    def enter(*_: object) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > DEEPEST or count > MOST_ELEMENTS:
            raise _RefusedError("there are too many elements, or they are nested too deeply")

    def leave(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = enter
    parser.EndElementHandler = leave
    parser.Parse(content, True)


def _name(element: ET.Element) -> str:
    return element.get("name", "")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _is_connected(item: ET.Element) -> bool:
    return any(key in item.attrib for key in ("nodename", "nodegraph", "interfacename"))


def _described(item: ET.Element) -> str:
    if (graph := item.get("nodegraph")) is not None:
        return f"node graph {graph}"
    if (node := item.get("nodename")) is not None:
        return f"node {node}"
    return f"interface {item.get('interfacename')}"


def _input(element: ET.Element, name: str) -> ET.Element | None:
    return _child(element, name, "input")


def _child(element: ET.Element, name: str, tag: str = "") -> ET.Element | None:
    return next(
        (child for child in element if child.get("name") == name and (not tag or child.tag == tag)), None
    )
