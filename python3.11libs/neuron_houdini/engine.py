"""The engine as a process: where it is, what it is told, what it answers.

A command is `python -m neuron_core TASK ... --json`. It writes progress events, then one result or
error, a JSON object a line. Runs without Houdini; nothing here imports `hou`.
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import neuron_core

PROJECT = Path(neuron_core.__file__).resolve().parents[1]
SET_UP = "Press Set Up Engine on the Neuron shelf, or name its environment in NEURON_ENV."
_PYTHONS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__", "PXR_PLUGINPATH_NAME")
_PATHS = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_INSERT_LIBRARIES")
CHOICE = "engine.json"  # among the preferences: the environment that was set up last
_greeted: dict[Path, int] = {}  # interpreters that have the right version, and when they were changed
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows opens a console otherwise
_LAST_WORDS = 2000  # characters of standard error that an error without words of its own shows

Progress = Callable[[float, str, str], None]  # fraction, stage, message


class EngineError(Exception):
    """What the engine could not do: `kind` is a stable word, `hint` says what helps."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.kind = kind
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Answer:
    """The result object of a command."""

    body: Mapping[str, object]


def preferences(variables: Mapping[str, str] | None = None) -> Path | None:
    """Neuron's folder among Houdini's preferences; None outside of Houdini."""
    home = (os.environ if variables is None else variables).get("HOUDINI_USER_PREF_DIR", "").strip()
    return Path(home) / "neuron" if home else None


def environment_folder(variables: Mapping[str, str] | None = None) -> Path:
    """Where the engine is or will be: NEURON_ENV, else what was set up last, else the project's `.venv`.

    A project that nobody may write to and that has none gets one among Houdini's preferences.
    """
    given = (os.environ if variables is None else variables).get("NEURON_ENV", "").strip()
    if given:
        return Path(given).expanduser()
    own = preferences(variables)
    chosen = _chosen(own / CHOICE) if own else None
    if chosen is not None:
        return chosen
    default = PROJECT / ".venv"
    if own is None or default.exists() or os.access(PROJECT, os.W_OK):
        return default
    return own / "engine"


def _chosen(path: Path) -> Path | None:
    """The folder in a file of `choose`; None if there is none or it says nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    folder = content.get("environment") if isinstance(content, dict) else None
    return Path(folder) if isinstance(folder, str) and folder else None


def choose(folder: Path) -> None:
    """Take this environment from now on, where NEURON_ENV names no other. Outside of Houdini, nothing."""
    own = preferences()
    if own is None:
        return
    own.mkdir(parents=True, exist_ok=True)
    temporary = own / (CHOICE + ".part")
    temporary.write_text(json.dumps({"environment": str(folder)}), encoding="utf-8")
    temporary.replace(own / CHOICE)


def python_of(folder: Path, system: str = os.name) -> Path:
    """The interpreter of an environment, whether it exists or not; `nt` is Windows."""
    return folder / ("Scripts/python.exe" if system == "nt" else "bin/python")


def find_python(variables: Mapping[str, str] | None = None) -> Path:
    """The interpreter of the engine in `environment_folder`. Raises EngineError if there is none."""
    folder = environment_folder(variables)
    python = python_of(folder)
    if not python.exists():
        raise EngineError("environment", f"There is no engine in {folder}.", SET_UP)
    return python


def ready() -> Path:
    """The interpreter of the engine, that of these nodes' version. Raises EngineError.

    A program is asked for its version once, and again if it changed.
    """
    python = find_python()
    state = python.stat().st_mtime_ns
    if _greeted.get(python) != state:
        check_version(python)
        _greeted[python] = state
    return python


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without what belongs to Houdini: its Python, its settings, its libraries."""
    home = _installation(variables.get("HFS", ""))
    kept = {
        name: value
        for name, value in variables.items()
        if name not in _PYTHONS and name != "HFS" and not name.startswith("HOUDINI_")
    }
    for name in _PATHS:
        if home and name in kept:
            entries = [entry for entry in kept[name].split(os.pathsep) if not _lies_in(entry, home)]
            kept[name] = os.pathsep.join(entries)
            if not kept[name]:
                del kept[name]
    return kept | {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def _installation(home: str) -> str:
    """The folder of everything that is Houdini's: on a Mac its libraries lie beside HFS."""
    above, name = os.path.split(home.rstrip("/\\"))
    return above if name == "Resources" else home


def _lies_in(entry: str, folder: str) -> bool:
    """Links, quotation marks, and on Windows letters and short names, make no difference."""
    inner, outer = (os.path.normcase(os.path.realpath(path.strip('"'))) for path in (entry, folder))
    return bool(entry) and (inner == outer or inner.startswith(outer + os.path.sep))


class Process:
    """One command of the engine while it runs. Its streams are read by threads of their own.

    Without `python` the engine is found, and asked for its version first.
    """

    def __init__(self, words: Sequence[str], python: Path | None = None) -> None:
        self._command = [str(python or ready()), "-m", "neuron_core", *words, "--json"]
        self._errors: list[str] = []
        self._stopped = False
        environment = clean_environment(os.environ)
        environment["PYTHONPATH"] = str(PROJECT)
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                encoding="utf-8",
                errors="replace",
                creationflags=NO_WINDOW,
            )
        except OSError as error:
            message = f"The engine does not start: {error.strerror}."
            raise EngineError("environment", message, SET_UP) from error
        self._drain = threading.Thread(target=self._keep_errors, daemon=True)
        self._drain.start()

    def _keep_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors = [*self._errors[-99:], line]

    def cancel(self) -> None:
        """Ask it to stop where nothing is lost."""
        self._stopped = True
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self, progress: Progress | None = None) -> Answer:
        """Pass on progress until it ends. Raises EngineError, also for an end without an answer.

        If `progress` raises, the engine is stopped before the error goes on.
        """
        assert self._process.stdout is not None
        last: Mapping[str, object] = {}
        try:
            for line in self._process.stdout:
                event = _event(line)
                if event.get("event") == "progress" and progress is not None:
                    fraction = event.get("fraction")
                    share = float(fraction) if isinstance(fraction, int | float) else 0.0
                    progress(share, str(event.get("stage", "")), str(event.get("message", "")))
                elif event.get("event") in ("result", "error"):
                    last = event
        except BaseException:
            self.cancel()
            self._end()
            raise
        self._end()
        return self._answer(last)

    def _end(self) -> None:
        self._process.wait()
        self._drain.join()
        assert self._process.stdout is not None and self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()

    def _answer(self, last: Mapping[str, object]) -> Answer:
        if last.get("event") == "result":
            return Answer({name: value for name, value in last.items() if name != "event"})
        if last.get("event") == "error":
            kind, message, hint = (str(last.get(name, "")) for name in ("kind", "message", "hint"))
            raise EngineError(kind, message, SET_UP if kind == "environment" else hint)
        if self._stopped:
            raise EngineError("stopped", "Stopped as asked.", "Render again to go on.")
        said = "".join(self._errors)[-_LAST_WORDS:].strip()
        message = f"The engine ended with code {self._process.returncode} and no answer."
        raise EngineError("crash", message, said or "It said nothing.")


def _event(line: str) -> Mapping[str, object]:
    """A line as an event; other text is none."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def run(words: Sequence[str], progress: Progress | None = None, python: Path | None = None) -> Answer:
    """Run one command to its end. Raises EngineError."""
    return Process(words, python).wait(progress)


def check_version(python: Path) -> str:
    """The version of the engine. Raises EngineError if it is not that of these nodes."""
    version = str(run(["--version"], python=python).body.get("version", ""))
    if version != neuron_core.__version__:
        raise EngineError(
            "version",
            f"The engine is {version or 'unknown'}, the nodes are {neuron_core.__version__}.",
            SET_UP,
        )
    return version
