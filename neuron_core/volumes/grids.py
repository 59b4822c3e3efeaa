"""Grids of baked assets that `neuron grid` writes, and their values between the samples.

Needs numpy only. Positions are in the asset's own frame: meters, Y up.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.foundation.files import write_bytes
from neuron_core.kernels.baked.layout import CHANNELS

FORMAT = 1
MOST_CELLS = 1 << 30
_KEYS = (
    "format",
    "digest",
    "look",
    "step",
    "origin",
    "spacing",
    "voxels",
    "density",
    "normal",
    "color",
    "code",
)
BLOCK = 1 << 16  # points at a time
CORNERS = tuple(np.ndindex(2, 2, 2))


class GridError(NeuronError):
    """A file that holds no grid."""

    kind = "grid"


@dataclass(frozen=True, slots=True, eq=False)
class SampleGrid:
    """V samples with density; everywhere else there is none."""

    digest: str  # of the asset
    look: str
    step: int  # samples of the asset per sample here
    origin: np.ndarray  # [3] where sample (0, 0, 0) is
    spacing: float
    voxels: np.ndarray  # [V, 3] int64, not negative
    density: np.ndarray  # [V] 1 / meter
    normal: np.ndarray  # [V, 3]
    color: np.ndarray  # [V, 3] linear Rec. 709
    code: np.ndarray  # [V, 8]
    rows: np.ndarray  # [X, Y, Z] int32: which sample is there, -1 for none


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """At P points, float32. Where there is no density all is 0."""

    density: np.ndarray  # [P]
    normal: np.ndarray  # [P, 3] unit or 0
    color: np.ndarray  # [P, 3]
    code: np.ndarray  # [P, 8]


def write_grid(
    path: Path,
    *,
    digest: str,
    look: str,
    step: int,
    origin: np.ndarray,
    spacing: float,
    voxels: np.ndarray,
    density: np.ndarray,
    normal: np.ndarray,
    color: np.ndarray,
    code: np.ndarray,
) -> None:
    """Write what `SampleGrid` holds, whole or not at all; all but places and densities as half floats."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        format=np.array(FORMAT),
        digest=np.array(digest),
        look=np.array(look),
        step=np.array(step),
        origin=np.asarray(origin, np.float64),
        spacing=np.array(spacing),
        voxels=voxels.astype(np.int16),
        density=density.astype(np.float32),
        normal=normal.astype(np.float16),
        color=color.astype(np.float16),
        code=code.astype(np.float16),
    )
    write_bytes(path, stream.getvalue())


def read_grid(path: Path) -> SampleGrid:
    """Read and check a file. Raises GridError or FileError."""
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {key: file[key] for key in _KEYS if key in file.files}
    except FileNotFoundError as error:
        raise FileError(f"There is no file {path}.", "Make it with: neuron grid ASSET OUT.npz") from error
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise GridError(f"{path} is not a grid: {error}.", "Make it again with: neuron grid") from error
    if set(arrays) != set(_KEYS) or arrays["format"] != FORMAT:
        raise GridError(f"{path} is not a grid of this version.", "Make it again with: neuron grid")
    return _checked(path, arrays)


def _checked(path: Path, arrays: dict[str, np.ndarray]) -> SampleGrid:
    voxels = arrays["voxels"].astype(np.int64)
    shapes = {"voxels": (3,), "density": (), "normal": (3,), "color": (3,), "code": (CHANNELS,)}
    sound = all(arrays[key].shape == (len(voxels), *rest) for key, rest in shapes.items())
    finite = sound and all(np.isfinite(arrays[key].astype(np.float32)).all() for key in shapes)
    if not finite or not len(voxels) or voxels.min() < 0 or not float(arrays["spacing"]) > 0:
        raise GridError(f"{path} is a damaged grid.", "Make it again with: neuron grid")
    shape = tuple(int(size) for size in voxels.max(axis=0) + 1)
    if np.prod(np.array(shape, np.float64)) > MOST_CELLS:
        raise GridError(f"{path} would be {shape} samples large.", "Make it again with less --resolution.")
    rows = np.full(shape, -1, np.int32)
    rows[tuple(voxels.T)] = np.arange(len(voxels), dtype=np.int32)
    return SampleGrid(
        digest=str(arrays["digest"]),
        look=str(arrays["look"]),
        step=int(arrays["step"]),
        origin=arrays["origin"].astype(np.float64),
        spacing=float(arrays["spacing"]),
        voxels=voxels,
        rows=rows,
        **{key: arrays[key].astype(np.float32) for key in ("density", "normal", "color", "code")},
    )


def sample(grid: SampleGrid, positions: np.ndarray) -> Values:
    """Values at positions [P, 3]: density is trilinear, the rest the mean of samples that have density,
    weighted by it. Positions that are not finite are outside."""
    blocks = [
        _sample(grid, positions[first : first + BLOCK]) for first in range(0, max(len(positions), 1), BLOCK)
    ]
    return Values(
        density=np.concatenate([block.density for block in blocks]),
        normal=np.concatenate([block.normal for block in blocks]),
        color=np.concatenate([block.color for block in blocks]),
        code=np.concatenate([block.code for block in blocks]),
    )


def _sample(grid: SampleGrid, positions: np.ndarray) -> Values:
    places = (np.asarray(positions, np.float64).reshape(-1, 3) - grid.origin) / grid.spacing
    limit = np.array(grid.rows.shape)
    inside = np.asarray(np.isfinite(places).all(axis=1))
    inside[inside] = ((places[inside] > -1) & (places[inside] < limit)).all(axis=1)
    places = np.where(inside[:, None], places, -1.0)
    cell = np.floor(places).astype(np.int64)
    rows = np.stack([_rows(grid, cell + corner) for corner in CORNERS])  # [8, P]
    near = np.asarray((rows >= 0).any(axis=0))
    found = _between(grid, rows[:, near], (places - cell)[near])
    return Values(*(_spread(values, near) for values in found))


def _rows(grid: SampleGrid, at: np.ndarray) -> np.ndarray:
    """Which sample is at each place [P, 3], -1 for none."""
    limit = np.array(grid.rows.shape)
    there = ((at >= 0) & (at < limit)).all(axis=1)
    x, y, z = np.clip(at, 0, limit - 1).T
    return np.where(there, grid.rows[x, y, z], -1)


def _between(grid: SampleGrid, rows: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, ...]:
    """Density, normal, color and code of points whose corners are samples `rows` [8, P]."""
    density = np.zeros(len(part))
    sums = [np.zeros((len(part), values.shape[1])) for values in (grid.normal, grid.color, grid.code)]
    for row, corner in zip(rows, CORNERS, strict=True):
        weight = np.where(row >= 0, np.prod(np.where(corner, part, 1 - part), axis=1), 0.0)
        weight = weight * grid.density[row]
        density += weight
        for total, values in zip(sums, (grid.normal, grid.color, grid.code), strict=True):
            total += weight[:, None] * values[row]
    normal, color, code = sums
    whole = np.maximum(density, 1e-30)[:, None]
    lengths = np.linalg.norm(normal, axis=1, keepdims=True)
    unit = np.where(lengths > 0, normal / np.maximum(lengths, 1e-30), 0.0)
    return density, unit, color / whole, code / whole


def _spread(values: np.ndarray, near: np.ndarray) -> np.ndarray:
    """To all points, 0 where nothing is near."""
    result = np.zeros((len(near), *values.shape[1:]), np.float32)
    result[near] = values
    return result
