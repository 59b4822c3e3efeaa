"""One color for each look, for hosts that only draw stand-ins."""

import numpy as np

from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.voxels.baked import Baked

MOST_SAMPLES = 4096  # spread evenly over the surface
SURFACE = 0.05  # optical depth of a voxel from which it counts

Color = tuple[float, float, float]


def mean_colors(baked: Baked) -> dict[str, Color]:
    """The mean linear color of every look's surface, each point seen from straight ahead."""
    nvf = baked.nvf
    density = nvf.density.reshape(-1)[nvf.active]
    seen = np.flatnonzero(density * nvf.voxel_size > SURFACE)
    if not len(seen):
        return {}
    chosen = seen[np.linspace(0, len(seen) - 1, min(MOST_SAMPLES, len(seen))).astype(np.int64)]
    normals = np.ascontiguousarray(nvf.normals.reshape(-1, 3)[nvf.active[chosen]], np.float32)
    found = {}
    for slug, codes in baked.looks.items():
        colors = baked.shader.evaluate(codes.decoded()[chosen], normals, -normals)
        if baked.shader.encoding == "srgb":
            colors = srgb_to_linear(colors.clip(0.0, 1.0))
        red, green, blue = (float(np.float32(value)) for value in colors.mean(axis=0).clip(0.0, 1.0))
        found[slug] = (red, green, blue)
    return found
