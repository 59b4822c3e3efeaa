"""Shaders that were never trained, without torch."""

import numpy as np

from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.voxels.shading import Shader

HIDDEN = 16


def small_shader(seed: int = 0, hidden: int = HIDDEN, gate: float = -30.0) -> Shader:
    """A smooth shader with a second lobe that a mirror replaces; everything mirrors if `gate` is large."""
    random = np.random.default_rng(seed)
    directions = HashGridSpec(2, 2, 10, 3, 6)
    inputs = directions.width + 3 + 1 + 9

    def weights(rows: int, columns: int) -> np.ndarray:
        return (random.normal(size=(rows, columns)) / np.sqrt(columns)).astype(np.float32)

    layers = {
        "from_code": weights(hidden, 8),
        "from_geometry": weights(hidden, inputs),
        "hidden": weights(hidden, hidden),
        "lobes": weights(6, hidden),
        "tints": weights(6, 8),
        "mirror": 0.1 * weights(4, 8),
    }
    biases = {name: weights(len(layers[name]), 4)[:, 0] for name in layers if name != "from_geometry"}
    biases["mirror"][0] = gate
    tables = (0.3 * random.normal(size=directions.table_shape)).astype(np.float32)
    return Shader(directions, tables, layers, biases)


def perfect_mirror(seed: int = 0) -> Shader:
    """Shows what reflected rays meet and, where that is nothing, its second lobe: it has no first."""
    shader = small_shader(seed, gate=30.0)
    shader.weights["mirror"][:] = 0.0
    shader.biases["mirror"][1:] = np.log(np.e - 1.0)  # a tint of 1
    shader.weights["lobes"][:3] = 0.0
    shader.biases["lobes"][:3] = -30.0
    return shader
