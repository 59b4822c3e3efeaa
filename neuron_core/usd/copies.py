"""An asset in a shot, once, or as a grid of instances on the ground, like pieces on a board."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pxr import Usd, UsdGeom

from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.values import ValueNotationError, Vec3
from neuron_core.usd import adding, changing, published
from neuron_core.usd.adding import MOST_COPIES
from neuron_core.usd.changing import Change


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
        """The places row by row, centerd on where `base` stands; looks in turn, as on a chess board."""
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


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an asset goes in the tree of prims, and how."""

    name: str = ""  # of the prim; like the asset, numbered where that is taken
    under: str = "/World"
    grid: Grid | None = None
    editable: bool = False  # no native instance, so that what is inside can be changed


def add_copies(
    stage: Usd.Stage,
    source: Path,
    wanted: Placement,
    base: Change,
    looks: Sequence[str],
) -> list[str]:
    """Put an asset into a stage, once or on a grid; the paths of its prims.

    Looks are taken in turn. Raises SceneError for a path that is taken or an asset that cannot be added.
    """
    name = adding.prim_name(wanted.name or _plain_name(source))
    grid = wanted.grid
    if grid is None:
        named = f"{wanted.under.rstrip('/')}/{name}"
        paths = [named if wanted.name else adding.free_path(stage, wanted.under, name)]
        changes = [replace(base, look=looks[0] if looks else None)]
    else:
        group = adding.free_path(stage, wanted.under, name)
        paths = [f"{group}/{name}_{number:0{grid.digits}d}" for number in range(grid.count)]
        changes = grid.changes(base, looks, str(UsdGeom.GetStageUpAxis(stage)))
    adding.add(stage, source, paths[0], instance=not wanted.editable)
    for change in reversed(changes[: max(len(looks), 1)]):  # so that every look is known
        changing.change(stage, paths[0], change)
    stop_if_requested()
    adding.repeat(stage, paths[0], dict(zip(paths[1:], changes[1:], strict=True)))
    return paths


def _plain_name(source: Path) -> str:
    home = published.home_of(source)
    return home.name if home is not None else source.stem


def parse_grid(text: str, spacing: float) -> Grid | None:
    """`8x8`; None for an empty text. Raises ValueNotationError."""
    if not text.strip():
        return None
    match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", text.strip(), re.ASCII)
    if match is None or not (int(match[1]) and int(match[2])):
        raise ValueNotationError(f"{text!r} is not a grid.", "Write columns and rows, as 8x8.")
    grid = Grid(int(match[1]), int(match[2]), spacing)
    if grid.count > MOST_COPIES:
        raise ValueNotationError(f"A grid of {grid.count:,} is too large.", f"Take at most {MOST_COPIES:,}.")
    if not 0 < abs(spacing) < float("inf"):
        raise ValueNotationError(f"A spacing of {spacing} puts all in one place.", "Give a distance.")
    return grid
