"""Tensors in safetensors files: whole or absent, and errors that name them."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import replacing

Tensors = Mapping[str, Tensor]
AGAIN = "Delete it and train again."


class RunError(NeuronError):
    """A training run that is missing, unfinished or damaged."""

    kind = "run"


def save_tensors(path: Path, tensors: Tensors, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors of any device; those that share memory are written twice."""
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with replacing(path) as temporary:
        save_file(copies, temporary, metadata=None if metadata is None else dict(metadata))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, on the CPU, and its metadata. Raises RunError."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is missing or damaged: {error}.", AGAIN) from error


def require_readable(path: Path) -> None:
    """Raise RunError unless a file of tensors is there and as long as it says."""
    try:
        with safe_open(path, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is missing or damaged: {error}.", AGAIN) from error


def require_fitting(found: Tensors, wanted: Tensors, where: str) -> None:
    """Raise RunError, naming a tensor, unless `found` has the names, shapes and types of `wanted`."""
    missing = sorted(wanted.keys() - found.keys())
    unknown = sorted(found.keys() - wanted.keys())
    if missing or unknown:
        problem = f"{missing[0]} is missing" if missing else f"{unknown[0]} is unknown"
        raise RunError(f"{where} does not fit: {problem}.", AGAIN)
    for name, value in wanted.items():
        if found[name].shape != value.shape or found[name].dtype != value.dtype:
            raise RunError(
                f"{where} does not fit: {name} is {_kind(found[name])}, not {_kind(value)}.", AGAIN
            )


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
