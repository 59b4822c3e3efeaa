"""The environment that the engine runs in: made on first use, left alone when it is up to date.

Standard library only: this is what runs before anything is installed. NEURON_ENV puts the
environment into another folder, NEURON_TORCH_INDEX names a package index with other builds of
torch (https://download.pytorch.org/whl/cpu has small ones without CUDA); it counts when torch is
installed, so delete the environment to change it.
"""

from __future__ import annotations  # an old Python has to get as far as the message

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

OLDEST = (3, 11)
PROJECT = Path(__file__).resolve().parent.parent
STAMP = "neuron-environment.json"  # in the environment: what was installed, written last
LOCK = "neuron-environment.lock"  # in the environment: held while something is being installed
SMALL_TORCH = "https://download.pytorch.org/whl/cpu"
# GB of an environment, and of what pip downloads into the folder for temporary files on the way. With CUDA
# measured (7.2 and 3.0, and a little to spare), without it reckoned from the sizes of packages.
ROOM = (3.0, 1.5)
ROOM_WITH_CUDA = (7.5, 3.5)


class EnvironmentProblem(Exception):
    """Why there is no environment, and what to do."""


def say(text: str) -> None:
    """Write to standard error; standard output belongs to the program that is started."""
    print(text, file=sys.stderr, flush=True)


def environment_folder() -> Path:
    """NEURON_ENV, or `.venv` beside the project's files."""
    chosen = os.environ.get("NEURON_ENV", "").strip()
    return Path(chosen).expanduser().resolve() if chosen else PROJECT / ".venv"


def python_of(environment: Path) -> Path:
    """The environment's interpreter, whether it exists or not."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(project: Path) -> str:
    """Changes whenever something else would be installed."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((project / name).read_bytes())
    digest.update(str(project).encode())  # the project is installed by its path
    return digest.hexdigest()


def installed_extras(environment: Path, project: Path) -> frozenset[str] | None:
    """The extras of an environment that is whole and up to date; None for any other."""
    try:
        stamp = json.loads((environment / STAMP).read_text(encoding="utf-8"))
        same_packages = stamp["fingerprint"] == fingerprint(project)
        same_python = stamp["python"] == python_version(environment)
        extras = frozenset(map(str, stamp["extras"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return extras if same_packages and same_python and python_of(environment).exists() else None


def python_version(environment: Path) -> str:
    """The version of Python that the environment was made with, "" if there is none."""
    with contextlib.suppress(OSError):
        for line in (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() in ("version", "version_info"):
                return value.strip()
    return ""


def ensure(extras: Sequence[str] = (), project: Path = PROJECT) -> Path:
    """The interpreter of an environment with the project and `extras`, which is made if need be.

    An interrupted installation goes on; of several processes one installs and the others wait.
    Raises EnvironmentProblem.
    """
    if sys.version_info < OLDEST:
        raise EnvironmentProblem(
            f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}. "
            f"Start the script with a newer one, for example `python3.11 {sys.argv[0]}`."
        )
    environment = environment_folder()
    have = installed_extras(environment, project)
    if have is None or not have.issuperset(extras):
        with lock(environment):
            have = installed_extras(environment, project)  # somebody else may have done it meanwhile
            if have is None or not have.issuperset(extras):
                install(environment, sorted({*extras, *(have or ())}), project)
    return python_of(environment)


def install(environment: Path, extras: Sequence[str], project: Path) -> None:
    """Make the environment if it is not there or does not run, install into it, then stamp it."""
    started = time.monotonic()
    (environment / STAMP).unlink(missing_ok=True)
    version = python_version(environment)
    if version and tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        raise EnvironmentProblem(
            f"{environment} was made with Python {version}. Delete it, or set NEURON_ENV to another folder."
        )
    _forget_half_installed(environment)
    if not _runs(environment):
        require_room(environment)
        say(f"Making a Python environment in {environment} ...")
        _make(environment)
    say("Installing what Neuron needs. " + size_notice())
    install_packages(environment, extras, project)
    stamp = {
        "fingerprint": fingerprint(project),
        "python": python_version(environment),
        "extras": sorted(extras),
    }
    temporary = environment / (STAMP + ".part")
    temporary.write_text(json.dumps(stamp), encoding="utf-8")
    temporary.replace(environment / STAMP)
    say(f"The environment is ready ({time.monotonic() - started:.0f} s); this happens only once.")


def require_room(environment: Path) -> None:
    """Refuse before gigabytes are downloaded that will not fit. Raises EnvironmentProblem."""
    room = ROOM_WITH_CUDA if _brings_cuda() else ROOM
    smaller = f" NEURON_TORCH_INDEX={SMALL_TORCH} needs about {sum(ROOM):.1f} GB." if _brings_cuda() else ""
    needed: dict[int, float] = {}  # GB by file system, often one for both folders
    for folder, size in zip((environment, Path(tempfile.gettempdir())), room, strict=True):
        device = folder.stat().st_dev
        needed[device] = needed.get(device, 0.0) + size
        free = shutil.disk_usage(folder).free / 1e9
        if free < needed[device]:
            raise EnvironmentProblem(
                f"{folder} has {free:.1f} GB free, and installing takes about {needed[device]:.1f} GB. Free "
                "some, or set NEURON_ENV (the environment) or TMPDIR (downloads) to a folder on another "
                f"disk.{smaller}"
            )


def _brings_cuda() -> bool:
    """Whether torch is the default build for Linux: not one of a chosen index or of a folder of wheels."""
    chosen = (os.environ.get(name, "").strip() for name in ("NEURON_TORCH_INDEX", "PIP_NO_INDEX"))
    return sys.platform.startswith("linux") and not any(chosen)


def size_notice() -> str:
    """What a person should know before a long download."""
    index = os.environ.get("NEURON_TORCH_INDEX", "")
    if index:
        return f"torch comes from {index}. This takes a few minutes."
    if os.environ.get("PIP_NO_INDEX", "").strip():
        return "Everything comes from the folder of wheels. This takes a few minutes."
    if _brings_cuda():
        return (
            "torch brings its CUDA libraries: several GB, a few minutes on a fast line. Without an NVIDIA "
            f"GPU set NEURON_TORCH_INDEX={SMALL_TORCH} for a small build instead."
        )
    return "About 1 GB, a few minutes on a fast line."


def install_packages(environment: Path, extras: Sequence[str], project: Path) -> None:
    """Let pip install the project in place, at the exact versions of constraints.txt."""
    index = os.environ.get("NEURON_TORCH_INDEX", "").strip()
    target = str(project) + (f"[{','.join(extras)}]" if extras else "")
    command = [
        *(str(python_of(environment)), "-m", "pip", "install"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("-c", str(project / "constraints.txt")),
        *(("--extra-index-url", index) if index else ()),
        *("-e", target),
    ]
    hint = "Look at pip's message above; run the same command again to go on."
    if _call(command) != 0:
        raise EnvironmentProblem(f"pip could not install what Neuron needs into {environment}. {hint}")


def _forget_half_installed(environment: Path) -> None:
    # pip writes INSTALLER last. Without it an interrupted package would count as installed.
    for pattern in ("lib/python*/site-packages/*.dist-info", "Lib/site-packages/*.dist-info"):
        for record in environment.glob(pattern):
            if not (record / "INSTALLER").exists():
                shutil.rmtree(record)


def _runs(environment: Path) -> bool:
    # An interrupted start leaves a folder whose Python or pip does not run.
    if not python_of(environment).exists():
        return False
    command = [str(python_of(environment)), "-m", "pip", "--version"]
    return subprocess.run(command, env=_clean_variables(), capture_output=True, check=False).returncode == 0


def _make(environment: Path) -> None:
    _empty(environment)
    if _call([sys.executable, "-m", "venv", str(environment)]) != 0:
        raise EnvironmentProblem(
            f"Python could not make an environment in {environment}. On Debian and Ubuntu install the "
            f"package python{sys.version_info[0]}.{sys.version_info[1]}-venv, or use one from python.org."
        )


def _empty(environment: Path) -> None:
    """Remove what an earlier attempt left. Refuses a folder that holds anything but an environment."""
    others = [entry for entry in environment.iterdir() if entry.name != LOCK]
    if others and not (environment / "pyvenv.cfg").exists():
        raise EnvironmentProblem(
            f"{environment} has other files in it and is not a Python environment. "
            "Set NEURON_ENV to a new or empty folder."
        )
    for entry in others:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _call(command: Sequence[str]) -> int:
    # pip writes to standard output, which belongs to the program that is started later.
    return subprocess.call(list(command), stdout=sys.stderr, env=_clean_variables())


def _clean_variables() -> dict[str, str]:
    # What another Python set must not leak in, as inside a host application.
    unwanted = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"PYTHONNOUSERSITE": "1"}


@contextlib.contextmanager
def lock(environment: Path) -> Iterator[None]:
    """Hold the environment alone. The system lets go of it when the process ends, however it ends."""
    try:
        environment.mkdir(parents=True, exist_ok=True)
        file = open(environment / LOCK, "a+b")  # noqa: SIM115
    except OSError as error:
        raise EnvironmentProblem(
            f"Cannot write to {environment}: {error.strerror}. Set NEURON_ENV to another folder."
        ) from error
    with file:
        if not _try_lock(file.fileno()):
            say(f"Another process is installing into {environment}; waiting for it ...")
            while not _try_lock(file.fileno()):
                time.sleep(0.2)
        yield  # closing the file lets go


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def guarded(body: Callable[[], int]) -> int:
    """Run a script's body; problems become a message and an exit code."""
    try:
        return body()
    except EnvironmentProblem as problem:
        say(str(problem))
    except OSError as error:
        say(f"Setting up the environment failed: {error}.")
    except KeyboardInterrupt:
        say("Stopped. The same command goes on where it stopped.")
        return 130
    return 2


def replace_by(command: Sequence[str]) -> int:
    """Become the program, so that signals and exit code are its own; on Windows, run it."""
    if os.name == "nt":
        return run(command)
    os.execve(command[0], list(command), _clean_variables())


def run(command: Sequence[str]) -> int:
    """Run a program of the environment in the caller's folder and return its exit code."""
    process = subprocess.Popen(list(command), env=_clean_variables())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the program got it too and stops where nothing is lost
            continue
