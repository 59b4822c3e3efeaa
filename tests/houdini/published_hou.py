"""A `hou` that has what the published stubs of Houdini have, and nothing else.

Names, methods and keywords that the stubs lack raise at once. What exists but is not made here says
so when it is called. Nodes know exactly the parameters of our dialog scripts.
"""

import ast
import copy
import importlib.util
import inspect
import types
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from houdini_assets.description import NodeType
from houdini_assets.nodes import NODES
from pxr import Usd


@lru_cache(maxsize=1)
def stub() -> ast.Module:
    """The parsed stub file of types-houdini."""
    spec = importlib.util.find_spec("mypy")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parents[1] / "hou-stubs" / "__init__.pyi"
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def names() -> dict[str, ast.AST]:
    """Everything at the top of the stub."""
    found: dict[str, ast.AST] = {}
    for item in stub().body:
        if isinstance(item, ast.ClassDef | ast.FunctionDef):
            found.setdefault(item.name, item)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found.setdefault(item.target.id, item)
        elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            found.setdefault(item.targets[0].id, item)
    return found


@cache
def members(name: str) -> dict[str, list[ast.AST]]:
    """What a class of the stub and its bases have; several definitions of a method are overloads."""
    item = names().get(name)
    if not isinstance(item, ast.ClassDef):
        return {}
    found: dict[str, list[ast.AST]] = {}
    for inner in item.body:
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            found.setdefault(inner.name, []).append(inner)
        elif isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
            found.setdefault(inner.target.id, []).append(inner)
        elif isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
            found.setdefault(inner.targets[0].id, []).append(inner)
    for base in item.bases:
        for key, value in members(ast.unparse(base)).items():
            found.setdefault(key, value)
    return found


def signature(function: ast.FunctionDef) -> inspect.Signature:
    """Names, kinds and which may be left out; annotations do not matter."""
    arguments = copy.deepcopy(function.args)
    if arguments.args and arguments.args[0].arg == "self":
        del arguments.args[0]
    for inner in ast.walk(arguments):
        if isinstance(inner, ast.arg):
            inner.annotation = None
    text = ast.unparse(ast.Lambda(args=arguments, body=ast.Constant(None)))
    return inspect.signature(eval(text))  # text of the stub


def check_call(
    where: str, definitions: list[ast.AST], given: tuple[object, ...], named: dict[str, object]
) -> None:
    """Raise TypeError if no definition takes the arguments."""
    functions = [item for item in definitions if isinstance(item, ast.FunctionDef)]
    for function in functions:
        try:
            signature(function).bind(*given, **named)
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


class OpNode(Checked):
    """A node of one of our types. `made` holds what tests look at."""

    _count = 0

    def __init__(self, node_type: NodeType, **values: object) -> None:
        OpNode._count += 1
        self._id = OpNode._count
        self._type = node_type
        self._values: dict[str, object] = {p.name: default_of(p) for p in node_type.parms() if not p.base}
        for name, value in values.items():
            assert name in self._values, f"{node_type.name} has no parameter {name}"
            self._values[name] = value
        self.made: dict[str, list[str]] = {"warnings": []}

    def evalParm(self, parm_name: str) -> object:
        return self._values[parm_name]

    def evalParmTuple(self, parm_name: str) -> object:
        return self._values[parm_name]

    def parm(self, parm_path: str) -> Parm | None:
        return Parm(self._values, parm_path) if parm_path in self._values else None

    def name(self) -> str:
        return f"{self._type.name}{self._id}"

    def sessionId(self) -> int:
        return self._id

    def path(self) -> str:
        return f"/{self.name()}"

    def node(self, node_path: str) -> object:
        return None

    def addWarning(self, message: str) -> None:
        self.made["warnings"].append(message)


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


class Geometry(Checked):
    """Points and their attributes as arrays."""

    def __init__(self) -> None:
        self.made: dict[str, np.ndarray] = {}

    def clear(self) -> None:
        self.made.clear()

    def createPoints(self, point_positions: object) -> None:
        self.made["P"] = np.array(point_positions, np.float32).reshape(-1, 3)

    def addAttrib(self, type: object, name: str, default_value: object, *_: object) -> None:
        assert name not in self.made, f"{name} is there already"
        self.made[name] = np.tile(np.atleast_1d(np.float32(default_value)), (len(self.made["P"]), 1))

    def setPointFloatAttribValuesFromString(self, name: str, values: bytes) -> None:
        shape = self.made[name].shape
        self.made[name] = np.frombuffer(values, np.float32).reshape(shape)


def default_of(parm: object) -> object:
    """What a parameter evaluates to before anybody sets it."""
    kind, default = parm.type, parm.default  # type: ignore[attr-defined]
    if kind == "vector":
        return tuple(map(float, default))
    if kind == "float":
        return float(default[0])
    return int(default[0]) if kind in ("integer", "toggle", "button") else default[0]


class NodeError(Exception):
    """As hou.NodeError."""


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
            "NodeError": NodeError,
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


def node_of(name: str, **values: object) -> OpNode:
    """A node of one of our types with some parameters set."""
    node_type = next(node for node in NODES if node.name == name)
    kinds: dict[str, Callable[..., OpNode]] = {"Driver": RopNode, "Lop": LopNode, "Sop": SopNode}
    return kinds[node_type.table](node_type, **values)
