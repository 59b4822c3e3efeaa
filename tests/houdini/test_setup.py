"""Setting the engine up: with a real pip, from a folder of wheels, and what can go wrong."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BACKEND = """
import zipfile

def wheel(folder, name, version, requires, files):
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    files = dict(files)
    files[f"{info}/METADATA"] = "\\n".join(lines + [f"Requires-Dist: {one}" for one in requires]) + "\\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{info}/RECORD"] = ""
    path = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{path}", "w") as archive:
        for where, text in files.items():
            archive.writestr(where, text)
    return path

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return wheel(wheel_directory, "tiny", "1", ["torch", "warp", "mitsuba", "numpy"], {})
"""
TORCH = """
__version__ = "2.15.0+stub"
class cuda:
    is_available = staticmethod(lambda: False)
"""


@pytest.fixture
def setup(hou, tmp_path, monkeypatch):
    """The module, with preferences of its own and no choice made."""
    from neuron_houdini.engine import setup

    monkeypatch.setenv("HOUDINI_USER_PREF_DIR", str(tmp_path / "houdini21.0"))
    monkeypatch.delenv("NEURON_ENV", raising=False)
    return setup


@pytest.fixture
def tiny(setup, tmp_path, monkeypatch):
    """A project that needs four small packages, and a folder with their wheels."""
    project, wheels = tmp_path / "größe project", tmp_path / "wheels"
    (project / "scripts").mkdir(parents=True)
    wheels.mkdir()
    shutil.copytree(PROJECT / "scripts" / "_environment", project / "scripts" / "_environment")
    shutil.copy(PROJECT / "scripts" / "set_up_engine.py", project / "scripts")
    (project / "backend.py").write_text(BACKEND)
    (project / "constraints.txt").write_text("")
    (project / "pyproject.toml").write_text(
        "[project]\nname = 'tiny'\nversion = '1'\ndependencies = ['torch', 'warp', 'mitsuba', 'numpy']\n"
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    builder: dict[str, object] = {"zipfile": zipfile}
    exec(BACKEND, builder)
    for name in ("torch", "warp", "mitsuba", "numpy"):
        builder["wheel"](wheels, name, "1", [], {f"{name}.py": TORCH if name == "torch" else ""})
    monkeypatch.setattr(setup, "SCRIPT", project / "scripts" / "set_up_engine.py")
    return wheels


def finished(job):
    job.start()
    job.join()
    assert job.over
    return job


def test_an_engine_is_made_from_wheels_by_the_attempt_after_one_that_lacked_a_wheel(setup, tiny, tmp_path):
    from neuron_houdini.engine import environment

    folder, away = tmp_path / "an engine", tmp_path / "numpy-1-py3-none-any.whl"
    assert setup.state_of(folder) == "missing"
    (tiny / away.name).rename(away)
    plan = setup.Plan(Path(sys.executable), folder, wheelhouse=tiny)
    job = finished(setup.Installation(plan))
    assert job.error.kind == "setup" and "numpy" in job.error.message and "wheels" in job.error.hint
    away.rename(tiny / away.name)
    again = finished(setup.Installation(plan))
    assert again.error is None, list(again.log)
    assert not any("Making a Python environment" in line for line in again.log)
    assert again.fraction == 1.0 and any("2.15.0+stub" in line for line in again.log)
    assert environment.find_python() == environment.python_of(folder) and setup.state_of(folder) == "ready"
    (setup.SCRIPT.parents[1] / "constraints.txt").write_text("numpy==1\n")
    assert setup.state_of(folder) == "outdated"


def stand_in(setup, folder, code, monkeypatch):
    """A script in the place of the one that installs."""
    script = folder / "set_up.py"
    script.write_text(code)
    monkeypatch.setattr(setup, "SCRIPT", script)
    return setup.Installation(setup.Plan(Path(sys.executable), folder / "engine"))


def test_cancelling_ends_what_the_script_started_too(setup, tmp_path, monkeypatch):
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        "print('Collecting torch', flush=True); print(child.pid, flush=True); child.wait()\n"
    )
    job = stand_in(setup, tmp_path, code, monkeypatch)
    job.start()
    while len(job.log) < 2 and not job.over:
        time.sleep(0.01)
    job.cancel()
    job.join()
    assert job.stopped
    child = int(job.log[1])
    for _ in range(500):
        if not _runs(child):
            break
        time.sleep(0.01)
    assert not _runs(child)


def _runs(process):
    """Whether it runs; one that ended and that nobody asked for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_progress_never_goes_back_and_ends_before_the_handshake(setup, tmp_path, monkeypatch):
    lines = ["Making a Python environment", *(f"Collecting a{n}" for n in range(500)), "Collecting b"]
    lines += ["Installing collected packages: a", "Requirement already satisfied: c", "The engine is in x"]
    job = stand_in(setup, tmp_path, "", monkeypatch)
    seen = [0.0]
    for line in lines:
        job._note(line)
        seen.append(job.fraction)
    assert seen == sorted(seen) and 0 < seen[1] < seen[-1] < 1


def test_another_version_is_no_success(setup, tmp_path, monkeypatch):
    python = tmp_path / "engine" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (python.parents[1] / "pyvenv.cfg").write_text("")
    python.write_text(f'#!{sys.executable}\nprint(\'{{"event": "result", "version": "0.0.0"}}\')\n')
    python.chmod(0o755)
    job = finished(stand_in(setup, tmp_path, "", monkeypatch))
    from neuron_houdini.engine import environment

    assert job.error.kind == "version"
    assert environment.environment_folder() != tmp_path / "engine"


@pytest.mark.parametrize("what", ["python", "wheels", "folder"])
def test_what_cannot_work_is_refused_before_anything_is_written(setup, tmp_path, what):
    from neuron_houdini.engine import process

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "picture.exr").write_text("")
    plans = {
        "python": setup.Plan(Path("/bin/false"), tmp_path / "engine"),
        "wheels": setup.Plan(Path(sys.executable), tmp_path / "engine", wheelhouse=tmp_path / "full"),
        "folder": setup.Plan(Path(sys.executable), tmp_path / "full"),
    }
    with pytest.raises(process.EngineError) as caught:
        setup.check(plans[what])
    assert caught.value.hint and not (tmp_path / "engine").exists()


def test_an_engine_that_is_in_use_is_not_deleted(setup, tmp_path, monkeypatch):
    from neuron_houdini.engine import jobs, process

    job = jobs.Background("train")  # not over
    monkeypatch.setattr(jobs, "all_jobs", lambda: [job])
    plan = setup.Plan(Path(sys.executable), tmp_path / "engine", anew=True)
    with pytest.raises(process.EngineError, match="Jobs run"):
        setup.check(plan)
    job.result = process.Answer({})
    setup.check(plan)


def test_the_set_up_runs_without_what_belongs_to_houdini(setup, tmp_path):
    given = {"HFS": "/opt/hfs", "PYTHONHOME": "/opt/hfs/python", "NEURON_TORCH_INDEX": "x", "HOME": "/h"}
    plan = setup.Plan(Path("python"), tmp_path, cuda=False)
    known = setup.variables_of(plan, given, "linux")
    assert "PYTHONHOME" not in known and "HFS" not in known
    assert known["NEURON_ENV"] == str(tmp_path) and known["NEURON_TORCH_INDEX"].endswith("/cpu")
    assert "NEURON_TORCH_INDEX" not in setup.variables_of(plan, given, "darwin")
    offline = setup.variables_of(setup.Plan(Path("p"), tmp_path, False, tmp_path), given, "linux")
    assert offline["PIP_NO_INDEX"] == "1" and "NEURON_TORCH_INDEX" not in offline
    studio = setup.variables_of(setup.Plan(Path("p"), tmp_path, True, index="https://i"), given, "win32")
    assert studio["NEURON_TORCH_INDEX"] == "https://i"


def test_pythons_are_found_on_the_path_and_houdinis_own_comes_last(setup, tmp_path):
    from neuron_houdini.engine import interpreters

    home = tmp_path / "hfs"
    own, other = home / "python" / "bin" / "python3.11", tmp_path / "bin" / "python3.13"
    old = tmp_path / "bin" / "python3"
    for path, version in ((own, "3 11"), (other, "3 13"), (old, "3 8")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {version}\n")
        path.chmod(0o755)
    found = interpreters.find_pythons(
        {"HFS": str(home), "PATH": os.pathsep.join([str(home / "bin"), str(other.parent)])}
    )
    assert [(python.path, python.of_houdini) for python in found] == [(other, False), (own, True)]
    assert setup.default_plan(found).python == other


def test_programs_are_found_in_what_the_launcher_of_windows_prints(setup):
    from neuron_houdini.engine import interpreters

    text = (
        " -V:3.12 *        C:\\Users\\Jörg Maier\\Python312\\python.exe\n"
        " -3.9-64          D:\\py\\python.exe \n"
        " -V:ContinuumAnalytics\n"
    )
    found = [str(path) for path in interpreters.listed_by_launcher(text)]
    assert found == ["C:\\Users\\Jörg Maier\\Python312\\python.exe", "D:\\py\\python.exe"]
    assert interpreters.listed_by_launcher("No installed Pythons found!") == []


def test_without_any_python_a_sentence_says_what_to_do(setup):
    from neuron_houdini.engine import interpreters, process

    assert interpreters.find_pythons({"PATH": ""}) == []
    with pytest.raises(process.EngineError, match="no Python"):
        setup.default_plan([])


def test_an_environment_is_deleted_only_if_it_is_ours(setup, tmp_path):
    import set_up_engine

    other = tmp_path / "other"
    other.mkdir()
    (other / "pyvenv.cfg").write_text("")
    set_up_engine.forget(other)
    assert other.exists()
    (other / "neuron-environment.json").write_text(json.dumps({}))
    set_up_engine.forget(other)
    assert not other.exists()


def test_the_script_says_why_it_cannot(tmp_path):
    (tmp_path / "picture.exr").write_text("")
    done = subprocess.run(
        [sys.executable, str(PROJECT / "scripts" / "set_up_engine.py")],
        env={**os.environ, "NEURON_ENV": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "other files" in done.stderr
