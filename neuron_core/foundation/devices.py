"""Where to compute: what a person asks for, and what is there. Imports a library only to ask it."""

from collections.abc import Callable
from typing import Literal

from neuron_core.foundation.errors import NeuronError

Device = Literal["cpu", "cuda"]


def torch_device(name: str) -> Device:
    """The device that torch is to use; "auto" is CUDA where it works. Raises NeuronError."""

    def has_cuda() -> bool:
        import torch

        return bool(torch.cuda.is_available())

    return pick(name, has_cuda)


def warp_device(name: str) -> Device:
    """The device that Warp is to use; "auto" is CUDA where it works. Raises NeuronError."""

    def has_cuda() -> bool:
        import warp

        return bool(warp.is_cuda_available())

    return pick(name, has_cuda)


def pick(name: str, has_cuda: Callable[[], bool]) -> Device:
    """The device of that name: "cpu", "cuda", or "auto" for CUDA where it works.

    Raises NeuronError for other names, and for "cuda" where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise NeuronError(f"Unknown device {name!r}.", "Use auto, cpu or cuda.")
    if name == "cpu":
        return "cpu"
    if has_cuda():
        return "cuda"
    if name == "cuda":
        raise NeuronError("There is no usable CUDA device.", "Use --device cpu, or check the driver.")
    return "cpu"
