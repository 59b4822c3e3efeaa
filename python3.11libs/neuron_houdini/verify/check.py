"""A check: what it gets, and what can become of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from neuron_houdini.errors import HoudiniError

State = Literal["ok", "failed", "skipped"]


class Problem(HoudiniError):
    """What a check found to be wrong."""


class Skipped(HoudiniError):
    """Why a check cannot say anything here."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a check."""

    name: str
    state: State
    seconds: float
    text: str


@dataclass(slots=True)
class Work:
    """Where checks write, and what earlier ones left for later ones."""

    folder: Path
    left: dict[str, Any] = field(default_factory=dict)

    def take(self, name: str) -> Any:
        """What an earlier check made. Raises Skipped if it did not."""
        if name not in self.left:
            raise Skipped(f"needs the {name} that an earlier check makes")
        return self.left[name]


Check = Callable[[Work], str]
