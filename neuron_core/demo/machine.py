"""What a report says about the computer and the libraries that made it."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from neuron_core import __version__

PACKAGES = ("torch", "warp-lang", "mitsuba", "numpy", "usd-core", "open_clip_torch", "safetensors", "OpenEXR")


def machine() -> dict[str, str]:
    """Processor, cores, memory and system in words."""
    described = {
        "processor": _processor(),
        "cores": str(_cores()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
    }
    gpu = _gpu()
    return {**described, "GPU": gpu} if gpu else described


def versions() -> dict[str, str]:
    """Of Neuron, Python and the libraries that matter."""
    found = {"neuron": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # no Linux
        pass
    return platform.processor() or platform.machine() or "unknown"


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        return os.cpu_count() or 1


def _memory() -> str:
    try:
        count = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return "unknown"
    return f"{count / 2**30:.0f} GiB"


def _gpu() -> str:
    torch = sys.modules.get("torch")  # training imported it, or nobody used a GPU
    if torch is None or not torch.cuda.is_available():
        return ""
    return str(torch.cuda.get_device_name())
