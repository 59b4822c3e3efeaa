"""Imports point down, host code needs no wheel, and what a module promises exists."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from neuron_core.bench.trips import LAYERS

ENGINE = Path(__file__).resolve().parents[2] / "neuron_core"
HOUDINI = ENGINE.parent / "python3.11libs" / "neuron_houdini"
TORCH_FREE = LAYERS[: LAYERS.index("networks")]  # a bake is drawn and delivered without torch
FORBIDDEN = dict.fromkeys((layer for layer in TORCH_FREE if layer != "prompts"), {"torch"})
ASKS_TORCH = {"neuron_core.foundation.devices"}  # only for a torch device, and only when it is called
# What Houdini's own Python imports: the standard library, numpy and pxr are all it has.
FOR_HOUDINI = (
    "assets",
    "cameras",
    "cli.registry",
    "delivery.config",
    "foundation",
    "datasets.channels",
    "datasets.contract",
    "datasets.layout",
    "datasets.manifest",
    "geometry",
    "groundtruth.config",
    "groundtruth.karma.request",
    "groundtruth.plan",
    "images.plain_exr",
    "kernels.baked.layout",
    "library",
    "lights.errors",
    "lights.studio",
    "materials",
    "models.field.config",
    "splats.cloud",
    "splats.harmonics",
    "splats.moving",
    "splats.ply",
    "tasks.anchor.config",
    "tasks.bake.config",
    "tasks.grid.config",
    "tasks.publish.config",
    "tasks.render.config",
    "usd",
    "volumes.grids",
)
HOST = {"hou", "pdg", "neuron_houdini"}


def module_name(path: Path) -> str:
    parts = ("neuron_core", *path.relative_to(ENGINE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ENGINE.rglob("*.py"))}


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports_of(module: str) -> Iterator[str]:
    """Every module that is imported anywhere in it, inside functions too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


def test_every_part_has_a_layer():
    assert {layer_of(module) for module in MODULES} - {""} <= set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down(layer):
    rank = {name: index for index, name in enumerate(LAYERS)}
    wrong = [
        f"{module} imports {imported}"
        for module in MODULES
        if layer_of(module) == layer
        for imported in imports_of(module)
        if imported in MODULES and layer_of(imported)
        if layer_of(imported) != layer and rank[layer_of(imported)] > rank[layer]
    ]
    assert not wrong


def test_no_modules_import_each_other():
    graph = {
        module: {name for name in imports_of(module) if name in MODULES and name != module}
        for module in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_engine_never_imports_a_host():
    assert not [module for module in MODULES if {name.split(".")[0] for name in imports_of(module)} & HOST]


def test_warp_is_launched_by_the_kernels_alone():
    sources = {module: path.read_text(encoding="utf-8") for module, path in MODULES.items()}
    users = {layer_of(m) for m, text in sources.items() if "wp.launch" in text or "wp.kernel" in text}
    assert users <= {"kernels"}


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_what_renders_a_bake_never_imports_torch(layer):
    wrong = [
        module
        for module in MODULES
        if layer_of(module) == layer
        if {name.split(".")[0] for name in imports_of(module)} & FORBIDDEN[layer]
    ]
    assert set(wrong) <= ASKS_TORCH


def command_of(module: str) -> str:
    return module.split(".")[2] if module.startswith("neuron_core.tasks.") else ""


def test_no_command_imports_another():
    wrong = [
        f"{module} imports {imported}"
        for module in MODULES
        if command_of(module)
        for imported in imports_of(module)
        if command_of(imported) not in ("", command_of(module))
    ]
    assert not wrong


@pytest.mark.parametrize("command", sorted({command_of(module) for module in MODULES} - {""}))
def test_a_command_runs_in_at_most_100_lines(command):
    text = MODULES[f"neuron_core.tasks.{command}.run"].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100


def test_postponed_annotations_do_not_hide_shapes():
    torch_modules = [m for m in MODULES if any(name.split(".")[0] == "jaxtyping" for name in imports_of(m))]
    assert not [m for m in torch_modules if "__future__" in imports_of(m)]


@pytest.mark.parametrize("module", MODULES)
def test_all_lists_what_exists(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    listed = None
    bound: set[str] = set()
    imported: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {target.id for target in targets if isinstance(target, ast.Name)}
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                assert node.value is not None
                listed = ast.literal_eval(node.value)
    if listed is None:
        return
    assert len(listed) == len(set(listed))
    assert set(listed) <= bound | imported
    public = {name for name in bound if not name.startswith("_") and not name.isupper()}
    assert public <= set(listed)


def run_isolated(code: str, blocked: list[str] | None = None, allowed: list[str] | None = None) -> object:
    """Run code in a fresh interpreter that refuses some imports; what it prints as JSON."""
    guard = f"""
import sys, json
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        blocked, allowed = {blocked!r}, {allowed!r}
        if blocked is not None and top in blocked:
            raise ImportError(name + " is not there")
        if allowed is not None and top not in sys.stdlib_module_names and top not in allowed:
            raise ImportError(name + " is not there")
sys.meta_path.insert(0, Guard())
"""
    command = [sys.executable, "-c", guard + code]
    done = subprocess.run(command, cwd=ENGINE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def may_enter_houdini(module: str) -> bool:
    own = module.removeprefix("neuron_core.")
    return any(own == name or own.startswith(f"{name}.") for name in FOR_HOUDINI)


def test_houdini_imports_what_is_listed_for_it():
    known = {name for name in MODULES if may_enter_houdini(name)} | {"neuron_core"}
    wrong = []
    for path in sorted(HOUDINI.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neuron_core"):
                names = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
                wrong += [f"{path.name} imports {name}" for name in (names or {node.module}) - known]
    assert not wrong


def test_what_houdini_imports_needs_only_numpy_and_pxr():
    modules = [module for module in MODULES if may_enter_houdini(module)]
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint('true')"
    assert run_isolated(code, allowed=["neuron_core", "numpy", "pxr"]) is True


def test_baked_rendering_runs_without_torch():
    modules = [module for module in MODULES if layer_of(module) in ("kernels", "voxels", "rendering")]
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint('true')"
    assert run_isolated(code, blocked=["torch"]) is True


def test_configs_import_nothing_heavy():
    modules = [module for module in MODULES if module.endswith(".config")]
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint('true')"
    assert run_isolated(code, blocked=["torch", "warp", "mitsuba", "open_clip", "tyro", "rich"]) is True


def test_importing_the_package_imports_nothing_else():
    code = (
        "import neuron_core\n"
        "print(json.dumps([m for m in sys.modules if m.partition('.')[0] not in sys.stdlib_module_names]))"
    )
    before = set(run_isolated("print(json.dumps([m for m in sys.modules]))"))  # type: ignore[call-overload]
    assert set(run_isolated(code)) - before == {"neuron_core"}  # type: ignore[call-overload]


def test_the_list_of_tasks_imports_none_of_them():
    code = (
        "from neuron_core.cli import main\n"
        "main(['--help'])\n"
        "print(json.dumps([m for m in sys.modules if m.partition('.')[0] not in sys.stdlib_module_names]))"
    )
    loaded = {name for name in run_isolated(code) if isinstance(name, str)}  # type: ignore[attr-defined]
    assert {".".join(name.split(".")[:2]) for name in loaded if name.startswith("neuron_core.")} == {
        "neuron_core.cli",
        "neuron_core.foundation",
    }
    assert not loaded & {"torch", "warp", "numpy", "mitsuba", "pxr", "tyro", "rich", "open_clip"}
