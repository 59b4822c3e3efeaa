"""Splats as point attributes with the names that Houdini's splat tools use, in a `.npz` file."""

import io
from pathlib import Path

import numpy as np

from neuron_core.foundation.files import write_bytes
from neuron_core.splats.cloud import SplatError, Splats


def write_points(path: Path, splats: Splats) -> None:
    """Write P, Cd, scale, orient and restorient (x y z w), GS_Alpha and GS_SPH_R/G/B [N, K].

    All are float32. `encoding` and `degree` say what the numbers are. Raises SplatError for none.
    """
    if not len(splats):
        raise SplatError(f"There are no splats to write to {path}.")
    stream = io.BytesIO()
    arrays = {
        **point_attributes(splats),
        "encoding": np.array(splats.encoding),
        "degree": np.array(splats.degree),
    }
    np.savez(stream, **arrays)  # type: ignore[arg-type]  # its first keyword is a flag
    write_bytes(path, stream.getvalue())


def point_attributes(splats: Splats) -> dict[str, np.ndarray]:
    """By name, each with a row for each splat."""
    orient = np.ascontiguousarray(splats.rotations[:, [1, 2, 3, 0]])
    return {
        "P": splats.positions,
        "Cd": splats.base_colors(),
        "scale": splats.scales,
        "orient": orient,
        "restorient": orient,
        "GS_Alpha": splats.opacities,
        **{f"GS_SPH_{letter}": splats.harmonics[:, :, index] for index, letter in enumerate("RGB")},
    }
