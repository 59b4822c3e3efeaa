"""Several processes that train one model: each takes its share of every step.

`torchrun` starts them and says in environment variables who is who. They meet once an update, in
one all-reduce of all gradients, which also carries what they have to agree on: whether to stop, to
save, and what time it is. A single process never communicates.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.interrupts import Stopped

T = TypeVar("T")
TIMEOUT = 600.0  # seconds that a process waits for the others; they may be validating
GRACE = 3.0  # seconds in which processes that still run say so, once one is lost


class DistributedError(NeuronError):
    """Processes that cannot train together."""

    kind = "distributed"


@dataclass(frozen=True, slots=True)
class Placement:
    """One process of a run. Rank 0 alone writes files and reports."""

    device: torch.device
    rank: int = 0
    ranks: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0


@dataclass(frozen=True, slots=True)
class Signals:
    """What the processes of a run agreed on."""

    stop: bool = False  # any of them was asked to stop
    save: bool = False
    diverged: bool = False  # any of them
    seconds: float = 0.0  # rank 0's


@contextmanager
def joined(device: str, timeout: float = TIMEOUT) -> Iterator[Placement]:
    """This process's placement: from the variables of `torchrun`, or a single one.

    `device` is "cpu" or "cuda". Raises DistributedError if the others cannot be reached, and where this
    process was only asked to stop because another one is lost, as torchrun does.
    """
    rank, ranks, local = (_number(name, default) for name, default in _VARIABLES)
    if ranks == 1:
        yield Placement(torch.device(device))
        return
    place = torch.device("cuda", local) if device == "cuda" else torch.device("cpu")
    if place.type == "cuda":
        torch.cuda.set_device(place)
    placement = Placement(place, rank, ranks)
    _join(placement, timeout)
    try:
        yield placement
    except Stopped:
        missing = missing_of(placement, GRACE)
        if missing:
            raise _loss(missing, ranks) from None
        raise
    finally:
        dist.destroy_process_group()


_VARIABLES = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or (name == "WORLD_SIZE" and text == "0"):
        raise DistributedError(f"{name} is {text!r}, not a count.", "Start the processes with torchrun.")
    return int(text)


def _join(placement: Placement, timeout: float) -> None:
    backend = "nccl" if placement.device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    except (RuntimeError, ValueError, OSError) as error:
        raise DistributedError(
            f"Process {placement.rank} of {placement.ranks} could not reach the others: {error}.",
            "Check that torchrun started all of them and that they see each other's host.",
        ) from error


class Group:
    """What the processes of a placement do together. With one process nothing happens."""

    def __init__(self, placement: Placement, grace: float = GRACE) -> None:
        self.placement = placement
        self.grace = grace
        self._signals = torch.zeros(len(Signals.__slots__), device=placement.device)

    @property
    def alone(self) -> bool:
        """Whether there is only one process."""
        return self.placement.ranks == 1

    def mean(self, gradients: Sequence[Tensor], wish: Signals) -> None:
        """Replace gradients, in place, by their mean over all processes, and hand in what this one wishes."""
        if self.alone:
            return
        seconds = wish.seconds if self.placement.first else 0.0
        own = torch.tensor([wish.stop, wish.save, wish.diverged, seconds], device=self.placement.device)
        flat = torch.cat([gradient.reshape(-1).float() for gradient in gradients] + [own.float()])
        self._together(lambda: dist.all_reduce(flat))
        *means, self._signals = flat.split([gradient.numel() for gradient in gradients] + [len(own)])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.div_(self.placement.ranks).view_as(gradient))

    def agreed(self) -> Signals:
        """What was handed in at the last `mean`, by all. Waits for the device."""
        stop, save, diverged, seconds = self._signals.tolist()
        return Signals(stop > 0, save > 0, diverged > 0, seconds)

    def from_first(self, value: T) -> T:
        """Rank 0's value, on all of them. It must be plain data."""
        if self.alone:
            return value
        box = [value]
        self._together(lambda: dist.broadcast_object_list(box, src=0))
        return box[0]

    def require_same(self, checksums: Mapping[str, int]) -> None:
        """Raise DistributedError, on all processes, if they do not hold the same."""
        if self.alone:
            return
        every: list[Mapping[str, int]] = [{}] * self.placement.ranks
        self._together(lambda: dist.all_gather_object(every, dict(checksums)))
        apart = [name for name in every[0] if any(other.get(name) != every[0][name] for other in every)]
        if apart:
            raise DistributedError(
                f"The processes of this run hold different values of {apart[0]}.",
                "State beside the weights must not depend on a process's share of the batch.",
            )

    def _together(self, call: Callable[[], object]) -> None:
        try:
            call()
        except RuntimeError as error:
            raise self._lost(error) from error

    def _lost(self, error: RuntimeError) -> DistributedError:
        missing = missing_of(self.placement, self.grace)
        found = {0} if missing is None else missing  # rank 0 keeps the list
        return _loss(found, self.placement.ranks, f" ({str(error).splitlines()[0][:200]})")


def missing_of(placement: Placement, grace: float) -> set[int] | None:
    """Which processes no longer answer: those that still run sign a list; None if there is no list."""
    missing = set(range(placement.ranks)) - {placement.rank}
    try:
        store = dist.distributed_c10d._get_default_store()
        store.set(f"neuron/alive/{placement.rank}", "1")
        ends = time.monotonic() + grace
        while missing and time.monotonic() < ends:
            missing -= {rank for rank in missing if store.check([f"neuron/alive/{rank}"])}
            time.sleep(0.05)
    except RuntimeError:
        return None
    return missing


def _loss(missing: set[int], ranks: int, why: str = "") -> DistributedError:
    named = ", ".join(str(rank) for rank in sorted(missing)) or "one"
    return DistributedError(
        f"Process {named} of {ranks} stopped answering.",
        f"See its own messages. The same command resumes from the last checkpoint.{why}",
    )
