"""Which variant of Mitsuba runs here: asked once in another process, then remembered.

An old libLLVM does not raise but aborts the process, so a child process tries it.
"""

import ctypes.util
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.foundation.files import read_json, write_json
from neuron_core.foundation.progress import Reporter

NAMES = {"cuda": "cuda_ad_rgb", "llvm": "llvm_ad_rgb", "scalar": "scalar_rgb"}
LIBRARY_VARIABLE = "DRJIT_LIBLLVM_PATH"
CACHE_VARIABLE = "NEURON_CACHE_DIR"
PATIENCE = 120.0  # seconds for one try
MOST_LIBRARIES = 3  # that are tried, the newest first
LINUX_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
)
MAC_FOLDERS = ("/opt/homebrew/opt/llvm/lib", "/usr/local/opt/llvm/lib")
WINDOWS_FOLDERS = ("C:/Program Files/LLVM/bin",)


@dataclass(frozen=True, slots=True)
class Choice:
    """A variant that runs, and the libLLVM to name to it (empty: it finds one itself)."""

    variant: str
    library: str = ""


def choose_variant(wanted: str, report: Reporter) -> str:
    """The full name of the variant to set, ready to be used in this process.

    "auto" takes the first of cuda, llvm, scalar that renders a small scene in a process of its own.
    Raises NeuronError if a variant that was asked for by name does not run.
    """
    if wanted == "scalar":
        return NAMES["scalar"]
    choice = _remembered(wanted) or _probe(wanted, report)
    if choice is None:
        raise NeuronError(
            f"Mitsuba's variant {wanted} does not run on this machine.",
            how_to_install() if wanted == "llvm" else "Use --variant auto.",
        )
    if wanted == "auto" and choice.variant == NAMES["scalar"]:
        report.warn(
            "Rendering with Mitsuba's scalar variant: no libLLVM that works was found. "
            "With one, pictures of 128 x 128 take about half the time, larger ones an eighth. "
            + how_to_install()
        )
    if choice.library:
        os.environ[LIBRARY_VARIABLE] = choice.library
    return choice.variant


def how_to_install() -> str:
    """How libLLVM comes onto this kind of machine."""
    if sys.platform == "darwin":
        return "Install it with: brew install llvm"
    if sys.platform == "win32":
        return "Install LLVM from https://llvm.org (LLVM-C.dll, version 16 or newer)."
    return "Install it with: sudo apt install libllvm19 (Debian, Ubuntu), or LLVM 16 or newer of your system."


def libraries() -> list[str]:
    """Installed libLLVM files, the newest version first. One that the user names comes alone."""
    if named := os.environ.get(LIBRARY_VARIABLE):
        return [named]
    if sys.platform == "darwin":
        found = _globbed(MAC_FOLDERS, "libLLVM*.dylib")
    elif sys.platform == "win32":
        found = _globbed(WINDOWS_FOLDERS, "LLVM-C.dll")
    else:
        llvm_folders = [str(folder / "lib") for folder in Path("/usr/lib").glob("llvm-*")]
        folders = (*LINUX_FOLDERS, *llvm_folders, f"{sys.prefix}/lib")
        found = _globbed(folders, "libLLVM*.so*")
    by_file = {os.path.realpath(path): path for path in sorted(found)}
    return sorted(by_file.values(), key=lambda path: (library_version(path), path), reverse=True)


def library_version(path: str) -> tuple[int, ...]:
    """The numbers in the name of a libLLVM, as in libLLVM-15.so.1 or libLLVM.so.19.1."""
    real = os.path.basename(os.path.realpath(path))
    name = os.path.basename(path)
    numbers = re.findall(r"\d+", real) or re.findall(r"\d+", name) or re.findall(r"llvm-(\d+)", path)
    return tuple(int(number) for number in numbers)


def cache_folder() -> Path:
    """Where answers are remembered for this user."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "neuron" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/neuron"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neuron"


def render_probe(variant: str) -> None:
    """Render what a dataset renders, tiny: materials, grids, an environment and AOVs."""
    import numpy as np

    from neuron_core.cameras.camera import Camera, look_at
    from neuron_core.geometry.mesh import Geometry, MeshPart
    from neuron_core.groundtruth.mitsuba.renderer import MitsubaRenderer
    from neuron_core.lights.studio import studio_environment
    from neuron_core.materials.builtin import builtin_materials

    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], np.int32)
    normals = (corners / np.sqrt(3.0)).astype(np.float32)
    part = MeshPart("probe", corners, faces, normals, True)
    renderer = MitsubaRenderer(variant, resolution=16)
    renderer.prepare(Geometry((part,), "probe", (0.0, 0.0, 0.0), ()), studio_environment(32, 16))
    camera = Camera("probe", 16, 16, 16.0, 16.0, 8.0, 8.0, look_at((0, 1, 6), (0, 0, 0)))
    covered = renderer.gbuffer(camera).coverage.mean()
    for material in list(builtin_materials().values())[:3]:
        pixels = renderer.beauty(material, camera, 4, 0)
        if not (np.isfinite(pixels).all() and pixels[..., 3].mean() > 0.5 * covered > 0):
            raise SystemExit(f"{variant} renders a wrong picture")


def _globbed(folders: Sequence[str], pattern: str) -> list[str]:
    return [str(file) for folder in folders for file in Path(folder).glob(pattern) if file.is_file()]


def _probe(wanted: str, report: Reporter) -> Choice | None:
    report.progress(0.0, "prepare", "Looking for the fastest renderer that runs here (once)")
    choice = next((choice for choice in _candidates(wanted) if _runs(choice)), None)
    if choice is None and wanted == "auto":
        choice = Choice(NAMES["scalar"])
    _remember(wanted, choice)
    return choice


def _candidates(wanted: str) -> list[Choice]:
    cuda = [Choice(NAMES["cuda"])] if ctypes.util.find_library("cuda") or os.name == "nt" else []
    usable = [path for path in libraries() if not library_version(path) or library_version(path)[0] > 15]
    llvm = [Choice(NAMES["llvm"], path) for path in usable[:MOST_LIBRARIES]]
    return {"auto": cuda + llvm, "cuda": cuda, "llvm": llvm}[wanted]


def _runs(choice: Choice) -> bool:
    code = (
        f"from neuron_core.groundtruth.mitsuba.variants import render_probe; render_probe({choice.variant!r})"
    )
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    if choice.library:
        environment[LIBRARY_VARIABLE] = choice.library
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _memory(wanted: str) -> Path:
    """The file of an answer: another Mitsuba, library or driver asks again."""
    known = [wanted, importlib.metadata.version("mitsuba"), sys.version, sys.executable]
    known += [f"{path} {os.path.realpath(path)}" for path in libraries()]
    known.append(str(ctypes.util.find_library("cuda")))
    digest = hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]
    return cache_folder() / f"mitsuba-{digest}.json"


def _remembered(wanted: str) -> Choice | None:
    file = _memory(wanted)
    try:
        content = read_json(file) if file.is_file() else None
    except FileError:
        return None
    if not isinstance(content, dict) or content.get("variant") not in NAMES.values():
        return None
    return Choice(str(content["variant"]), str(content.get("library", "")))


def _remember(wanted: str, choice: Choice | None) -> None:
    if choice is None:
        return
    try:
        write_json(_memory(wanted), {"variant": choice.variant, "library": choice.library})
    except FileError:
        return  # a machine without a home still renders; it only asks again
