"""Files of splats and volumes, ours and others'."""

from pathlib import Path

import numpy as np

from neuron_core.foundation.wording import counted
from neuron_core.inspection.findings import Findings, box_size, byte_size
from neuron_core.splats.files import read_splats
from neuron_core.volumes.vdb_reading import read_vdb

FAINT = 1 / 255  # opacity below which viewers show nothing


def inspect_splats(path: Path) -> Findings:
    """Read and check all of a PLY or SPZ file. Raises SplatError for the first thing that is wrong."""
    splats = read_splats(path)
    low, high = splats.box()
    bounds = [[float(value) for value in corner] for corner in (low, high)]
    scales = splats.scales
    faint = int((splats.opacities < FAINT).sum()) if len(splats) else 0
    details: dict[str, object] = {
        "bytes": path.stat().st_size,
        "splats": len(splats),
        "degree": splats.degree,
        "encoding": splats.encoding,
        "antialiased": splats.antialiased,
        "box": bounds,
        "faint": faint,
    }
    lines = [
        f"{byte_size(path.stat().st_size)}, {box_size(*bounds)} at three standard deviations",
        f"colors: {splats.encoding}, harmonics of degree {splats.degree}",
    ]
    if len(splats):
        details["scales"] = [float(scales.min()), float(np.median(scales)), float(scales.max())]
        details["opacities"] = [float(splats.opacities.min()), float(splats.opacities.max())]
        lines += [
            f"standard deviations {scales.min():.3g} to {scales.max():.3g}, median {np.median(scales):.3g}",
            f"opacities {splats.opacities.min():.3g} to {splats.opacities.max():.3g}, "
            f"{counted(faint, 'splat')} below 1/255",
        ]
    lines.append("checked: counts, ranges, quaternions, finite values")
    return Findings("splats", f"{counted(len(splats), 'Gaussian splat')}", lines, details)


def inspect_volume(path: Path) -> Findings:
    """Read all grids of an OpenVDB file. Raises VoxelError for the first thing that is wrong."""
    lines = [byte_size(path.stat().st_size)]
    grids: list[dict[str, object]] = []
    for grid in read_vdb(path):
        origin = np.array(grid.translation)
        low, high = (
            origin + (corner + side) * grid.voxel_size
            for corner, side in ((grid.voxels.min(axis=0), -0.5), (grid.voxels.max(axis=0), 0.5))
        )
        kind = ("half" if grid.half else "float") + ("" if grid.values.ndim == 1 else "3")
        lines.append(
            f"{grid.name}: {kind}, {len(grid):,} active voxels of {grid.voxel_size:.4g}, "
            f"{box_size(low.tolist(), high.tolist())}, {grid.values.min():.4g} to {grid.values.max():.4g}"
        )
        grids.append(
            {
                "name": grid.name,
                "type": kind,
                "voxels": len(grid),
                "voxel_size": grid.voxel_size,
                "box": [low.tolist(), high.tolist()],
            }
        )
    return Findings("volume", f"OpenVDB volume of {counted(len(grids), 'grid')}", lines, {"grids": grids})
