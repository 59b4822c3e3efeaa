"""What docs/houdini.md names is there: tools, nodes, labels, files, variables, pictures."""

import re
from pathlib import Path

from houdini_assets.description import Folder, Multi
from houdini_assets.nodes import NODES

from tests.houdini.test_shelf import SHELF

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "houdini.md").read_text(encoding="utf-8")
CODE = "".join(
    path.read_text(encoding="utf-8")
    for folder in ("python3.11libs", "scripts", "neuron_core/cli")
    for path in (PROJECT / folder).rglob("*.py")
)
# Words of Houdini and of our windows that are set in italics too.
OTHER = {"Shelves", "Neuron", "Help", "Jobs", "Set Up", "torch Index", "Wheels", "Place in Stage"}


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def labels():
    """Labels of parameters, folders and choices of all nodes."""

    def of(items):
        for item in items:
            yield item.label
            if isinstance(item, Folder | Multi):
                yield from of(item.items)
            elif item.menu is not None:
                yield from (label for _, label in item.menu.items)

    return {label for node in NODES for label in of(node.items)}


def test_every_tool_and_every_node_has_a_row():
    rows = re.findall(r"^\| ([A-Z][\w ]+) \| ", section("Shelf"), re.MULTILINE)
    assert rows == [tool.get("label") for tool in SHELF.iter("tool")]
    named = re.findall(r"^\| `neuron::(\w+)` \| (\S+) \|", section("Nodes"), re.MULTILINE)
    places = {"Lop": "/stage", "Driver": "/out", "Sop": "SOPs"}
    assert sorted(named) == sorted((node.name, places[node.table]) for node in NODES)


def test_labels_in_the_text_are_those_of_nodes_and_tools():
    tools = {tool.get("label") for tool in SHELF.iter("tool")}
    prose = re.sub(r"```.*?```|`[^`]*`|!\[[^]]*\]\([^)]*\)", "", PAGE, flags=re.DOTALL)
    italics = re.findall(r"(?<![*\w])\*([A-Z][^*\n]*(?:\n[^*\n]+)?)\*(?!\*)", prose)
    found = {" ".join(text.split()) for text in italics}
    short = {text for text in found if len(text.split()) <= 4 and not text.endswith(".")}
    assert len(short) > 15
    missing = {text for text in short if text.partition(":")[0] not in labels() | tools | OTHER}
    assert missing == set()
    for text in re.findall(r"\*\*([A-Z][^*\n]*)\*\*", section("First asset") + section("Install")):
        assert text in tools


def test_scripts_pictures_and_links_are_there():
    for name in re.findall(r"scripts/\w+(?:\.py)?", PAGE):
        assert (PROJECT / name).exists(), name
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE):
        assert (PROJECT / "docs" / name).is_file(), name


def test_variables_of_ours_are_read_by_code():
    names = set(re.findall(r"\bNEURON_[A-Z_]+\b", PAGE))
    assert names >= {"NEURON_ENV", "NEURON_LIBRARY"} and all(name in CODE for name in names)


def test_examples_of_hython_set_parameters_that_exist():
    known = {node.name: {parm.name for parm in node.parms()} for node in NODES}
    found = 0
    for task, words in re.findall(r"^    hython scripts/hython_(\w+)\.py (.*)$", PAGE, re.MULTILINE):
        for name in re.findall(r"(?<![-\w])(\w+)=", words):
            assert name in known[task], name
            found += 1
    assert found >= 5


def test_pictures_of_windows_are_said_to_be_drawn_outside_of_houdini():
    for words in re.findall(r"!\[([^]]*)\]\(images/", PAGE):
        assert "drawn outside of Houdini" in words
