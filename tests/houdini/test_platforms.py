"""Windows and macOS, as far as Linux can tell: separators, letters, quotation marks, names of programs."""

import json
import ntpath
import os
import posixpath
import subprocess
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import pytest
from neuron_houdini.engine import environment, husk, process

PROJECT = Path(__file__).resolve().parents[2]


def system(path, separator, **variables):
    """What the module `os` is on another system, for code that deals in text."""
    return SimpleNamespace(path=path, pathsep=separator, sep=path.sep, environ=variables, name="")


def test_the_interpreter_of_an_environment_is_where_venv_puts_it():
    assert str(environment.python_of(PureWindowsPath("C:/Neuron Ü/.venv"), "nt")) == (
        "C:\\Neuron Ü\\.venv\\Scripts\\python.exe"
    )
    assert str(environment.python_of(PurePosixPath("/a b/.venv"), "posix")) == "/a b/.venv/bin/python"


@pytest.mark.parametrize(
    "home",
    [
        "C:/PROGRA~1/SIDEEF~1/HOUDIN~1.631",
        "C:\\Program Files\\Side Effects Software\\Houdini 21.0.631",
        "c:/program files/side effects software/houdini 21.0.631/",
    ],
)
def test_nothing_of_houdini_reaches_the_engine_on_windows(monkeypatch, home):
    monkeypatch.setattr(environment, "os", system(ntpath, ";"))
    long = "C:\\Program Files\\Side Effects Software\\Houdini 21.0.631"
    own = home if "~" in home else long
    given = {
        "HFS": home,
        "HOUDINI_PATH": "C:/a;&",
        "PYTHONHOME": f"{home}/python311",
        "PATH": f'{own}\\bin;"{own}\\BIN";C:\\Windows\\system32;{long}2\\bin;;C:\\Python311\\Scripts\\',
    }
    cleaned = environment.clean_environment(given)
    assert set(cleaned) == {"PATH", "PYTHONNOUSERSITE", "PYTHONUTF8"}
    kept = [entry for entry in cleaned["PATH"].split(";") if entry]
    assert kept == ["C:\\Windows\\system32", f"{long}2\\bin", "C:\\Python311\\Scripts\\"]


def test_nothing_of_houdini_reaches_the_engine_on_a_mac(monkeypatch):
    monkeypatch.setattr(environment, "os", system(posixpath, ":"))
    framework = "/Applications/Houdini/Houdini21.0.631/Frameworks/Houdini.framework/Versions/21.0"
    given = {
        "HFS": f"{framework}/Resources",
        "PATH": f"{framework}/Resources/bin:/usr/bin",
        "DYLD_LIBRARY_PATH": f"{framework}/Libraries:/opt/other",
        "DYLD_INSERT_LIBRARIES": f"{framework}/Libraries/libjemalloc.dylib",
    }
    cleaned = environment.clean_environment(given)
    assert cleaned["PATH"] == "/usr/bin" and cleaned["DYLD_LIBRARY_PATH"] == "/opt/other"
    assert "DYLD_INSERT_LIBRARIES" not in cleaned


def test_a_link_to_houdini_is_houdini(tmp_path):
    """As /opt/hfs21.0 is one to the newest build."""
    (tmp_path / "hfs21.0.631" / "bin").mkdir(parents=True)
    (tmp_path / "hfs21.0").symlink_to("hfs21.0.631")
    path = os.pathsep.join([str(tmp_path / "hfs21.0" / "bin"), "/usr/bin"])
    cleaned = environment.clean_environment({"HFS": str(tmp_path / "hfs21.0.631"), "PATH": path})
    assert cleaned["PATH"] == "/usr/bin"


@pytest.mark.parametrize(
    "known",
    [
        "",
        "C:/Studio/usd",
        "c:/neuron ü/neuron_core/schema;D:\\x",
        "D:\\x;C:\\Neuron Ü\\neuron_core\\schema\\",
    ],
)
def test_the_start_adds_the_schema_once_on_windows(hou, monkeypatch, known):
    from neuron_houdini import startup

    project = "C:\\Neuron Ü"
    fake = system(ntpath, ";", PXR_PLUGINPATH_NAME=known)
    monkeypatch.setattr(startup, "os", fake)
    monkeypatch.setattr(startup, "PROJECT", project)
    monkeypatch.setattr(startup, "LIBRARIES", f"{project}\\python3.11libs")
    monkeypatch.setattr(startup, "SCHEMA", f"{project}\\neuron_core\\schema")
    monkeypatch.setattr(startup.sys, "path", [])
    for _ in range(2):
        startup.begin()
    entries = fake.environ["PXR_PLUGINPATH_NAME"].split(";")
    same = [entry for entry in entries if ntpath.normcase(ntpath.normpath(entry)).endswith("core\\schema")]
    assert len(same) == 1 and len(entries) == len(set(entries)) and "" not in entries
    assert startup.sys.path == [f"{project}\\python3.11libs", project]


def test_the_package_leaves_separators_to_houdini():
    """A list in the file becomes text with the separator of the system; a drive's colon would split one."""
    content = json.loads((PROJECT / "houdini_package.json").read_text())
    texts = json.dumps(content["env"])
    assert "\\\\" not in texts and ";" not in texts
    values = [list(entry.values())[0] for entry in content["env"]]
    flat = [text for value in values for text in (value["value"] if isinstance(value, dict) else [value])]
    assert not any(":" in text for text in flat if isinstance(text, str))


def test_husk_is_given_forward_slashes_and_one_word_a_path():
    folder = PureWindowsPath("C:\\Größe & Form\\mein ball")
    output = f"{folder.as_posix()}/karma/raw/gold.$F4.exr"
    item = husk.Item("gold", 1, 2, folder / "karma" / "gold.usda", output)
    words = husk.command("C:/HFS 21/bin/husk", item, husk.Quality("cpu", 4, (8, 8)))
    assert not any("\\" in word for word in words)
    assert words[-1] == "C:/Größe & Form/mein ball/karma/gold.usda" and output in words
    line = subprocess.list2cmdline(words)  # what Windows is given
    assert f'"{output}"' in line and '"C:/HFS 21/bin/husk"' in line


def test_programs_open_no_console_on_windows():
    """Every process is started with the flag; elsewhere the flag is nothing."""
    assert process.NO_WINDOW == 0
    package = PROJECT / "python3.11libs" / "neuron_houdini" / "engine"
    for name in ("process", "husk", "setup", "interpreters"):
        text = (package / f"{name}.py").read_text()
        starts = text.count("subprocess.Popen(\n") + text.count("subprocess.run(\n")
        assert starts == text.count("creationflags=") >= 1, name
