"""`hou` for tests of node code."""

import sys

import pytest

from tests.houdini import published_hou

HOUDINI = (21, 0, 631)


@pytest.fixture
def hou(monkeypatch):
    """The module that the stubs describe; node code that is imported in the test gets it."""
    module = published_hou.Module(HOUDINI)
    monkeypatch.setitem(sys.modules, "hou", module)
    for name in [name for name in sys.modules if name.partition(".")[0] == "neuron_houdini"]:
        monkeypatch.delitem(sys.modules, name)
    yield module
    for name in [name for name in sys.modules if name.partition(".")[0] == "neuron_houdini"]:
        sys.modules.pop(name)
