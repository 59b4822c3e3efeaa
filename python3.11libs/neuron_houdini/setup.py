"""Setting the engine up: which Python makes it, where, with which torch, from the net or from a folder.

The work is done by `scripts/set_up_engine.py` in a process of the chosen Python. Runs without Houdini
and without Qt; `panel.setup_dialog` shows it.
"""

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

from neuron_houdini import engine, jobs

JOB = -1  # the key of the set-up among the jobs; those of nodes are not negative
OLDEST, NEWEST = (3, 11), (3, 14)
SCRIPT = engine.PROJECT / "scripts" / "set_up_engine.py"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_ASK = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
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
class Python:
    """An interpreter that can make environments."""

    path: Path
    version: tuple[int, int]
    of_houdini: bool = False

    @property
    def label(self) -> str:
        """As in `Python 3.11, /usr/bin/python3.11`."""
        whose = " (Houdini's own)" if self.of_houdini else ""
        return f"Python {self.version[0]}.{self.version[1]}{whose}, {self.path}"


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
    if not engine.python_of(folder).exists():
        return "missing"
    environment = _environment()
    if not (folder / environment.STAMP).exists():
        return "ready"  # somebody else's; the handshake decides
    current = environment.installed_extras(folder, environment.PROJECT) is not None
    return "ready" if current else "outdated"


def _environment() -> Any:
    """`scripts/_environment.py`, which knows what an environment has to hold."""
    spec = importlib.util.spec_from_file_location("neuron_environment", SCRIPT.with_name("_environment.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_pythons(variables: Mapping[str, str] | None = None) -> list[Python]:
    """Interpreters that can make the engine's environment, the best first; Houdini's own comes last.

    Everything on PATH is asked, in a clean environment.
    """
    known = os.environ if variables is None else variables
    clean = engine.clean_environment(known)
    found: dict[Path, Python] = {}
    own_home = _of_houdini(known.get("HFS", ""))
    for path in (*_on_path(clean.get("PATH", "")), *_of_launcher(clean), *own_home):
        version = _version_of(path, clean)
        if version is not None and OLDEST <= version <= NEWEST:
            own = bool(known.get("HFS")) and path.is_relative_to(known["HFS"])
            found.setdefault(path.resolve(), Python(path, version, own))
    return sorted(found.values(), key=lambda python: (python.of_houdini, python.version))


def _on_path(folders: str) -> list[Path]:
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)] + ["python3", "python"]
    candidates = (shutil.which(name, path=folders) for name in names)
    return [Path(candidate) for candidate in candidates if candidate]


def _of_launcher(variables: Mapping[str, str]) -> list[Path]:
    """What the `py` launcher of Windows knows; Python is often not on PATH there."""
    launcher = shutil.which("py", path=variables.get("PATH", "")) if os.name == "nt" else None
    if launcher is None:
        return []
    try:
        return listed_by_launcher(_printed([launcher, "-0p"], variables))
    except (OSError, subprocess.TimeoutExpired):
        return []


def _printed(command: list[str], variables: Mapping[str, str]) -> str:
    """What a short command prints. Raises OSError or TimeoutExpired."""
    done = subprocess.run(
        command,
        env=dict(variables),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        creationflags=engine.NO_WINDOW,
    )
    return done.stdout


def listed_by_launcher(text: str) -> list[Path]:
    """The programs in what `py -0p` prints: a tag, perhaps a star, and a path on each line."""
    return [Path(match[1]) for match in re.finditer(r"([A-Za-z]:\\.*\.exe)\s*$", text, re.M)]


def _of_houdini(home: str) -> list[Path]:
    if not home:
        return []
    patterns = ("python/bin/python3.*[0-9]", "python3*/python.exe")
    return sorted(path for pattern in patterns for path in Path(home).glob(pattern))


def _version_of(python: Path, variables: Mapping[str, str]) -> tuple[int, int] | None:
    """What it says; None if it does not run or cannot make environments."""
    try:
        major, minor = map(int, _printed([str(python), "-c", _ASK], variables).split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return (major, minor)


def has_gpu(variables: Mapping[str, str] | None = None) -> bool:
    """Whether there is an NVIDIA driver on this machine."""
    folders = (os.environ if variables is None else variables).get("PATH", "")
    return shutil.which("nvidia-smi", path=folders) is not None


def default_plan(pythons: Sequence[Python]) -> Plan:
    """What the dialog begins with. Raises EngineError if no Python was found."""
    if not pythons:
        raise engine.EngineError(
            "python",
            f"There is no Python from {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} on PATH.",
            "Install one from python.org, or choose its program.",
        )
    return Plan(pythons[0].path, engine.environment_folder(), has_gpu())


def check(plan: Plan) -> None:
    """Raises EngineError for what cannot work, before anything is written."""
    if _version_of(plan.python, engine.clean_environment(os.environ)) is None:
        raise engine.EngineError(
            "python", f"{plan.python} cannot make environments.", "Choose another Python."
        )
    if plan.wheelhouse is not None and not any(plan.wheelhouse.glob("*.whl")):
        raise engine.EngineError(
            "input", f"There are no wheels in {plan.wheelhouse}.", "Choose another folder."
        )
    if plan.anew and any(not job.over for job in jobs.all_jobs() if not isinstance(job, Installation)):
        raise engine.EngineError("busy", "Jobs run in the engine.", "Wait for them, or cancel them.")
    made = engine.python_of(plan.folder).exists() or (plan.folder / "pyvenv.cfg").exists()
    lock = _environment().LOCK
    if plan.folder.is_dir() and not made and any(entry.name != lock for entry in plan.folder.iterdir()):
        raise engine.EngineError(
            "input", f"{plan.folder} has other files in it.", "Choose a new or an empty folder."
        )


def variables_of(plan: Plan, variables: Mapping[str, str], platform: str = sys.platform) -> dict[str, str]:
    """The environment that the set-up runs in: nothing of Houdini, everything of the plan."""
    known = engine.clean_environment(variables) | {"NEURON_ENV": str(plan.folder), "PYTHONUNBUFFERED": "1"}
    known.pop("NEURON_TORCH_INDEX", None)
    index = plan.index or (CPU_INDEX if not plan.cuda and platform != "darwin" else "")
    if plan.wheelhouse is not None:
        known |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(plan.wheelhouse)}
    elif index:
        known["NEURON_TORCH_INDEX"] = index
    return known


class Installation(jobs.Background):
    """One attempt; another one with the same plan goes on where it stopped."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("Setting up the engine")
        self.plan = plan
        self._process: subprocess.Popen[str] | None = None
        self._packages: set[str] = set()
        self._expected = _count_of_packages()

    def _work(self) -> engine.Answer:
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
        engine.check_version(engine.python_of(self.plan.folder))
        engine.choose(self.plan.folder)
        return engine.Answer({"environment": str(self.plan.folder)})

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

    def _failure(self, code: int) -> engine.EngineError:
        last = [line for line in self.log if line.startswith("ERROR") or "rror:" in line][-1:]
        said = (last or list(self.log)[-1:] or [f"It ended with code {code}."])[0]
        text = "\n".join(list(self.log)[-40:])
        hint = next((hint for pattern, hint in _HINTS if pattern.search(text)), "Read the log, then retry.")
        return engine.EngineError("setup", f"The engine could not be set up. {said}", hint)


def current() -> Installation | None:
    """The attempt of this session that was started last."""
    job = jobs.of(JOB)
    return job if isinstance(job, Installation) else None


def _stopped() -> engine.EngineError:
    return engine.EngineError("stopped", "Stopped as asked.", "Another attempt goes on from here.")


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
            creationflags=engine.NO_WINDOW,
        )
    except OSError as error:
        message = f"{plan.python} does not start: {error.strerror}."
        raise engine.EngineError("python", message, "Choose another Python.") from error


def _count_of_packages() -> int:
    """How many packages pip will name, about: the pins without those of tests."""
    try:
        lines = (SCRIPT.parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 60
    return max(1, sum("==" in line for line in lines) - 15)
