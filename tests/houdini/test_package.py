"""The package file: folders that exist, the version of the engine, an upper bound on a next major."""

import json
import re
from pathlib import Path

import neuron_core

PROJECT = Path(__file__).resolve().parents[2]
CONTENT = json.loads((PROJECT / "houdini_package.json").read_text())


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


def test_versions_are_compared_with_whole_majors():
    bounds = re.findall(r"houdini_version (>=|<) '(\d+)\.(\d+)'", CONTENT["enable"])
    assert bounds == [(">=", "20", "5"), ("<", "23", "0")]
