"""A `hou` that has what the published stubs of Houdini have, and nothing else.

Names, methods and keywords that the stubs lack raise at once. What exists but is not made here says
so when it is called. Nodes know exactly the parameters of our dialog scripts.
"""

import inspect
import json
import types
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from houdini_assets.description import NodeType
from houdini_assets.nodes import NODES
from pxr import Usd

from tests.houdini.stubs import NO_METHOD, members, names

VDB_MAGIC = b" BDV"


@cache
def signature(arguments: str) -> inspect.Signature:
    """Of a function with these arguments."""
    return inspect.signature(eval(f"lambda {arguments}: None"))  # text of the stub


def check_call(
    where: str, definitions: list[str], given: tuple[object, ...], named: dict[str, object]
) -> None:
    """Raise TypeError if no definition takes the arguments."""
    for arguments in definitions:
        if arguments == NO_METHOD:
            continue
        try:
            signature(arguments).bind(*given, **named)
        except TypeError:
            continue
        return
    raise TypeError(f"hou.{where} takes no {given} {named}")


class Checked:
    """Base of what is made here: only names of the stub, only arguments of the stub."""

    def __getattribute__(self, name: str) -> object:
        if name.startswith("_") or name == "made":
            return object.__getattribute__(self, name)
        kind = type(self).__name__
        known = members(kind)
        if name not in known:
            raise AttributeError(f"hou.{kind} has no {name}")
        value = object.__getattribute__(self, name)

        def call(*given: object, **named: object) -> object:
            check_call(f"{kind}.{name}", known[name], given, named)
            return value(*given, **named)

        return call

    def __getattr__(self, name: str) -> object:
        if name not in members(type(self).__name__):
            raise AttributeError(f"hou.{type(self).__name__} has no {name}")
        raise NotImplementedError(f"hou.{type(self).__name__}.{name} is in Houdini, but not made here")


class Parm(Checked):
    def __init__(self, values: dict[str, object], name: str) -> None:
        self._values, self._name = values, name

    def set(self, value: object) -> None:
        self._values[self._name] = value

    def eval(self) -> object:
        return self._values[self._name]

    def evalAsString(self) -> str:
        return str(self._values[self._name])

    def unexpandedString(self) -> str:
        return str(self._values[self._name])


class OpNode(Checked):
    """A node of one of our types, or of one of Houdini's own. `made` holds what tests look at."""

    _count = 0

    def __init__(self, kind: NodeType | str, values: Mapping[str, object], context: str) -> None:
        OpNode._count += 1
        self._id = OpNode._count
        self._kind = kind.name if isinstance(kind, NodeType) else kind
        self._context = context
        self._values = defaults_of(kind, context)
        self._nodes: dict[str, OpNode] = {}
        for name, value in values.items():
            assert name in self._values, f"{self._kind} has no parameter {name}"
            self._values[name] = value
        self.made: dict[str, list[str]] = {"warnings": [], "cooked": []}

    def evalParm(self, parm_name: str) -> object:
        return self._values[parm_name]

    def evalParmTuple(self, parm_name: str) -> object:
        return self._values[parm_name]

    def parm(self, parm_path: str) -> Parm | None:
        return Parm(self._values, parm_path) if parm_path in self._values else None

    def name(self) -> str:
        return f"{self._kind}{self._id}"

    def sessionId(self) -> int:
        return self._id

    def path(self) -> str:
        return f"/{self._kind}{self._id}"

    def node(self, node_path: str) -> "OpNode | None":
        return self._nodes.get(node_path)

    def addMessage(self, message: str) -> None:
        self.made.setdefault("messages", []).append(message)

    def addWarning(self, message: str) -> None:
        self.made["warnings"].append(message)

    def cook(self, force: bool = False, frame_range: object = ()) -> None:
        self.made["cooked"].append(f"force={force}")


class RopNode(OpNode):
    pass


class LopNode(OpNode):
    _stage: Usd.Stage | None = None

    def editableStage(self) -> Usd.Stage | None:
        return self._stage

    def stage(self) -> Usd.Stage | None:
        return self._stage


class SopNode(OpNode):
    def geometry(self) -> "Geometry":
        if not hasattr(self, "_geometry"):
            self._geometry = Geometry()
        return self._geometry


class Attrib(Checked):
    """That an attribute is there."""


class Geometry(Checked):
    """Points and their attributes as arrays, lists for strings."""

    def __init__(self, **attributes: object) -> None:
        self.made: dict[str, object] = {}
        for name, values in attributes.items():
            texts = isinstance(values, list) and bool(values) and isinstance(values[0], str)
            self.made[name] = values if texts else np.asarray(values, np.float32).reshape(len(values), -1)

    def clear(self) -> None:
        self.made.clear()

    def createPoints(self, point_positions: object) -> None:
        self.made["P"] = np.array(point_positions, np.float32).reshape(-1, 3)

    def addAttrib(self, type: object, name: str, default_value: object, *_: object) -> None:
        assert name not in self.made, f"{name} is there already"
        self.made[name] = np.tile(np.atleast_1d(np.float32(default_value)), (len(self.made["P"]), 1))

    def findPointAttrib(self, name: str, scope: object = None) -> Attrib | None:
        return Attrib() if name in self.made else None

    def setPointFloatAttribValuesFromString(self, name: str, values: bytes) -> None:
        shape = self.made[name].shape
        self.made[name] = np.frombuffer(values, np.float32).reshape(shape)

    def pointFloatAttribValuesAsString(self, name: str) -> bytes:
        return self.made[name].tobytes()

    def pointStringAttribValues(self, name: str) -> tuple[str, ...]:
        return tuple(self.made[name])

    def loadFromFile(self, file_name: str) -> None:
        if not Path(file_name).read_bytes().startswith(VDB_MAGIC):
            raise OperationFailed(f"cannot read {file_name}")
        self.made["loaded"] = file_name


def defaults_of(kind: NodeType | str, context: str) -> dict[str, object]:
    """The values of all parameters. Raises KeyError for a type that is not in the table."""
    if isinstance(kind, NodeType):
        return {parm.name: default_of(parm) for parm in kind.parms() if not parm.base}
    return {name: _blank(value) for name, value in node_table()[context][kind]["parms"].items()}


def _blank(kind: str) -> object:
    word = kind.rstrip("0123456789")
    value: object = "" if word in ("String", "Data", "Ramp") else 0.0 if word == "Float" else 0
    count = kind.removeprefix(word)
    return (value,) * int(count) if count else value


@lru_cache(maxsize=1)
def node_table() -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    """Parameters and inputs of Houdini's own node types, by context and type."""
    content = json.loads((Path(__file__).parent / "node_table.json").read_text(encoding="utf-8"))
    table: dict[str, dict[str, dict[str, dict[str, str]]]] = content["nodes"]
    return table


def default_of(parm: object) -> object:
    """What a parameter evaluates to before anybody sets it."""
    kind, default = parm.type, parm.default  # type: ignore[attr-defined]
    if kind == "vector":
        return tuple(map(float, default))
    if kind == "float":
        return float(default[0])
    return int(default[0]) if kind in ("integer", "toggle", "button") else default[0]


class Error(Exception):
    """As hou.Error."""

    def instanceMessage(self) -> str:
        return str(self)


class NodeError(Error):
    """As hou.NodeError."""


class OperationFailed(Error):
    """As hou.OperationFailed."""


class InterruptableOperation(Checked):
    def __init__(self, operation_name: str, **_: object) -> None:
        self.made: list[float] = []

    def __enter__(self) -> "InterruptableOperation":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def updateProgress(self, percentage: float) -> None:
        self.made.append(percentage)


class Module(types.ModuleType):
    """The module `hou` itself."""

    def __init__(self, version: tuple[int, int, int]) -> None:
        super().__init__("hou")
        self.__dict__["_own"] = {
            "Error": Error,
            "NodeError": NodeError,
            "OperationFailed": OperationFailed,
            "OpNode": OpNode,
            "RopNode": RopNode,
            "LopNode": LopNode,
            "SopNode": SopNode,
            "Geometry": Geometry,
            "InterruptableOperation": InterruptableOperation,
            "attribType": Enumeration("attribType"),
            "severityType": Enumeration("severityType"),
            "isUIAvailable": lambda: False,
            "applicationVersion": lambda: version,
            "applicationVersionString": lambda: ".".join(map(str, version)),
            "licenseCategoryType": Enumeration("licenseCategoryType"),
            "licenseCategory": lambda: "Commercial",
        }

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in names():
            raise AttributeError(f"hou has no {name}")
        own = self.__dict__["_own"]
        if name not in own:
            raise NotImplementedError(f"hou.{name} is in Houdini, but not made here")
        return own[name]


class Enumeration:
    """Values are their own names."""

    def __init__(self, name: str) -> None:
        self._known = members(name)

    def __getattr__(self, name: str) -> str:
        if name not in self._known:
            raise AttributeError(name)
        return name


KINDS: dict[str, type[OpNode]] = {"Driver": RopNode, "Lop": LopNode, "Sop": SopNode}
CONTEXTS = {"driver": RopNode, "lop": LopNode, "sop": SopNode}


def node_of(name: str, **values: object) -> OpNode:
    """A node of one of our types with some parameters set."""
    node_type = next(node for node in NODES if node.name == name)
    return KINDS[node_type.table](node_type, values, node_type.table.lower())


def houdini_node(context: str, name: str, **values: object) -> OpNode:
    """A node of one of Houdini's own types."""
    return CONTEXTS[context](name, values, context)


def sop_with(**attributes: object) -> SopNode:
    """A SOP that has points with these attributes."""
    sop = node_of("splats")
    assert isinstance(sop, SopNode)
    sop._geometry = Geometry(**attributes)
    return sop
