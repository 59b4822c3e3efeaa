"""Digital assets: bytes against known answers, and every name in them against what it refers to."""

import ast
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from houdini_assets import binary, dialog_script, help_card, network, tree
from houdini_assets.description import Multi, NodeType, Parm
from houdini_assets.nodes import NODES
from hypothesis import given
from hypothesis import strategies as st
from pack_hdas import pack_all

from tests.houdini import published_hou, reference_types

PROJECT = Path(__file__).resolve().parents[2]
OTLS = PROJECT / "otls"
EACH = pytest.mark.parametrize("node", NODES, ids=[node.name for node in NODES])


def test_a_packed_sop_has_the_published_bytes():
    content = binary.pack(tree.files_of(reference_types.SOP))
    assert len(content) == 2970
    assert (
        hashlib.sha256(content).hexdigest()
        == "4ec2260ea959da15bc8d1970c4db7f9a8f5b2203fde56c973d870484ef48f3aa"
    )


@pytest.mark.parametrize(
    ("node", "length", "digest"),
    [(reference_types.LOP, 3294, "af640bd8002649da"), (reference_types.DRIVER, 3060, "8e922bebf458ce1f")],
)
def test_inner_networks_have_the_published_bytes(node, length, digest):
    archive = binary.archive(network.write(node))
    assert len(archive) == length
    assert hashlib.sha256(archive).hexdigest().startswith(digest)


@EACH
def test_the_committed_folders_are_what_the_generator_writes(node):
    assert tree.read_tree(OTLS / node.folder) == tree.files_of(node)


def test_no_other_folder_lies_beside_them():
    assert {path.name for path in OTLS.iterdir()} == {node.folder for node in NODES}


@EACH
def test_packing_and_expanding_gives_the_same_files(node):
    files = tree.files_of(node)
    assert binary.unpack(binary.pack(files)) == files


def test_the_same_trees_pack_to_the_same_bytes(tmp_path):
    first, second = pack_all(tmp_path / "a"), pack_all(tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(first) == len(NODES)


def test_damaged_containers_are_refused():
    content = binary.pack(tree.files_of(NODES[0]))
    for damaged in (content[:-1], content + b"x", b"INDY" + content[4:], b""):
        with pytest.raises(ValueError):
            binary.read_container(damaged)


@given(st.text(alphabet=st.sampled_from("ab_/:18.é"), max_size=20))
def test_names_on_disk_are_names_of_sections(name):
    encoded = tree.encode(name)
    assert "/" not in encoded and ":" not in encoded
    assert tree.decode(encoded) == name


@EACH
def test_lists_of_sections_are_what_lies_in_the_folder(node):
    home = OTLS / node.folder / tree.encode(node.key)
    listed = (home / "Sections.list").read_text().splitlines()
    names = [line.split("\t")[0] for line in listed[1:]]
    on_disk = {path.name.replace("Contents.dir", "Contents.gz") for path in home.iterdir()} - {
        "Sections.list"
    }
    assert listed[0] == '""' and set(names) == on_disk and len(names) == len(on_disk)
    assert all(tree.decode(line.split("\t")[0]) == line.split("\t")[1] for line in listed[1:])


@EACH
def test_the_index_says_what_the_folder_holds(node):
    """The key, the folder and the library's own list name one definition; counts are those described."""
    home = OTLS / node.folder
    lines = (home / "INDEX__SECTION").read_text().splitlines()
    index = {line[:14].strip(" :"): line[14:] for line in lines if line}
    (folder,) = (path.name for path in home.iterdir() if path.is_dir())
    table, name = index["Table"], index["Operator"]
    namespace, short, version = name.split("::")
    assert tree.decode(folder) == f"{namespace}::{table}/{short}::{version}"
    assert index["Path"] == f"oplib:/{tree.decode(folder)}?{tree.decode(folder)}"
    assert (name, index["Label"], table) == (node.operator, node.label, node.table)
    assert index["Inputs"] == f"{node.min_inputs} to {node.max_inputs}"
    has_network = (home / folder / "Contents.dir").is_dir()
    assert (index["Subnet"], index["Python"]) == (str(has_network).lower(), str(not has_network).lower())
    assert index["Icon"] == f"opdef:/{tree.decode(folder)}?IconSVG" and (home / folder / "IconSVG").is_file()
    listed = (home / "Sections.list").read_text().splitlines()
    own = f"{folder}\t{tree.decode(folder)}"
    assert listed[0] == '""' and sorted(listed[1:]) == sorted(
        ["INDEX__SECTION\tINDEX_SECTION", "houdini.hdalibrary\thoudini.hdalibrary", own]
    )


@EACH
def test_inner_nodes_are_wired_to_what_exists(node):
    """Wires come from inputs of the asset or from nodes inside that have an output; one node is last."""
    types = published_hou.node_table()[node.table.lower()] if node.network else {}
    inner = {part.name: part for part in node.network}
    ends = set(inner)
    for part in node.network:
        if not part.source:
            continue
        assert types[part.type]["inputs"], f"{part.type} has no input"
        if part.source.startswith("("):
            assert int(part.source.strip("()")) < node.max_inputs
        else:
            assert inner[part.source].has_output and part.source != part.name
            ends.discard(part.source)
    assert len(ends) == bool(inner), "one node is the end of them all"


@EACH
def test_channels_of_inner_nodes_are_parameters_of_the_asset(node):
    promoted = {"f1", "f2", "f3"} if any(parm.name == "f" for parm in node.parms()) else set()
    for part in node.network:
        for name in re.findall(r'ch\(\\"\.\./(\w+)', part.channels):
            assert name in promoted


@EACH
def test_dialog_scripts_survive_parsing_and_writing(node):
    parsed = dialog_script.parse(dialog_script.write(node))
    assert dialog_script.parse(dialog_script.render(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "{", "{ parm { }", "{ } x", '{ a "b }', "{ { } }"])
def test_what_is_no_dialog_script_is_refused(text):
    with pytest.raises(dialog_script.DialogScriptError):
        dialog_script.parse(text)


@EACH
def test_parameters_are_named_once_and_have_all_their_values(node):
    parms = list(node.parms())
    lists = [item.name for item in node.items if isinstance(item, Multi)]
    names = [parm.name for parm in parms] + lists
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*#?", name) for name in names)
    for statement in dialog_script.parm_statements(dialog_script.parse(dialog_script.write(node))):
        default, size = statement.first("default"), statement.value("size", "1")
        if statement.first("baseparm") is None:
            assert default is not None and default.block, statement.value("name")
            assert len(default.block[0].words) == int(size), statement.value("name")


@EACH
def test_conditions_ask_about_parameters_that_exist(node):
    names = {parm.name for parm in node.parms()}
    for parm in node.parms():
        for condition in filter(None, (parm.disable_when, parm.hide_when)):
            assert dialog_script.condition_names(condition) <= names, parm.name


@EACH
def test_menus_hold_their_defaults(node):
    for parm in node.parms():
        if parm.menu is not None and parm.menu.items:
            assert parm.default[0] in [token for token, _ in parm.menu.items], parm.name


@EACH
def test_callbacks_and_menus_call_functions_that_the_package_has(node):
    module = ast.parse(node.module)
    functions = {item.name: item for item in module.body if isinstance(item, ast.FunctionDef)}
    called = {parm.callback for parm in node.parms() if parm.callback}
    called |= {parm.menu.function for parm in node.parms() if parm.menu and parm.menu.function}
    assert called <= set(functions)
    sources = {
        alias.asname: f"{item.module}.{alias.name}"
        for item in module.body
        if isinstance(item, ast.ImportFrom)
        for alias in item.names
    }
    for function in functions.values():
        assert len(function.body) == 1, "sections hold one line"
        for attribute in ast.walk(function):
            if isinstance(attribute, ast.Call):
                name, *path = ast.unparse(attribute.func).split(".")
                assert path[-1] in defined_in(".".join([sources[name], *path[:-1]])), attribute


def defined_in(module):
    """The functions of a module of the package."""
    path = PROJECT.joinpath("python3.11libs", *module.split(".")).with_suffix(".py")
    return {item.name for item in ast.parse(path.read_text()).body if isinstance(item, ast.FunctionDef)}


@EACH
def test_inner_nodes_have_types_and_parameters_of_houdini(node):
    known = published_hou.node_table()[node.table.lower()] if node.network else {}
    for inner in node.network:
        parms = set(known[inner.type]["parms"]) | {"switcher"}  # a folder of the shell driver
        assert {name for name, _ in inner.parms} <= parms


@EACH
def test_every_python_section_parses(node):
    for name, text in tree.sections_of(node).items():
        if name in ("PythonModule", "PythonCook", *tree.SCRIPTS):
            ast.parse(text)
    for inner in node.network:
        for parm, values in inner.parms:
            if parm == "python":
                ast.parse(values[0].strip('"'))


@EACH
def test_xml_sections_are_xml(node):
    sections = tree.sections_of(node)
    assert ElementTree.fromstring(sections["Tools.shelf"]).tag == "shelfDocument"
    icon = ElementTree.fromstring(sections["IconSVG"])
    assert icon.tag == "{http://www.w3.org/2000/svg}svg"


@EACH
def test_inner_parts_are_read_back(node):
    if node.network:
        assert network.parse(network.write(node)) == network.parts_of(node)


@EACH
def test_help_names_every_parameter_and_nothing_else(node: NodeType):
    card = help_card.write(node)
    told = re.findall(r"^    #id: (\S+)$", card, re.MULTILINE)
    shown: list[str] = [parm.name for parm in node.parms() if help_card.shown(parm)]
    assert told == shown
    assert all(parm.help for parm in node.parms() if isinstance(parm, Parm) and help_card.shown(parm))
    assert f"= {node.label} =" in card and f'"""{node.summary}"""' in card
