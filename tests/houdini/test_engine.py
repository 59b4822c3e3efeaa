"""The engine as a process: environment, progress, errors, cancelling, several at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from neuron_houdini.engine import environment, jobs, process
from neuron_houdini.errors import EngineError

import neuron_core
from tests.patience import wait_until

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own_python(monkeypatch):
    """This Python is the engine's."""
    monkeypatch.setattr(environment, "find_python", lambda: Path(sys.executable))


@pytest.fixture(autouse=True)
def no_job_is_left():
    yield
    jobs.forget_ended()


def stand_in(folder, code):
    """A program that takes the place of the engine's Python, in a folder with blanks and umlauts."""
    folder = folder / "Mein Büro"
    folder.mkdir(exist_ok=True)
    path = folder / f"engine{len(list(folder.iterdir()))}"
    path.write_text(f"#!{sys.executable}\n{code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_engine_has_the_version_of_the_nodes(own_python):
    assert process.check_version(Path(sys.executable)) == neuron_core.__version__


def test_another_version_is_refused(own_python, tmp_path):
    python = stand_in(tmp_path, 'print(\'{"event": "result", "version": "0.0.0"}\')')
    with pytest.raises(EngineError, match="The engine is 0.0.0") as caught:
        process.check_version(python)
    assert caught.value.kind == "version"


def counting(folder):
    """A stand-in that knows its version and counts how often it is asked for it."""
    code = f"""import sys
if "--version" in sys.argv: open({str(folder / "asked")!r}, "a").write("x")
print('{{"event": "result", "version": "{neuron_core.__version__}"}}')"""
    return stand_in(folder, code)


def test_the_engine_is_asked_for_its_version_once_and_again_if_it_changed(own_python, tmp_path, monkeypatch):
    python = counting(tmp_path)
    monkeypatch.setattr(environment, "find_python", lambda: python)
    for _ in range(2):
        process.run(["train"])
    assert (tmp_path / "asked").read_text() == "x"
    os.utime(python, ns=(1, 1))
    process.run(["train"])
    assert (tmp_path / "asked").read_text() == "xx"


def test_nothing_runs_in_an_engine_of_another_version(own_python, tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    code = f"""import sys
if "--version" not in sys.argv: open({str(ran)!r}, "w")
print('{{"event": "result", "version": "0.0.0"}}')"""
    python = stand_in(tmp_path, code)
    monkeypatch.setattr(environment, "find_python", lambda: python)
    with pytest.raises(EngineError, match="0.0.0"):
        process.run(["train"])
    job = jobs.submit(7, jobs.Job("train", [["train"]]))
    job.join()
    assert job.error.kind == "version" and not ran.exists()


def test_a_missing_library_says_how_to_get_an_engine(own_python, tmp_path):
    event = '{"event": "error", "kind": "environment", "message": "no torch", "hint": "elsewhere"}'
    with pytest.raises(EngineError, match="no torch") as caught:
        process.run(["train"], python=stand_in(tmp_path, f"print({event!r}); raise SystemExit(2)"))
    assert caught.value.hint == environment.SET_UP


def test_the_engine_is_where_it_was_set_up_unless_a_variable_says_otherwise(tmp_path, monkeypatch):
    home, chosen = tmp_path / "préférences", tmp_path / "chosen"
    monkeypatch.setenv("HOUDINI_USER_PREF_DIR", str(home))
    monkeypatch.delenv("NEURON_ENV", raising=False)
    assert environment.environment_folder() == environment.PROJECT / ".venv"
    environment.choose(chosen)
    assert environment.environment_folder() == chosen
    monkeypatch.setenv("NEURON_ENV", str(tmp_path / "studio"))
    assert environment.environment_folder() == tmp_path / "studio"
    monkeypatch.delenv("NEURON_ENV")
    (home / "neuron" / environment.CHOICE).write_text("{nonsense")
    assert environment.environment_folder() == environment.PROJECT / ".venv"


def test_a_project_nobody_may_write_to_keeps_the_engine_among_the_preferences(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PROJECT", tmp_path / "read only")
    home = {"HOUDINI_USER_PREF_DIR": str(tmp_path / "houdini21.0")}
    assert environment.environment_folder(home) == tmp_path / "houdini21.0" / "neuron" / "engine"
    (tmp_path / "read only" / ".venv").mkdir(parents=True)
    assert environment.environment_folder(home) == tmp_path / "read only" / ".venv"


def test_a_missing_engine_says_how_to_get_one(tmp_path):
    with pytest.raises(EngineError, match="There is no engine") as caught:
        environment.find_python({"NEURON_ENV": str(tmp_path)})
    assert "NEURON_ENV" in caught.value.hint


def test_errors_keep_kind_message_and_hint(own_python, tmp_path):
    with pytest.raises(EngineError, match="nothing.neuron") as caught:
        process.run(["inspect", str(tmp_path / "nothing.neuron")])
    assert caught.value.kind in ("file", "input") and caught.value.message


def test_misspelt_options_are_refused_by_the_engine(own_python):
    with pytest.raises(EngineError):
        process.run(["publish", "a.neuron", "library", "--nmae", "x"])


def test_a_crash_tells_the_last_words(own_python, tmp_path):
    python = stand_in(tmp_path, 'import sys, os\nprint("the end", file=sys.stderr, flush=True)\nos._exit(9)')
    with pytest.raises(EngineError, match="code 9") as caught:
        process.run(["train"], python=python)
    assert caught.value.kind == "crash" and "the end" in caught.value.hint


def test_progress_arrives_in_order_and_other_lines_do_not(own_python, tmp_path):
    lines = [
        '{"event": "progress", "fraction": 0.25, "stage": "träin", "message": "one"}',
        "not json",
        "[1]",
        '{"event": "progress", "fraction": 1.0, "stage": "bake", "message": ""}',
        '{"event": "result", "asset": "a"}',
    ]
    seen = []
    python = stand_in(tmp_path, f"for line in {lines!r}: print(line)")
    answer = process.run(["train"], lambda *event: seen.append(event), python)
    assert seen == [(0.25, "träin", "one"), (1.0, "bake", "")]
    assert answer.body == {"asset": "a"}


ENDLESS = """import time
print('{"event": "progress", "fraction": 0.5, "stage": "train", "message": ""}', flush=True)
time.sleep(3600)"""


def test_an_error_while_showing_progress_stops_the_engine(own_python, tmp_path):
    running = process.Process(["train"], stand_in(tmp_path, ENDLESS))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        running.wait(interrupt)
    assert running._process.poll() is not None


def test_jobs_run_side_by_side_and_are_cancelled_alone(own_python, tmp_path):
    python = stand_in(tmp_path, ENDLESS)
    first = jobs.submit(1, jobs.Job("first", [["train"], ["bake"]], python))
    second = jobs.submit(2, jobs.Job("second", [["train"]], python))
    wait_until(lambda: first.fraction == 0.25 and second.fraction == 0.5)
    with pytest.raises(EngineError, match="still running"):
        jobs.submit(1, jobs.Job("again", [["train"]], python))
    first.cancel()
    first.join()
    assert first.over and first.error.kind == "stopped" and not second.over
    second.cancel()
    second.join()
    assert [job.title for job in jobs.all_jobs()] == ["first", "second"]
    assert first.stopped and first.seconds > 0
    jobs.forget_ended()
    assert jobs.all_jobs() == []


def test_no_job_outlives_the_session(tmp_path):
    """Python's end, as Houdini's, stops the engine: it gets the signal on which it saves."""
    code = f"""import signal, sys
def stop(*_): open({str(tmp_path / "told")!r}, "w"); sys.exit(143)
signal.signal(signal.SIGTERM, stop)
"""
    python = stand_in(tmp_path, code + ENDLESS)
    session = f"""import sys, time
from pathlib import Path
from neuron_houdini.engine import jobs
job = jobs.submit(1, jobs.Job("train", [["train"]], Path({str(python)!r})))
while job.fraction == 0 and not job.over: time.sleep(0.01)
"""
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "python3.11libs")])
    subprocess.run([sys.executable, "-c", session], env={**os.environ, "PYTHONPATH": paths}, check=True)
    wait_until(lambda: (tmp_path / "told").exists())


def test_nothing_of_houdini_reaches_the_engine():
    given = {
        "HFS": "/opt/hfs21",
        "HOUDINI_PATH": "x",
        "PYTHONHOME": "/opt/hfs21/python",
        "PYTHONPATH": "x",
        "PXR_PLUGINPATH_NAME": "x",
        "PATH": os.pathsep.join(["/opt/hfs21/bin", "/usr/bin", "/opt/hfs210/bin"]),
        "LD_LIBRARY_PATH": "/opt/hfs21/dsolib",
        "HOME": "/home/a",
    }
    cleaned = environment.clean_environment(given)
    assert cleaned == {
        "PATH": os.pathsep.join(["/usr/bin", "/opt/hfs210/bin"]),
        "HOME": "/home/a",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
    }


GUARD = """
import sys, types, importlib
sys.modules["hou"] = types.ModuleType("hou")
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = ("neuron_houdini", "houdini_assets", "neuron_core", "numpy", "pxr")
        if top not in sys.stdlib_module_names and top not in known:
            raise ImportError(name + " is not there")
sys.meta_path.insert(0, Guard())
for name in sys.argv[1:]: importlib.import_module(name)
"""


KEPT = PROJECT / ".pytest_cache" / "pythons"


def python_with_usd(version):
    """A Python of that version with numpy and pxr, or None: NEURON_TEST_PYTHON, this one, or one that is made
    and kept beside pytest's cache where PATH has such a Python and pip finds the wheels."""
    kept = KEPT / ".".join(map(str, version))
    for candidate in (os.environ.get("NEURON_TEST_PYTHON", ""), sys.executable, str(kept / "bin" / "python")):
        if candidate and _has_usd(candidate, version):
            return candidate
    return _made(kept, version)


def _has_usd(python, version):
    probe = f"import sys, numpy, pxr; raise SystemExit(sys.version_info[:2] != {version})"
    try:
        return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _interpreters(version):
    """Programs of that version, on PATH or among those of pyenv, which are not on it."""
    name = f"python{version[0]}.{version[1]}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(name), *sorted(pyenv.glob(f"{version[0]}.{version[1]}.*/bin/{name}"))]
    return [str(path) for path in found if path]


def _made(folder, version):
    python = str(folder / "bin" / "python")
    pinned = ["-c", str(PROJECT / "constraints.txt"), "numpy", "usd-core"]
    for found in _interpreters(version):
        steps = ([found, "-m", "venv", str(folder)], [python, "-m", "pip", "install", "-q", *pinned])
        if all(subprocess.run(words, capture_output=True, check=False).returncode == 0 for words in steps):
            return python if _has_usd(python, version) else None
    return None


@pytest.mark.parametrize("version", [(3, 11), (3, 13)])
def test_the_package_needs_numpy_and_pxr_only(version):
    python = python_with_usd(version)
    if python is None:
        pytest.skip(f"no Python {version[0]}.{version[1]} with numpy and pxr; name one in NEURON_TEST_PYTHON")
    libs = PROJECT / "python3.11libs"
    modules = [
        ".".join(path.relative_to(libs).with_suffix("").parts)
        for path in (libs / "neuron_houdini").rglob("[a-z]*.py")
        if path.parent.name != "panel" or path.stem in ("library", "opening")  # the rest needs Houdini's Qt
    ]
    paths = os.pathsep.join(map(str, (PROJECT, libs, PROJECT / "scripts")))
    variables = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        [python, "-c", GUARD, *modules], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
