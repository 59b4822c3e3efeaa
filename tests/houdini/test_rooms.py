"""The rooms of the package: imports point down, the engine knows no Houdini, errors keep their hints."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from neuron_core.foundation.errors import NeuronError
from tests.houdini import published_scene
from tests.houdini.published_hou import node_of

LIBRARIES = Path(__file__).resolve().parents[2] / "python3.11libs"
ROOMS = ("startup", "package_file", "errors", "engine", "nodes", "shelf", "panel", "verify")
PATHS = sorted(path for path in (LIBRARIES / "neuron_houdini").rglob("*.py") if path.stem != "__init__")
MODULES = {".".join(path.relative_to(LIBRARIES).with_suffix("").parts): path for path in PATHS}
EACH = pytest.mark.parametrize("module", MODULES)


def room_of(module):
    return module.split(".")[1]


def imports_of(module):
    for item in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            for alias in item.names:
                full = f"{item.module}.{alias.name}"
                yield full if full in MODULES else item.module


@EACH
def test_imports_point_down(module):
    own = ROOMS.index(room_of(module))
    for name in imports_of(module):
        if name.startswith("neuron_houdini."):
            assert ROOMS.index(room_of(name)) <= own, name


@EACH
def test_rooms_below_the_nodes_know_no_houdini(module):
    if ROOMS.index(room_of(module)) < ROOMS.index("nodes"):
        assert "hou" not in set(imports_of(module))


def test_what_runs_before_there_is_an_engine_imports_nothing_of_ours():
    for module in ("neuron_houdini.startup", "neuron_houdini.package_file"):
        assert not [name for name in imports_of(module) if name.startswith("neuron")]


@EACH
def test_errors_have_one_base(hou, module):
    if room_of(module) == "panel":
        pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    from neuron_houdini.errors import HoudiniError

    for name, found in vars(importlib.import_module(module)).items():
        if inspect.isclass(found) and issubclass(found, Exception) and found.__module__ == module:
            assert issubclass(found, HoudiniError) and issubclass(found, NeuronError), name


@EACH
def test_nobody_shows_an_error_without_its_hint(module):
    """`str(error)` is the message alone; `error.text` has the hint too."""
    handlers = [
        item
        for item in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
        if isinstance(item, ast.ExceptHandler) and item.name and "Neuron" in ast.unparse(item.type)
    ]
    for handler in handlers:
        code = "\n".join(map(ast.unparse, handler.body))
        assert f"str({handler.name})" not in code and f"{{{handler.name}}}" not in code


def test_a_button_tells_what_to_do(hou, tmp_path):
    """A folder that is not a published asset: the library says so, with a hint."""
    scene = published_scene.enter(hou)
    from neuron_houdini.nodes.lops import asset
    from neuron_houdini.nodes.sops import volume

    wrong = str(tmp_path)
    for press, node in (
        (asset.bake, node_of("asset", file=wrong, prompt="worn copper")),
        (volume.write, node_of("volume", file=wrong)),
    ):
        press(node)
        shown = scene.told.pop()
        with pytest.raises(NeuronError) as caught:
            asset.neuron_file(node)
        assert caught.value.hint and shown == f"{caught.value.message} {caught.value.hint}"


def test_a_cook_tells_what_to_do(hou, tmp_path):
    from neuron_houdini.nodes.messages import node_errors

    with pytest.raises(hou.NodeError) as caught, node_errors():
        raise NeuronError("It is broken.", "Mend it.")
    assert caught.value.instanceMessage() == "It is broken. Mend it."
