"""How much an environment takes, and whether there is that much."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from .problems import EnvironmentProblem

SMALL_TORCH = "https://download.pytorch.org/whl/cpu"
# GB of an environment, and of what pip downloads into the folder for temporary files on the way. With CUDA
# measured (7.2 and 3.0, and a little to spare), without it reckoned from the sizes of packages.
ROOM = (3.0, 1.5)
ROOM_WITH_CUDA = (7.5, 3.5)


def require_room(environment: Path) -> None:
    """Refuse before gigabytes are downloaded that will not fit. Raises EnvironmentProblem."""
    room = ROOM_WITH_CUDA if brings_cuda() else ROOM
    smaller = f" NEURON_TORCH_INDEX={SMALL_TORCH} needs about {sum(ROOM):.1f} GB." if brings_cuda() else ""
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


def brings_cuda() -> bool:
    """Whether torch is the default build for Linux: not one of a chosen index or of a folder of wheels."""
    chosen = (os.environ.get(name, "").strip() for name in ("NEURON_TORCH_INDEX", "PIP_NO_INDEX"))
    return sys.platform.startswith("linux") and not any(chosen)


def size_notice() -> str:
    """What a person should know before a long download."""
    index = os.environ.get("NEURON_TORCH_INDEX", "").strip()
    if index:
        return f"torch comes from {index}. This takes a few minutes."
    if os.environ.get("PIP_NO_INDEX", "").strip():
        return "Everything comes from the folder of wheels. This takes a few minutes."
    if brings_cuda():
        return (
            "torch brings its CUDA libraries: several GB, a few minutes on a fast line. Without an NVIDIA "
            f"GPU set NEURON_TORCH_INDEX={SMALL_TORCH} for a small build instead."
        )
    return "About 1 GB, a few minutes on a fast line."
