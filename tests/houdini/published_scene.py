"""An empty scene for tools: networks, nodes that are created in them, panes and questions.

What is here follows the stubs as everything in `published_hou` does. Types of nodes are ours and those
of the table of Houdini's own.
"""

import json
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
from houdini_assets import binary, tree
from houdini_assets.description import NodeType
from houdini_assets.nodes import NODES
from pxr import Usd, UsdGeom

from tests.houdini import published_hou
from tests.houdini.published_hou import Checked

CHILDREN = {"obj": "object", "stage": "lop", "out": "driver", "geo": "sop"}  # what a network holds
OURS = {node.operator: node for node in NODES}


class NodeTypeCategory(Checked):
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


class HDADefinition(Checked):
    def __init__(self, kind: NodeType) -> None:
        self._kind = kind

    def nodeTypeName(self) -> str:
        return self._kind.operator

    def libraryFilePath(self) -> str:
        return f"/neuron/otls/{self._kind.folder}"


class OpNodeType(Checked):
    def __init__(self, kind: NodeType | str, context: str) -> None:
        self._kind, self._context = kind, context

    def name(self) -> str:
        return self._kind.operator if isinstance(self._kind, NodeType) else self._kind

    def category(self) -> NodeTypeCategory:
        return NodeTypeCategory(self._context)

    def definition(self) -> HDADefinition | None:
        return HDADefinition(self._kind) if isinstance(self._kind, NodeType) else None


class ParmTuple(Checked):
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


class Parm(published_hou.Parm):
    """A parameter whose menu and button call the node's Python module, as in Houdini."""

    def __init__(self, node: "OpNode", name: str) -> None:
        super().__init__(node._values, name)
        ours = isinstance(node._node_type, NodeType)
        described = node._node_type.parms() if ours else ()
        self._node, self._described = node, next((parm for parm in described if parm.name == name), None)

    def name(self) -> str:
        return self._name

    def menuItems(self) -> tuple[str, ...]:
        menu = self._described.menu
        if menu.function:
            return tuple(getattr(self._node._module(), menu.function)({"node": self._node})[::2])
        return tuple(token for token, _ in menu.items)

    def pressButton(self) -> None:
        getattr(self._node._module(), self._described.callback)({"node": self._node})


class Networked:
    """What nodes of every kind do in a network; `scene` keeps what is selected."""

    def _place(self, scene: "Scene", parent: "OpNode | None", name: str, kind: NodeType | str) -> None:
        self._scene, self._parent, self._name, self._node_type = scene, parent, name, kind
        self._children: list[OpNode] = []
        self._inputs: dict[int, OpNode] = {}
        self._placed = self._shown = self._rendered = False
        self._errors: list[str] = []
        scene.by_id[self._id] = self

    def name(self) -> str:
        return self._name

    def path(self) -> str:
        above = self._parent.path() if self._parent else ""
        return f"{above.rstrip('/')}/{self._name}"

    def parent(self) -> "OpNode | None":
        return self._parent

    def children(self) -> tuple["OpNode", ...]:
        return tuple(self._children)

    def type(self) -> OpNodeType:
        return OpNodeType(self._node_type, self._context)

    def node(self, node_path: str) -> "OpNode | None":
        return self._scene.node(node_path if node_path.startswith("/") else f"{self.path()}/{node_path}")

    def createNode(self, node_type_name: str, node_name: str | None = None) -> "OpNode":
        context = CHILDREN.get(self._kind, "")
        kind = OURS.get(node_type_name, node_type_name)
        node = self._scene.make(kind, context, self, node_name)
        self._children.append(node)
        return node

    def destroy(self) -> None:
        self._parent._children.remove(self)

    def setInput(self, input_index: int, item_to_become_input: "OpNode | None") -> None:
        assert item_to_become_input is None or item_to_become_input._parent is self._parent
        limit = self._node_type.max_inputs if isinstance(self._node_type, NodeType) else 9
        assert input_index < limit, f"{self.path()} has no input {input_index}"
        self._inputs[input_index] = item_to_become_input

    def inputs(self) -> tuple["OpNode", ...]:
        return tuple(self._inputs[index] for index in sorted(self._inputs))

    def setParms(self, parm_dict: dict[str, object]) -> None:
        for name, value in parm_dict.items():
            assert name in self._values, f"{self.path()} has no parameter {name}"
            self._values[name] = value

    def parm(self, parm_path: str) -> Parm | None:
        return Parm(self, parm_path) if parm_path in self._values else None

    def parms(self) -> tuple[Parm, ...]:
        return tuple(Parm(self, name) for name in self._values)

    def parmTuples(self) -> tuple[ParmTuple, ...]:
        return tuple(map(ParmTuple, self._values))

    def errors(self) -> tuple[str, ...]:
        return tuple(self._errors)

    def _module(self) -> types.ModuleType:
        """The Python module of the asset, from the text that its section holds."""
        module = types.ModuleType(self._node_type.name)
        exec(self._node_type.module, module.__dict__)
        return module

    def _guarded(self, work: Callable[[], None]) -> None:
        """What Houdini does with the errors of a cook."""
        self._errors = []
        try:
            work()
        except published_hou.NodeError as error:
            self._errors = [str(error)]
            raise published_hou.OperationFailed("The node has errors.") from error

    def moveToGoodPosition(self) -> None:
        self._placed = True

    def layoutChildren(self) -> None:
        for child in self._children:
            child._placed = True

    def setCurrent(self, on: bool, clear_all_selected: bool = False) -> None:
        if clear_all_selected:
            self._scene.selected.clear()
        self._scene.selected.append(self)

    def isSelected(self) -> bool:
        return self in self._scene.selected

    def setDisplayFlag(self, on: bool) -> None:
        for other in self._parent._children:
            other._shown = False
        self._shown = on

    def isDisplayFlagSet(self) -> bool:
        return self._shown

    def setRenderFlag(self, on: bool) -> None:
        self._rendered = on


class OpNode(Networked, published_hou.OpNode):
    pass


class RopNode(Networked, published_hou.RopNode):
    def render(self) -> None:
        self._guarded(lambda: self._module().render_frame(self))


class LopNode(Networked, published_hou.LopNode):
    def cook(self, force: bool = False) -> None:
        self._stage = Usd.Stage.CreateInMemory()
        for above in self.inputs():
            above.cook(force=True)
            self._stage.GetRootLayer().TransferContent(above.stage().Flatten())
        if self._kind == "sopimport":
            self._import()
        elif self._kind == "camera":
            prim = UsdGeom.Camera.Define(self._stage, self._values["primpath"])
            UsdGeom.Xformable(prim).AddTranslateOp().Set(tuple(self._values["t"]))
        else:
            self._guarded(lambda: self._module().cook(self, self))

    def _import(self) -> None:
        """Geometry of the SOP becomes a primitive below the prefix, as documented; here always a ball."""
        assert self.node(self._values["soppath"]) is not None and self._values["enable_pathprefix"]
        UsdGeom.Sphere.Define(self._stage, f"{self._values['pathprefix']}/mesh_0")

    def stage(self) -> Usd.Stage | None:
        if self._stage is None:
            self.cook()
        return self._stage


class SopNode(Networked, published_hou.SopNode):
    def cook(self, force: bool = False) -> None:
        if isinstance(self._node_type, NodeType):
            for above in self.inputs():
                self.geometry().made = dict(above.geometry().made)
            self._guarded(lambda: self._module().cook(self))
        elif self._kind == "box":
            corners = np.array(np.meshgrid(*3 * [(-0.5, 0.5)]), np.float32).reshape(3, -1).T
            self.geometry().made["P"] = np.ascontiguousarray(corners)

    def geometry(self) -> published_hou.Geometry:
        if self._kind == "box" and not hasattr(self, "_geometry"):
            self._geometry = published_hou.Geometry()
            self.cook()
        return super().geometry()


class ObjNode(Networked, published_hou.OpNode):
    pass


KINDS: dict[str, type[OpNode]] = {
    "driver": RopNode,
    "lop": LopNode,
    "sop": SopNode,
    "object": ObjNode,
}


class PathBasedPaneTab(Checked):
    """A pane that looks at a network."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def setPwd(self, node: OpNode) -> None:
        self.made.append(node.path())


class NetworkEditor(PathBasedPaneTab):
    pass


class SceneViewer(PathBasedPaneTab):
    pass


class PythonPanelInterface(Checked):
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


class PythonPanel(PathBasedPaneTab):
    _interface: PythonPanelInterface | None = None

    def setActiveInterface(self, interface: PythonPanelInterface) -> None:
        self._interface = interface

    def activeInterface(self) -> PythonPanelInterface | None:
        return self._interface

    def setIsCurrentTab(self) -> None:
        self.made.append("current")


class Desktop(Checked):
    def __init__(self, tabs: list[object]) -> None:
        self._tabs = tabs

    def createFloatingPaneTab(self, pane_tab_type: str, size: tuple[int, ...] = ()) -> PythonPanel:
        assert pane_tab_type == "PythonPanel" and len(size) == 2
        self._tabs.append(PythonPanel())
        return self._tabs[-1]


class Functions:
    """Functions of a class of the stub that is used as a module, checked against it."""

    def __init__(self, name: str, **made: Callable[..., object]) -> None:
        self._name, self._made = name, made

    def __getattr__(self, name: str) -> Callable[..., object]:
        known = published_hou.members(self._name)
        if name not in known:
            raise AttributeError(f"hou.{self._name} has no {name}")
        if name not in self._made:
            raise NotImplementedError(f"hou.{self._name}.{name} is in Houdini, but not made here")

        def call(*given: object, **named: object) -> object:
            published_hou.check_call(f"{self._name}.{name}", known[name], given, named)
            return self._made[name](*given, **named)

        return call


class Undo:
    """A group of things that are taken back together."""

    def __enter__(self) -> "Undo":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Scene:
    """The scene and the window. `answers` are what a user says to questions, `told` what they were told."""

    def __init__(self, desktop: bool = True) -> None:
        self.selected: list[OpNode] = []
        self.by_id: dict[int, OpNode] = {}
        self.roots: dict[str, OpNode] = {}
        self.answers: list[str] = []
        self.told: list[str] = []
        self.undone: list[str] = []
        self.callbacks: list[Callable[[], None]] = []
        self.files: list[str] = []  # that were loaded, installed or saved
        self.missing: set[str] = set()  # types that this Houdini does not know
        self.tabs: list[object] = [NetworkEditor(), SceneViewer()] if desktop else []
        self.desktop = desktop
        self.home = "/nowhere"  # what $HIP is
        self.installed = "/nohoudini"  # what $HFS is
        for name in ("obj", "stage", "out"):
            root = OpNode.__new__(OpNode)
            published_hou.OpNode._count += 1
            root._id, root._kind, root._context = published_hou.OpNode._count, name, "manager"
            root._values, root.made = {}, {}
            root._place(self, None, name, name)
            self.roots[name] = root

    def make(self, kind: NodeType | str, context: str, parent: OpNode, name: str | None) -> OpNode:
        """A node as createNode makes it. Raises OperationFailed for a type that does not belong there."""
        full = kind.operator if isinstance(kind, NodeType) else kind
        fits = kind.table.lower() == context if isinstance(kind, NodeType) else self._is_known(context, kind)
        if not fits or full in self.missing:
            raise published_hou.OperationFailed(f"Invalid node type name: {full} in {parent.path()}")
        node = KINDS[context](kind, {}, context)
        stem = name or (kind.name if isinstance(kind, NodeType) else kind)
        taken = {child.name() for child in parent.children()}
        number = 1
        while f"{stem}{number}" in taken:
            number += 1
        node._place(self, parent, name if name and name not in taken else f"{stem}{number}", kind)
        return node

    def _is_known(self, context: str, kind: str) -> bool:
        return kind in published_hou.node_table().get(context, {})

    def node(self, path: str) -> OpNode | None:
        """By absolute path."""
        first, *rest = path.strip("/").split("/")
        found = self.roots.get(first)
        for name in rest:
            children = found.children() if found is not None else ()
            found = next((child for child in children if child.name() == name), None)
        return found

    def node_type(self, category: NodeTypeCategory, name: str) -> OpNodeType | None:
        """A type of ours that this Houdini knows."""
        kind = OURS.get(name)
        known = kind is not None and name not in self.missing and kind.table.lower() == category.name()
        return OpNodeType(kind, category.name()) if known else None

    def names(self) -> dict[str, object]:
        """What goes into the module."""
        return {
            "node": self.node,
            "nodeBySessionId": self.by_id.get,
            "nodeType": self.node_type,
            "lopNodeTypeCategory": lambda: NodeTypeCategory("lop"),
            "ropNodeTypeCategory": lambda: NodeTypeCategory("driver"),
            "sopNodeTypeCategory": lambda: NodeTypeCategory("sop"),
            "isUIAvailable": lambda: self.desktop,
            "undos": Functions("undos", group=self._group),
            "ui": self._ui(),
            "hipFile": Functions("hipFile", load=self._load, save=self.files.append),
            "hda": Functions("hda", installFile=self._install, definitionsInFile=_definitions),
            "qt": Functions("qt", mainWindow=lambda: None, styleSheet=lambda: ""),
            "text": Functions("text", expandString=self._expand),
            "pypanel": Functions("pypanel", interfaceByName=PythonPanelInterface),
            "paneTabType": published_hou.Enumeration("paneTabType"),
            "OpNode": OpNode,
            "RopNode": published_hou.RopNode,
            "LopNode": published_hou.LopNode,
            "SopNode": published_hou.SopNode,
            "PythonPanel": PythonPanel,
            "PathBasedPaneTab": PathBasedPaneTab,
        }

    def _expand(self, text: str) -> str:
        return text.replace("$HIP", self.home).replace("$HFS", self.installed)

    def _load(self, file_name: str, **_: object) -> None:
        if not Path(file_name).is_file():
            raise published_hou.OperationFailed(f"Cannot open {file_name}")
        self.files.append(file_name)
        for row in json.loads(Path(file_name).read_text()):  # a scene of ours is a list of drivers
            self.roots["out"].createNode(*row)

    def _install(self, file_path: str) -> None:
        self.files.append(file_path)
        self.missing.clear()

    def _group(self, label: str) -> Undo:
        self.undone.append(label)
        return Undo()

    def _ui(self) -> Functions:
        kinds = {"NetworkEditor": NetworkEditor, "SceneViewer": SceneViewer, "PythonPanel": PythonPanel}
        return Functions(
            "ui",
            displayMessage=lambda text, **_: self.told.append(text),
            selectFile=lambda **_: self.answers.pop(0),
            paneTabOfType=lambda kind: next((tab for tab in self.tabs if type(tab) is kinds[kind]), None),
            paneTabs=lambda: tuple(self.tabs),
            curDesktop=lambda: Desktop(self.tabs),
            inchesToPixels=lambda inches: inches * 96,
            addEventLoopCallback=self.callbacks.append,
            removeEventLoopCallback=self.callbacks.remove,
        )


def _definitions(file_path: str) -> tuple[HDADefinition, ...]:
    """What a binary file holds, read by its format."""
    files = binary.unpack(Path(file_path).read_bytes())
    found = [node for node in NODES if files == tree.files_of(node)]
    return tuple(map(HDADefinition, found))


def enter(module: published_hou.Module, desktop: bool = True) -> Scene:
    """Give a `hou` an empty scene."""
    scene = Scene(desktop)
    module.__dict__["_own"].update(scene.names())
    return scene
