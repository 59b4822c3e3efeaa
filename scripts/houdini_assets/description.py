"""What a node type is: its parameters, inputs, scripts and inner network, each said once.

The same description gives the dialog script, the help card and the Python module of a type. A
parameter that stands for an option of the engine has the option's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Table = Literal["Sop", "Lop", "Driver"]
ParmType = Literal[
    "toggle",
    "float",
    "integer",
    "string",
    "ordinal",
    "button",
    "label",
    "vector",
    "file",
    "directory",
    "oppath",
    "image",
    "geometry",
]
SIZES: dict[str, int] = {"vector": 3}

NAMESPACE = "neuron"
VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Menu:
    """Choices of a parameter: fixed ones, or a function of the Python module that lists them.

    `kind` is Houdini's keyword: `menu` on an ordinal, `menureplace` on a string.
    """

    items: tuple[tuple[str, str], ...] = ()  # token, label
    function: str = ""  # called with kwargs; returns token, label, token, label ...
    kind: Literal["menu", "menureplace", "menutoggle"] = "menu"


@dataclass(frozen=True, slots=True)
class Parm:
    """One parameter. `help` is its entry in the help card; a parameter without is not for people."""

    name: str
    label: str
    type: ParmType = "string"
    default: tuple[str, ...] = ("",)
    help: str = ""
    size: int = 1
    menu: Menu | None = None
    callback: str = ""  # a function of the Python module, called with kwargs
    disable_when: str = ""
    hide_when: str = ""
    range: str = ""  # as in `{ 1! 100 }`, without the braces
    join: bool = False
    no_label: bool = False
    invisible: bool = False
    base: bool = False  # a parameter that the table's own nodes have; Houdini knows the rest
    export: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    option: tuple[str, str] | None = None  # the task and the option that it stands for

    @property
    def components(self) -> int:
        """How many values it holds."""
        return SIZES.get(self.type, self.size)


@dataclass(frozen=True, slots=True)
class Folder:
    """A group of parameters: a tab, a simple frame or one that folds."""

    name: str
    label: str
    items: tuple["Item", ...]
    kind: Literal["tab", "simple", "collapsible"] = "tab"
    opened: bool = False
    hide_when: str = ""


@dataclass(frozen=True, slots=True)
class Multi:
    """A list of parameter groups that the user makes longer; names inside end in `#`, from 1."""

    name: str
    label: str
    items: tuple[Parm, ...]
    help: str = ""
    default: int = 0


Item = Parm | Folder | Multi


@dataclass(frozen=True, slots=True)
class InnerNode:
    """A node inside of the asset, with the value of every parameter that its type has."""

    name: str
    type: str
    position: tuple[int, int]
    parms: tuple[tuple[str, tuple[str, ...]], ...]  # values as they are written in the file
    source: str = ""  # the node in its first input; `(0)` is the first input of the asset
    has_output: bool = False
    display: bool = True
    matches_definition: bool = True
    channels: str = ""  # the text of its .chn part
    lop: bool = False


@dataclass(frozen=True, slots=True)
class NodeType:
    """One digital asset, in a library of its own."""

    table: Table
    name: str  # without namespace and version
    label: str
    items: tuple[Item, ...]
    summary: str = ""  # one sentence for the help card
    help: str = ""  # more of it, in wiki markup
    module: str = ""  # Python module section
    cook: str = ""  # PythonCook section; makes it a Python operator without a network
    network: tuple[InnerNode, ...] = ()
    network_inputs: str = ""  # text of hdaroot.inp
    min_inputs: int = 0
    max_inputs: int = 1
    input_labels: tuple[str, ...] = ()
    input_help: tuple[str, ...] = ()
    icon: str = ""  # SVG text; a built-in icon otherwise
    builtin_icon: str = ""
    sections: tuple[str, ...] = ()  # the order of the section files, if it is not the usual one
    extra: tuple[tuple[str, str], ...] = field(default=())  # event scripts (OnCreated ...) by section name
    related: tuple[str, ...] = ()
    author: str = NAMESPACE
    help_text: str | None = None  # a whole help card, instead of the one that is made

    @property
    def operator(self) -> str:
        """The full name of the operator: `neuron::splats::1.0`."""
        return f"{NAMESPACE}::{self.name}::{VERSION}"

    @property
    def key(self) -> str:
        """The name of the definition in its library: `neuron::Sop/splats::1.0`."""
        return f"{NAMESPACE}::{self.table}/{self.name}::{VERSION}"

    @property
    def folder(self) -> str:
        """The name of the expanded library, and of the packed one."""
        return f"{NAMESPACE}_{self.name}.hda"

    def parms(self) -> Iterator[Parm]:
        """Every parameter, those of lists too, in the order of the interface."""
        yield from parms_of(self.items)


def parms_of(items: tuple[Item, ...]) -> Iterator[Parm]:
    """The parameters among the items and in their folders and lists."""
    for item in items:
        if isinstance(item, Parm):
            yield item
        else:
            yield from parms_of(item.items)
