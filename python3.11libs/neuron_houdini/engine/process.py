"""The engine as a process: what it is told, what it answers.

A command is `python -m neuron_core TASK ... --json`. It writes progress events, then one result or
error, a JSON object a line.
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import neuron_core
from neuron_houdini.engine import environment
from neuron_houdini.errors import EngineError

NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows opens a console otherwise
_LAST_WORDS = 2000  # characters of standard error that an error without words of its own shows
_greeted: dict[Path, int] = {}  # interpreters that have the right version, and when they were changed

Progress = Callable[[float, str, str], None]  # fraction, stage, message


@dataclass(frozen=True, slots=True)
class Answer:
    """The result object of a command."""

    body: Mapping[str, object]


def ready() -> Path:
    """The interpreter of the engine, that of these nodes' version. Raises EngineError.

    A program is asked for its version once, and again if it changed.
    """
    python = environment.find_python()
    state = python.stat().st_mtime_ns
    if _greeted.get(python) != state:
        check_version(python)
        _greeted[python] = state
    return python


class Process:
    """One command of the engine while it runs. Its streams are read by threads of their own.

    Without `python` the engine is found, and asked for its version first.
    """

    def __init__(self, words: Sequence[str], python: Path | None = None) -> None:
        self._command = [str(python or ready()), "-m", "neuron_core", *words, "--json"]
        self._errors: list[str] = []
        self._stopped = False
        variables = environment.clean_environment(os.environ)
        variables["PYTHONPATH"] = str(environment.PROJECT)
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=variables,
                encoding="utf-8",
                errors="replace",
                creationflags=NO_WINDOW,
            )
        except OSError as error:
            message = f"The engine does not start: {error.strerror}."
            raise EngineError("environment", message, environment.SET_UP) from error
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
            raise EngineError(kind, message, environment.SET_UP if kind == "environment" else hint)
        if self._stopped:
            raise EngineError("stopped", "Stopped as asked.", "Render again to resume.")
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
            environment.SET_UP,
        )
    return version
