"""The table of Houdini's own node types: what is in it, and who uses it."""

import json

import pytest

from tests.houdini.extract_node_table import TABLE, created_in, extract, used_types
from tests.houdini.published_hou import houdini_node, node_table


def test_every_type_that_is_used_is_in_the_table():
    for context, name in used_types():
        contexts = [context] if context else list(node_table())
        assert any(name in node_table().get(place, {}) for place in contexts), name


def test_the_table_is_what_the_script_writes_of_itself():
    content = json.loads(TABLE.read_text())
    assert extract({**{"object": {}}, **content["nodes"]}) == content["nodes"]
    assert TABLE.read_text() == json.dumps(content, indent=1, sort_keys=True) + "\n"


def test_types_that_code_creates_are_found():
    source = "a.createNode('filter', name)\nb.createNode(other)\ncreateNode('no')\nc.d.createNode('null')"
    assert created_in(source) == {"filter", "null"}


def test_a_type_that_houdini_does_not_have_is_refused():
    with pytest.raises(KeyError):
        extract({"sop": {}, "lop": {}, "driver": {}})


def test_nodes_of_houdini_know_their_parameters_and_no_other(hou):
    shell = houdini_node("driver", "shell", command="ls")
    assert shell.evalParm("command") == "ls" and shell.evalParm("f") == (0.0, 0.0, 0.0)
    assert shell.parm("comand") is None
    with pytest.raises(KeyError):
        shell.evalParm("comand")
    with pytest.raises(AssertionError):
        houdini_node("driver", "shell", comand="ls")
