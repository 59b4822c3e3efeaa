"""Every name of `hou` that the package uses, and every parameter, is one that exists."""

import ast
from pathlib import Path

import pytest
from houdini_assets.nodes import NODES

from tests.houdini import published_hou

PACKAGE = Path(__file__).resolve().parents[2] / "python3.11libs" / "neuron_houdini"
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


def test_parameters_that_code_asks_for_are_in_a_dialog_script():
    known = {parm.name for node in NODES for parm in node.parms()}
    asked = set()
    for path in FILES:
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args:
                first = call.args[0]
                if call.func.attr in ("evalParm", "evalParmTuple", "parm") and isinstance(
                    first, ast.Constant
                ):
                    asked.add(first.value)
    assert asked and asked <= known


def test_a_checked_object_refuses_what_houdini_does_not_have():
    node = published_hou.node_of("train")
    with pytest.raises(AttributeError):
        node.evaluateParm("steps")
    with pytest.raises(TypeError):
        node.evalParm()
    with pytest.raises(KeyError):
        node.evalParm("stepz")
