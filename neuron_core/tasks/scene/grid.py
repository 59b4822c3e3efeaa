"""Many instances on the ground, like pieces on a board."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from neuron_core.foundation.values import ValueNotationError
from neuron_core.usd.adding import MOST_COPIES
from neuron_core.usd.changing import Change, Vec3


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns along x, rows along the other axis of the ground."""

    columns: int
    rows: int
    spacing: float  # units of the stage

    @property
    def count(self) -> int:
        """How many places it has."""
        return self.columns * self.rows

    @property
    def digits(self) -> int:
        """Of the largest number of a place."""
        return len(str(self.count - 1))

    def changes(self, base: Change, looks: Sequence[str], up: str) -> list[Change]:
        """The places row by row, centred on where `base` stands; looks in turn, as on a chess board."""
        found = []
        for row in range(self.rows):
            for column in range(self.columns):
                look = looks[(row + column) % len(looks)] if looks else None
                found.append(replace(base, at=self._place(base.at, column, row, up), look=look))
        return found

    def _place(self, center: Vec3 | None, column: int, row: int, up: str) -> Vec3:
        x, y, z = center or (0.0, 0.0, 0.0)
        right = (column - (self.columns - 1) / 2) * self.spacing
        near = (row - (self.rows - 1) / 2) * self.spacing
        return (x + right, y - near, z) if up == "Z" else (x + right, y, z + near)


def parse_grid(text: str, spacing: float) -> Grid | None:
    """`8x8`; None for an empty text. Raises ValueNotationError."""
    if not text.strip():
        return None
    match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", text.strip(), re.ASCII)
    if match is None or not (int(match[1]) and int(match[2])):
        raise ValueNotationError(f"{text!r} is no grid.", "Write columns and rows, as 8x8.")
    grid = Grid(int(match[1]), int(match[2]), spacing)
    if grid.count > MOST_COPIES:
        raise ValueNotationError(f"A grid of {grid.count:,} is too large.", f"Take at most {MOST_COPIES:,}.")
    if not 0 < abs(spacing) < float("inf"):
        raise ValueNotationError(f"A spacing of {spacing} puts all in one place.", "Give a distance.")
    return grid
