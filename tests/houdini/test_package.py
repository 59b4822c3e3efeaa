"""The package file and what runs at Houdini's start: folders, versions, the path of Python and of USD."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import set_up_houdini
from neuron_houdini import package_file

import neuron_core

PROJECT = Path(__file__).resolve().parents[2]
CONTENT = json.loads((PROJECT / "houdini_package.json").read_text())
LIBRARIES = [PROJECT / "python3.11libs", PROJECT / "python3.13libs"]


def test_it_is_the_only_package_at_the_top():
    assert [path.name for path in PROJECT.glob("*.json")] == ["houdini_package.json"]


def test_it_has_the_version_of_the_engine():
    assert CONTENT["version"] == neuron_core.__version__


def test_folders_that_it_names_exist_and_names_are_set_before_they_are_used():
    known = {"HOUDINI_PACKAGE_PATH"}
    for entry in CONTENT["env"]:
        ((name, value),) = entry.items()
        values = value["value"] if isinstance(value, dict) else value
        for text in [values] if isinstance(values, str) else values:
            assert set(re.findall(r"\$(\w+)", text)) <= known
            assert (PROJECT / re.sub(r"^\$\w+/?", "", text)).is_dir()
        known.add(name)
    assert CONTENT["hpath"] == "$NEURON" and "NEURON" in known


def bounds():
    """The two comparisons of the enable expression."""
    parts = CONTENT["enable"].split(" and ")
    return [re.fullmatch(r"houdini_version (>=|<) '([\d.]+)'", part).groups() for part in parts]


def as_numbers(version):
    return tuple(map(int, version.split(".")))


@pytest.mark.parametrize("kind", [as_numbers, str])
@pytest.mark.parametrize(
    ("version", "enabled"),
    [
        ("19.5.805", False),
        ("20.0.896", False),
        ("20.5.278", True),
        ("21.0.631", True),
        ("22.0.368", True),
        ("22.5.1", True),
        ("23.0.100", False),
    ],
)
def test_versions_are_enabled_whether_they_are_compared_as_numbers_or_as_text(kind, version, enabled):
    compare = {">=": lambda a, b: kind(a) >= kind(b), "<": lambda a, b: kind(a) < kind(b)}
    assert all(compare[operator](version, bound) for operator, bound in bounds()) is enabled


def environment_of(content, folder, before):
    """What Houdini makes of the env entries, top to bottom."""
    variables = {"HOUDINI_PACKAGE_PATH": str(folder), **before}
    for entry in content["env"]:
        ((name, value),) = entry.items()
        values = value["value"] if isinstance(value, dict) else [value]
        values = [values] if isinstance(values, str) else values
        texts = [re.sub(r"\$(\w+)", lambda match: variables[match[1]], text) for text in values]
        old = [variables[name]] if isinstance(value, dict) and name in variables else []
        method = value["method"] if isinstance(value, dict) else "replace"
        variables[name] = os.pathsep.join(texts + old if method == "prepend" else old + texts)
    return variables


def in_place(tmp_path):
    return CONTENT, PROJECT


def copied(tmp_path):
    folder = tmp_path / "packages of größe"
    assert set_up_houdini.main([str(folder)]) == 0
    return json.loads((folder / "neuron.json").read_text(encoding="utf-8")), folder


@pytest.mark.parametrize("way", [in_place, copied])
def test_python_and_usd_are_told_the_same_in_place_and_from_a_copy(way, tmp_path):
    content, folder = way(tmp_path)
    variables = environment_of(content, folder, {"PYTHONPATH": str(tmp_path)})
    assert variables["NEURON"] == PROJECT.as_posix()
    first = [str(PROJECT), str(PROJECT / "python3.11libs"), str(tmp_path)]
    assert variables["PYTHONPATH"].split(os.pathsep) == first
    assert Path(variables["PXR_PLUGINPATH_NAME"], "plugInfo.json").is_file()


def test_usd_finds_the_schema_and_python_the_package(tmp_path):
    content, folder = copied(tmp_path)
    variables = environment_of(content, folder, {})
    code = (
        "import neuron_houdini, neuron_core; from pxr import Usd;"
        "assert Usd.SchemaRegistry().IsAppliedAPISchema('NeuronAssetAPI')"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **variables}, cwd=tmp_path, check=True)


def test_a_studio_names_the_engine_in_the_package(tmp_path):
    set_up_houdini.main([str(tmp_path), "--engine", "/studio/engine"])
    content = json.loads((tmp_path / "neuron.json").read_text())
    assert environment_of(content, tmp_path, {})["NEURON_ENV"] == "/studio/engine"
    set_up_houdini.main([str(tmp_path), "--remove"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("platform", "where"),
    [("linux", "{}"), ("win32", "Documents/{}"), ("darwin", "Library/Preferences/houdini/{}")],
)
def test_every_new_houdini_of_the_account_is_told(tmp_path, platform, where):
    names = ["19.5", "20.0", "20.5", "21.0", "22.0", "21.0_backup"]
    made = [tmp_path / where.format(name if platform == "darwin" else f"houdini{name}") for name in names]
    for folder in made:
        folder.mkdir(parents=True)
    assert package_file.preference_folders(tmp_path, platform) == made[2:5]


def test_without_a_houdini_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HOUDINI_USER_PREF_DIR", raising=False)
    monkeypatch.setattr(package_file.Path, "home", lambda: tmp_path)
    assert set_up_houdini.main([]) == 2
    assert "no Houdini" in capsys.readouterr().out and not list(tmp_path.iterdir())


# --- the start ---


def test_the_other_python_only_leads_to_the_same_start():
    """What happens at the start is written once, in the package."""
    assert {path.name for path in LIBRARIES[1].glob("*.py")} == {"pythonrc.py", "neuron_beside.py"}
    one, other = ((folder / "pythonrc.py").read_text() for folder in LIBRARIES)
    calls = "from neuron_houdini import startup\n\nstartup.begin()\n"
    assert one.endswith(calls) and other.endswith(calls)
    for path in LIBRARIES[1].glob("*.py"):
        assert len(ast.parse(path.read_text()).body) <= 5, path.name


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name)
def test_the_start_alone_lets_python_and_usd_find_neuron(library, tmp_path):
    """As where HOUDINI_PATH alone names the folder: Houdini finds the folder of its Python."""
    code = (
        "import pythonrc; from neuron_houdini import startup; startup.begin();"
        "import os, sys, neuron_houdini, neuron_core;"
        "assert len(sys.path) == len(set(sys.path));"
        "schemas = os.environ['PXR_PLUGINPATH_NAME'].split(os.pathsep);"
        "assert [os.path.isfile(os.path.join(f, 'plugInfo.json')) for f in schemas] == [True];"
        "assert os.path.isdir(os.path.join(os.environ['NEURON'], 'otls'))"
    )
    clean = {
        name: value for name, value in os.environ.items() if name not in ("PXR_PLUGINPATH_NAME", "NEURON")
    }
    environment = {**clean, "PYTHONPATH": str(library)}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name)
def test_the_start_imports_what_it_is_and_nothing_else(library):
    code = "import sys; before = set(sys.modules); import pythonrc;print(*sorted(set(sys.modules) - before))"
    environment = {**os.environ, "PYTHONPATH": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    own = {"pythonrc", "neuron_houdini", "neuron_houdini.startup"}
    assert set(done.stdout.split()) - {"neuron_beside"} == own


def test_what_the_package_says_is_kept_by_the_start(monkeypatch):
    from neuron_houdini import startup as module

    monkeypatch.setattr(sys, "path", [*sys.path, str(LIBRARIES[0]), str(PROJECT)])
    paths = list(sys.path)
    monkeypatch.setenv("NEURON", "/elsewhere")
    monkeypatch.setenv("PXR_PLUGINPATH_NAME", os.pathsep.join(["/studio/usd", module.SCHEMA]))
    module.begin()
    assert sys.path == paths and os.environ["NEURON"] == "/elsewhere"
    assert os.environ["PXR_PLUGINPATH_NAME"] == os.pathsep.join(["/studio/usd", module.SCHEMA])
