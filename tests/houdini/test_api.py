"""Every name of `hou` that the package uses, and every parameter, is one that exists."""

import ast
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from houdini_assets import tree
from houdini_assets.nodes import NODES

from tests.houdini import published_hou

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "python3.11libs" / "neuron_houdini"
FILES = sorted(PACKAGE.rglob("*.py"))


def chains(tree: ast.AST) -> set[str]:
    """Every `hou.a.b` in it, the longest of each."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and id(n) not in inner}
    return {chain for chain in found if chain.startswith("hou.") and "(" not in chain}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_names_of_hou_are_in_the_published_stubs(path):
    for chain in chains(ast.parse(path.read_text())):
        _, first, *rest = chain.split(".")
        assert first in published_hou.names(), chain
        if rest:
            assert rest[0] in published_hou.members(first), chain


def test_names_that_are_not_published_are_found():
    assert chains(ast.parse("hou.severityType.Error; hou.nothing")) == {
        "hou.severityType.Error",
        "hou.nothing",
    }
    assert "nothing" not in published_hou.names()
    assert "Nothing" not in published_hou.members("severityType")


def texts_in_files():
    """Every Python text that Houdini runs and that is not in the package."""
    for node in NODES:
        for name, text in tree.sections_of(node).items():
            if name in ("PythonModule", "PythonCook", *tree.SCRIPTS):
                yield f"{node.name} {name}", text
        for inner in node.network:
            for parm, values in inner.parms:
                if parm in ("python", "preframe"):
                    yield f"{node.name} {inner.name}", values[0].strip('"')
    for file in ("toolbar/neuron.shelf", "MainMenuCommon.xml", "python_panels/neuron.pypanel"):
        root = ElementTree.parse(PROJECT / file).getroot()
        for tag in ("script", "scriptCode"):
            for item in root.iter(tag):
                yield file, item.text
    for path in PROJECT.glob("python3.1*libs/*.py"):
        yield str(path), path.read_text()


def test_names_of_hou_in_sections_and_files_are_published_too():
    found = 0
    for where, text in texts_in_files():
        for chain in chains(ast.parse(text)):
            _, first, *rest = chain.split(".")
            assert first in published_hou.names(), (where, chain)
            assert not rest or rest[0] in published_hou.members(first), (where, chain)
            found += 1
    assert found >= len(NODES)


def test_no_chain_is_longer_than_what_is_checked():
    """`hou.a.b` is resolved; a third name would be a member of what nobody looked at."""
    for path in FILES:
        assert all(chain.count(".") <= 2 for chain in chains(ast.parse(path.read_text()))), path


# Functions of the package that take the name of a parameter, and where.
TAKERS = {
    "evalParm": 0,
    "evalParmTuple": 0,
    "parm": 0,
    "parmTuple": 0,
    "text": 1,
    "_three": 1,
    "output_file": 1,
    "copy_value": 2,
    "copy_text": 1,
}
LISTS = ("SHARED",)  # how lists of names of parameters are called
TABLES = ("NAMES",)  # and tables from options to parameters


def asked_parameters(module):
    """Names of parameters in a module: in calls, in dictionaries of values, in lists."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = TAKERS.get(name)
            if at is not None and len(node.args) > at and isinstance(node.args[at], ast.Constant):
                found.add(node.args[at].value)
            if name == "setParms" and isinstance(node.args[0], ast.Dict):
                found |= {key.value for key in node.args[0].keys if isinstance(key, ast.Constant)}
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").endswith(LISTS):
            found |= set(node.value.func.value.value.split())
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").endswith(TABLES):
            found |= {value.value for value in node.value.values}
    return found


def test_parameters_that_code_asks_for_are_in_a_dialog_script():
    """Or, of Houdini's own nodes, in the table of what they have."""
    known = {parm.name for node in NODES for parm in node.parms()}
    for types in published_hou.node_table().values():
        known |= {name for kind in types.values() for name in kind["parms"]}
    asked = {name for path in FILES for name in asked_parameters(ast.parse(path.read_text()))}
    assert len(asked) > 30 and asked <= known, asked - known


def test_parameters_are_found_wherever_they_are_named():
    source = (
        "a.evalParm('x'); text(n, 'y'); n.setParms({'z': 1}); SHARED = 'u v'.split(); B_NAMES = {'a': 'w'}"
    )
    assert asked_parameters(ast.parse(source)) == set("xyzuvw")


def test_a_checked_object_refuses_what_houdini_does_not_have():
    node = published_hou.node_of("train")
    with pytest.raises(AttributeError):
        node.evaluateParm("steps")
    with pytest.raises(TypeError):
        node.evalParm()
    with pytest.raises(KeyError):
        node.evalParm("stepz")
