"""Setting the engine up: which Python makes it, where, with which torch, from the net or from a folder.

The work is done by `scripts/set_up_engine.py` in a process of the chosen Python; `panel.setup_dialog`
shows it.
"""

import functools
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from neuron_houdini.engine import environment, interpreters, jobs, process
from neuron_houdini.errors import EngineError

JOB = -1  # the key of the set-up among the jobs; those of nodes are not negative
SCRIPT = environment.PROJECT / "scripts" / "set_up_engine.py"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_STAGES = (  # what a line of the log begins with, how far that is
    (re.compile(r"Making a Python environment"), 0.02),
    (re.compile(r"Installing collected packages"), 0.85),
    (re.compile(r"Successfully installed"), 0.95),
    (re.compile(r"The engine is in "), 0.97),
)
_COLLECTED = re.compile(r"Collecting (\S+)|Requirement already satisfied: (\S+)")
_HINTS = (
    (re.compile(r"No space left|Errno 28", re.I), "The disk is full. Choose another folder."),
    (re.compile(r"Permission denied|Errno 13", re.I), "Choose a folder that you may write to."),
    (
        re.compile(r"resolv|connection|timed out|No matching distribution|network is unreachable", re.I),
        "Without a connection choose a folder of wheels, made by `pip download` on a machine like this.",
    ),
    (re.compile(r"ensurepip|venv", re.I), "Choose another Python, or install its venv package."),
)

State = Literal["missing", "outdated", "ready"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to install, where and from where."""

    python: Path
    folder: Path
    cuda: bool = True
    wheelhouse: Path | None = None  # everything comes from this folder; the net is not asked
    index: str = ""  # a package index with builds of torch; default: the one that `cuda` asks for
    anew: bool = False  # delete an environment of ours that is there, as to change between CUDA and CPU


def state_of(folder: Path) -> State:
    """Whether an environment is there, and whether its packages are those of this version."""
    if not environment.python_of(folder).exists():
        return "missing"
    made = _environment_package()
    if not (folder / made.STAMP).exists():
        return "ready"  # somebody else's; the handshake decides
    current = made.installed_extras(folder, SCRIPT.parents[1]) is not None
    return "ready" if current else "outdated"


@functools.cache
def _environment_package() -> Any:
    """`scripts/_environment`, which knows what an environment has to hold; its folder stays off the path."""
    name, folder = "neuron_environment", environment.PROJECT / "scripts" / "_environment"
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package


def has_gpu(variables: Mapping[str, str] | None = None) -> bool:
    """Whether there is an NVIDIA driver on this machine."""
    folders = (os.environ if variables is None else variables).get("PATH", "")
    return shutil.which("nvidia-smi", path=folders) is not None


def default_plan(pythons: Sequence[interpreters.Python]) -> Plan:
    """What the dialog begins with. Raises EngineError if no Python was found."""
    if not pythons:
        raise EngineError(
            "python",
            f"There is no {interpreters.SUPPORTED} on PATH.",
            "Install one from python.org, or choose its program.",
        )
    return Plan(pythons[0].path, environment.environment_folder(), has_gpu())


def check(plan: Plan) -> None:
    """Raises EngineError for what cannot work, before anything is written."""
    if interpreters.version_of(plan.python, environment.clean_environment(os.environ)) is None:
        raise EngineError("python", f"{plan.python} cannot make environments.", "Choose another Python.")
    if plan.wheelhouse is not None and not any(plan.wheelhouse.glob("*.whl")):
        raise EngineError("input", f"There are no wheels in {plan.wheelhouse}.", "Choose another folder.")
    if plan.anew and any(not job.over for job in jobs.all_jobs() if not isinstance(job, Installation)):
        raise EngineError("busy", "Jobs run in the engine.", "Wait for them, or cancel them.")
    made = environment.python_of(plan.folder).exists() or (plan.folder / "pyvenv.cfg").exists()
    lock = _environment_package().LOCK
    if plan.folder.is_dir() and not made and any(entry.name != lock for entry in plan.folder.iterdir()):
        raise EngineError(
            "input", f"{plan.folder} has other files in it.", "Choose a new or an empty folder."
        )


def variables_of(plan: Plan, variables: Mapping[str, str], platform: str = sys.platform) -> dict[str, str]:
    """The environment that the set-up runs in: nothing of Houdini, everything of the plan."""
    known = environment.clean_environment(variables) | {
        "NEURON_ENV": str(plan.folder),
        "PYTHONUNBUFFERED": "1",
    }
    known.pop("NEURON_TORCH_INDEX", None)
    index = plan.index or (CPU_INDEX if not plan.cuda and platform != "darwin" else "")
    if plan.wheelhouse is not None:
        known |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(plan.wheelhouse)}
    elif index:
        known["NEURON_TORCH_INDEX"] = index
    return known


class Installation(jobs.Background):
    """One attempt; another one with the same plan resumes where it stopped."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("Setting up the engine")
        self.plan = plan
        self._process: subprocess.Popen[str] | None = None
        self._packages: set[str] = set()
        self._expected = _count_of_packages()

    def _work(self) -> process.Answer:
        check(self.plan)
        with self._lock:
            if self._cancelled:
                raise _stopped()
            self._process = _started(self.plan)
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._note(line.rstrip())
        code = self._process.wait()
        if self._cancelled:
            raise _stopped()
        if code != 0:
            raise self._failure(code)
        process.check_version(environment.python_of(self.plan.folder))
        environment.choose(self.plan.folder)
        return process.Answer({"environment": str(self.plan.folder)})

    def _stop(self) -> None:
        """End pip too, which runs in a process of the script."""
        if self._process is None or self._process.poll() is not None:
            return
        if sys.platform == "win32":
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(self._process.pid)], check=False)
        else:
            os.killpg(self._process.pid, signal.SIGTERM)

    def _note(self, line: str) -> None:
        if not line:
            return
        self.log.append(line)
        self.text = line[:200]
        collected = _COLLECTED.match(line)
        if collected:
            self._packages.add(re.split(r"[\[<>=!~;(]", collected[1] or collected[2])[0].lower())
            self._reach(0.05 + 0.75 * min(1.0, len(self._packages) / self._expected))
        for pattern, reached in _STAGES:
            if pattern.match(line):
                self._reach(reached)

    def _reach(self, fraction: float) -> None:
        self.fraction = max(self.fraction, fraction)

    def _failure(self, code: int) -> EngineError:
        last = [line for line in self.log if line.startswith("ERROR") or "rror:" in line][-1:]
        said = (last or list(self.log)[-1:] or [f"It ended with code {code}."])[0]
        text = "\n".join(list(self.log)[-40:])
        hint = next((hint for pattern, hint in _HINTS if pattern.search(text)), "Read the log, then retry.")
        return EngineError("setup", f"The engine could not be set up. {said}", hint)


def current() -> Installation | None:
    """The attempt of this session that was started last."""
    job = jobs.of(JOB)
    return job if isinstance(job, Installation) else None


def _stopped() -> EngineError:
    return EngineError("stopped", "Stopped as asked.", "Another attempt resumes from here.")


def _started(plan: Plan) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            [str(plan.python), str(SCRIPT), *(["--anew"] if plan.anew else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=variables_of(plan, os.environ),
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name != "nt",
            creationflags=process.NO_WINDOW,
        )
    except OSError as error:
        message = f"{plan.python} does not start: {error.strerror}."
        raise EngineError("python", message, "Choose another Python.") from error


def _count_of_packages() -> int:
    """How many packages pip will name, about: the pins without those of tests."""
    try:
        lines = (SCRIPT.parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 60
    return max(1, sum("==" in line for line in lines) - 15)
