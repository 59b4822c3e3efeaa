"""Where a process trains: its device, and its place among the processes of one run."""

from dataclasses import dataclass

import torch


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
