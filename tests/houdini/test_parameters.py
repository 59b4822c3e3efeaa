"""Parameters that stand for options: what nodes show is what configs say, and what is set arrives there."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
from houdini_assets import dialog_script, mirrored, tree
from houdini_assets.description import NodeType
from houdini_assets.mirrored import Row
from houdini_assets.nodes import NODES

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import config_of, find_task
from neuron_core.foundation.checks import within
from neuron_core.foundation.options import help_of, options_of
from tests.houdini.published_hou import RopNode, default_of, node_of

OTLS = Path(__file__).resolve().parents[2] / "otls"
MIRRORED = [(node, parm) for node in NODES for parm in node.parms() if parm.option is not None]
EACH = pytest.mark.parametrize(
    ("node", "parm"), MIRRORED, ids=[f"{node.name}-{parm.name}" for node, parm in MIRRORED]
)
# What a node says otherwise than the config, on purpose: each is a line in the table of labels.
OWN_DEFAULTS = {("publish", "steps")}
OWN_HELP = {
    *((name, "overwrite") for name in ("dataset", "train", "render")),
    ("train", "asset"),
    ("render", "frames"),
    ("render", "prompt"),
    ("shaderball", "geometry"),
    ("shaderball", "ground"),
}
# Which module builds the command lines of a driver, and what else makes it use a parameter.
WAYS = {"dataset": {"renderer": "engine"}, "train": {}, "render": {}, "publish": {}}


def script_of(node, name):
    """The committed interface of a parameter."""
    path = OTLS / node.folder / tree.encode(node.key) / "DialogScript"
    root = dialog_script.parse(path.read_text(encoding="utf-8"))
    return next(found for found in dialog_script.parm_statements(root) if found.value("name") == name)


def words_below(statement, keyword):
    found = statement.first(keyword)
    lines = found.block if found is not None else []
    return [[dialog_script.plain(word) for word in line.words] for line in lines]


def value_of(default, option):
    """What a default of the interface means to the config."""
    if option.many:
        return tuple(default.split())
    if option.optional and default in ("0", ""):
        return None
    return option.kind(int(default)) if option.kind is bool else option.kind(default)


@EACH
def test_the_committed_interface_says_what_the_config_says(node, parm):
    task, field = parm.option
    option, doc = options_of(config_of(task))[field], help_of(config_of(task))[field]
    statement = script_of(node, parm.name)
    ((default,),) = words_below(statement, "default")
    if "$HIP" not in default and (node.name, parm.name) not in OWN_DEFAULTS:
        assert value_of(default, option) == option.default
    if option.limits is not None:
        ((low, _),) = words_below(statement, "range")
        assert low == f"{0 if option.optional else option.limits.low:g}!"
    menu = [words[0] for words in words_below(statement, "menureplace")]
    assert menu == list(option.choices)
    if (node.name, parm.name) not in OWN_HELP:
        shown = statement.value("help")
        assert shown.startswith(dialog_script.first_sentence(doc).removesuffix("."))


def test_what_is_said_otherwise_on_purpose_is_really_said_otherwise():
    for node, parm in MIRRORED:
        task, field = parm.option
        doc = help_of(config_of(task))[field]
        assert ((node.name, parm.name) in OWN_HELP) == (not parm.help.startswith(doc.removesuffix(".")))


def other_value(option, default):
    """A value that the option takes and that nobody has set."""
    if option.choices:
        return next(choice for choice in option.choices if choice != default)
    if option.kind is bool:
        return not default
    if option.kind in (int, float):
        assert option.limits is not None, "a number that nodes show has a range"
        return option.kind(option.limits.low) + 1
    values = {"aov": "depth", "prompt": "worn copper", "assign": "/World/ä"}
    return values.get(option.name, f"/a folder/größe {option.name}.neuron")


def smallest_value(option, default):
    """The end of the range, where "nothing" and "not said" are easily mixed up."""
    return 0 if option.optional else option.kind(option.limits.low)


def configs_of(node):
    """What the command lines of a driver ask for, the first of every task."""
    module = importlib.import_module(f"neuron_houdini.nodes.rops.{node._kind}")
    made = {}
    for words in module.commands(node):
        made.setdefault(words[0], parse(find_task(words[0]), words[1:]))
    return made


DRIVEN = [
    (node, parm, value, name)
    for node, parm in MIRRORED
    if node.table == "Driver"
    for value, name in ((other_value, "other"), (smallest_value, "smallest"))
    if value is other_value or options_of(config_of(parm.option[0]))[parm.option[1]].kind in (int, float)
]


@pytest.mark.parametrize(
    ("node", "parm", "chosen"),
    [row[:3] for row in DRIVEN],
    ids=[f"{node.name}-{parm.name}-{name}" for node, parm, _, name in DRIVEN],
)
def test_what_is_set_on_a_driver_arrives_in_the_config(hou, node, parm, chosen):
    task, field = parm.option
    option = options_of(config_of(task))[field]
    value = chosen(option, default_of(parm))
    made = node_of(node.name)
    made._values |= {**WAYS[node.name], parm.name: value}
    if task == "anchor":
        made._values["what"] = "anchors"
    found = getattr(configs_of(made)[task], field)
    expected = None if option.optional and not value else option.kind(value)
    assert found == ((expected,) if option.many else expected)


TASKS = {
    "dataset": {"dataset": {}},
    "train": {"train": "TRAIN_NAMES", "bake": "BAKE_NAMES"},
    "render": {"render": "RENDER_NAMES", "anchor": {}},
    "publish": {"publish": {}, "export": {}},
    "shaderball": {"dataset": {}},
}


@pytest.mark.parametrize("name", TASKS)
def test_a_parameter_is_sent_as_an_option_only_if_it_stands_for_one(hou, name):
    """A button or a choice of the node that happens to have the name of an option would be sent too."""
    from neuron_houdini.nodes.parameters import values_of

    (node,) = (found for found in NODES if found.name == name)
    parms = {parm.name: parm for parm in node.parms()}
    room = "rops" if node.table == "Driver" else "lops"
    module = importlib.import_module(f"neuron_houdini.nodes.{room}.{name}")
    for task, names in TASKS[name].items():
        names = getattr(module, names) if isinstance(names, str) else names
        sent = set(values_of(node_of(name), task, names))
        assert {parm.option[1] for parm in parms.values() if parm.option and parm.option[0] == task} <= sent
        for field in sent:
            assert parms[names.get(field, field)].option is not None, field


@dataclass(frozen=True)
class Sample:
    """A task that there is not."""

    out: Path
    """Where it goes."""
    blur: Annotated[int, within(2, 9)] = 3
    """How soft it is. More is slower."""
    kind: Literal["box", "disc"] = "disc"
    """Its shape."""
    names: tuple[str, ...] = ()
    """What is blurred."""
    gain: Annotated[float | None, within(0.5, 2.0)] = None
    """How bright."""
    fast: bool = True
    """Hurry."""


ROWS = (
    Row("out", "Out", default="$HIP/out", path="folder"),
    Row("blur", "Blur", 8),
    Row("kind", "Kind", choices=("Box", "Disc")),
    Row("names", "Names", note="separated by blanks"),
    Row("gain", "Gain"),
    Row("fast", "Fast"),
)


def test_a_field_and_a_row_are_a_parameter_and_an_option(hou, monkeypatch):
    """Nothing else has to know of a new option: neither the interface nor the command line."""
    from neuron_houdini.nodes import parameters

    for module in (mirrored, parameters):
        monkeypatch.setattr(module, "config_of", lambda task: Sample)
    node_type = NodeType("Driver", "sample", "Sample", mirrored.mirrored("sample", *ROWS))
    shown = [
        (parm.type, parm.default[0], parm.range, parm.menu.items if parm.menu else (), parm.help)
        for parm in node_type.parms()
    ]
    assert shown == [
        ("directory", "$HIP/out", "", (), "Where it goes."),
        ("integer", "3", "2! 8", (), "How soft it is. More is slower."),
        ("string", "disc", "", (("box", "Box"), ("disc", "Disc")), "Its shape."),
        ("string", "", "", (), "What is blurred (separated by blanks)."),
        ("float", "0", "0! 2", (), "How bright."),
        ("toggle", "1", "", (), "Hurry."),
    ]
    values = {"out": "/there", "blur": 5, "kind": "box", "names": " a  b ", "gain": 1.5}
    node = RopNode(node_type, values, "driver")
    assert parameters.words_of(node, "sample") == (
        "sample /there --blur 5 --kind box --names a --names b --gain 1.5 --fast".split()
    )
    assert parameters.values_of(node, "sample") == {
        "out": Path("/there"),
        "blur": 5,
        "kind": "box",
        "names": ("a", "b"),
        "gain": 1.5,
        "fast": True,
    }
    plain = RopNode(node_type, {"out": "/there", "fast": 0}, "driver")
    assert parameters.words_of(plain, "sample") == "sample /there --blur 3 --kind disc".split()
    assert parameters.words_of(plain, "sample", blur=None, kind=None, out="/x") == ["sample", "/x"]


def test_a_row_of_a_field_that_the_config_lacks_is_refused():
    with pytest.raises(KeyError):
        mirrored.mirrored("train", Row("stepz", "Steps"))
