"""The shader of a field without torch: what `fields.shading.Shader` computes, from stored tensors.

Letters in shapes: R rays, H hidden units, C code channels (8). `Shader.evaluate` says what it is;
pictures are shaded by the kernel that `network_of` prepares. Tests compare all three.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.foundation.colors import Encoding
from neuron_core.kernels.baked.layout import CHANNELS
from neuron_core.kernels.baked.network import LOBES, TINTS, Network, octahedron, pack
from neuron_core.kernels.training import hashgrid
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.voxels.nvf import LookCodes, VoxelError

FINEST_MAP = 512  # cells along a side of the map of directions: 17 MB
BLOCK = 1 << 14  # rays whose hidden units stay in cache
MIN_MIRROR_GATE = 0.02  # surfaces that are less of a mirror do not reflect a ray
PREFIX = "shader."
LAYERS = ("from_code", "from_geometry", "hidden", "lobes", "tints", "mirror")


@dataclass(frozen=True, slots=True)
class Shader:
    """Weights [out, in] and biases [out] by layer, and the table of reflected directions."""

    directions: HashGridSpec
    tables: np.ndarray  # [L, T, F] float32
    weights: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]
    encoding: Encoding = "linear"

    def evaluate(
        self,
        codes: np.ndarray,
        normals: np.ndarray,
        rays_d: np.ndarray,
        mirrored: np.ndarray | None = None,
    ) -> np.ndarray:
        """Colors [R, 3] of codes [R, 8] on surfaces with unit normals [R, 3], along unit rays [R, 3].

        `mirrored` [R, 4] is the color that the reflected ray meets, and its opacity.
        """
        colors = np.empty((len(codes), 3), np.float32)
        for first in range(0, len(codes), BLOCK):
            part = slice(first, first + BLOCK)
            met = None if mirrored is None else mirrored[part]
            colors[part] = self._block(codes[part], normals[part], rays_d[part], met)
        return colors

    def gates(self, codes: np.ndarray) -> np.ndarray:
        """How much of a mirror surfaces with codes [R, 8] are, [R] in [0, 1]."""
        values = codes @ self.weights["mirror"][0] + self.biases["mirror"][0]
        gates: np.ndarray = 1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0)))
        return gates

    def _block(
        self, codes: np.ndarray, normals: np.ndarray, rays_d: np.ndarray, mirrored: np.ndarray | None
    ) -> np.ndarray:
        facing = (rays_d * normals).sum(-1, keepdims=True)
        reflected = (rays_d - 2.0 * facing * normals).astype(np.float32)
        encoded = np.empty((len(codes), self.directions.width), np.float32)
        hashgrid.encode(self.directions, np.ascontiguousarray(reflected * 0.5 + 0.5), self.tables, encoded)
        inputs = np.concatenate([encoded, reflected, -facing, harmonics(normals)], axis=-1)
        hidden = self._layer("from_code", codes) + inputs @ self.weights["from_geometry"].T
        hidden = np.maximum(self._layer("hidden", np.maximum(hidden, 0.0)), 0.0)
        lobes = softplus(self._layer("lobes", hidden))
        lit = lobes * softplus(self._layer("tints", codes))
        colors: np.ndarray = lit[:, :3] + lit[:, 3:]
        if mirrored is None:
            return colors
        seen = softplus(self._layer("mirror", codes)[:, 1:]) * mirrored[:, :3]
        return colors + (self.gates(codes) * mirrored[:, 3])[:, None] * (seen - lit[:, 3:])

    def _layer(self, name: str, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self.weights[name].T + self.biases[name]


@dataclass(frozen=True, slots=True)
class DirectionMap:
    """What the reflected direction adds to the first layer, over the sphere, on one device."""

    cells: int
    values: Any  # [(cells + 1) ** 2 * H] int16
    scale: np.ndarray  # [H] what 1 stands for


def direction_map(shader: Shader, device: str) -> DirectionMap:
    """Look the directions up once for all pixels, as finely as the table tells them apart."""
    cells = int(np.clip(2 * shader.directions.finest_resolution, 64, FINEST_MAP))
    nodes = octahedron(cells)
    encoded = np.empty((len(nodes), shader.directions.width), np.float32)
    hashgrid.encode(shader.directions, np.ascontiguousarray(nodes * 0.5 + 0.5), shader.tables, encoded)
    inputs = np.concatenate([encoded, nodes], axis=-1)
    weights = _in_eights(shader.weights["from_geometry"][:, : inputs.shape[1]].T)
    values = inputs @ weights
    scale = np.maximum(np.abs(values).max(axis=0), 1e-20) / np.float32(32767.0)
    stored: Any = wp.array(
        np.rint(values / scale).astype(np.int16).reshape(-1), dtype=wp.int16, device=device
    )
    return DirectionMap(cells, stored, scale)


def network_of(shader: Shader, directions: DirectionMap, look: LookCodes) -> Network:
    """The shader for the stored codes of one look."""
    low, scale = look.low, (look.high - look.low) / np.float32(255.0)
    weights, biases = shader.weights, shader.biases
    geometry = weights["from_geometry"][:, shader.directions.width + 3 :].T  # facing, then harmonics
    first = [weights["from_code"].T * scale[:, None], geometry[:1], geometry[2:]]
    bias = biases["from_code"] + weights["from_code"] @ low + geometry[1]
    hidden = _in_eights(np.vstack([weights["hidden"].T, biases["hidden"]]))
    lobes = np.zeros((hidden.shape[1] + 1, LOBES), np.float32)
    lobes[: len(weights["lobes"].T), :6], lobes[-1, :6] = weights["lobes"].T, biases["lobes"]
    tints = np.zeros((len(low) + 1, TINTS), np.float32)
    for columns, name, rows in ((slice(0, 6), "tints", range(6)), (slice(8, 12), "mirror", (1, 2, 3, 0))):
        chosen = weights[name][list(rows)]
        tints[:-1, columns] = chosen.T * scale[:, None]
        tints[-1, columns] = biases[name][list(rows)] + chosen @ low
    full = np.zeros((hidden.shape[1] + 1, hidden.shape[1]), np.float32)
    full[: len(weights["hidden"])] = hidden[:-1]
    full[-1] = hidden[-1]
    flat = pack(directions.scale[None], _in_eights(np.vstack([*first, bias])), full, lobes, tints)
    device = str(directions.values.device)
    stored: Any = wp.array(flat, dtype=wp.float32, device=device)
    return Network(full.shape[1], directions.cells, directions.values, stored)


def mirror_of(shader: Shader, look: LookCodes, least: float) -> tuple[float, ...] | None:
    """How kernels tell what mirrors more than `least`: 8 weights for stored codes, a bias and a
    threshold. None if no code of the look can."""
    scale = (look.high - look.low) / np.float32(255.0)
    weights = shader.weights["mirror"][0] * scale
    bias = float(shader.biases["mirror"][0] + shader.weights["mirror"][0] @ look.low)
    threshold = float(np.log(least / (1.0 - least)))
    most = bias + 255.0 * float(np.maximum(weights, 0.0).sum())
    return (*map(float, weights), bias, threshold) if most > threshold else None


def _in_eights(rows: np.ndarray) -> np.ndarray:
    """Units without effect appended, so that their number is a multiple of 8."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8)))


def shader_from_tensors(tensors: Mapping[str, np.ndarray], field: Mapping[str, object]) -> Shader:
    """Read a shader from the tensors of a file and the field's description in its manifest.

    Raises VoxelError naming what is missing or does not fit.
    """
    try:
        directions = HashGridSpec(**field["directions"])  # type: ignore[arg-type]
        encoding = field["encoding"]
    except (KeyError, TypeError, ValueError) as error:
        raise VoxelError(f"The field's description has no usable shader: {error}.") from error
    if encoding not in ("linear", "srgb"):
        raise VoxelError(f"The shader's encoding is {encoding!r}, not linear or srgb.")
    weights = {name: _take(tensors, f"{name}.weight") for name in LAYERS}
    biases = {name: _take(tensors, f"{name}.bias") for name in LAYERS if name != "from_geometry"}
    shader = Shader(directions, _take(tensors, "directions.tables"), weights, biases, encoding)
    _check_shapes(shader)
    return shader


def _take(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if PREFIX + name not in tensors:
        raise VoxelError(f"The tensor {PREFIX + name} is missing.", "Bake the asset again.")
    return np.ascontiguousarray(tensors[PREFIX + name], dtype=np.float32)


def _check_shapes(shader: Shader) -> None:
    width = shader.weights["hidden"].shape[-1]
    inputs = shader.directions.width + 3 + 1 + 9
    shapes = {
        "from_code": (width, CHANNELS),
        "from_geometry": (width, inputs),
        "hidden": (width, width),
        "lobes": (6, width),
        "tints": (6, CHANNELS),
        "mirror": (4, CHANNELS),
    }
    for name, shape in shapes.items():
        fits = shader.weights[name].shape == shape
        if not fits or (name in shader.biases and shader.biases[name].shape != shape[:1]):
            raise VoxelError(f"The shader's layer {name} has the wrong shape.", "Bake the asset again.")
    if shader.tables.shape != shader.directions.table_shape:
        raise VoxelError("The shader's table of directions has the wrong shape.", "Bake the asset again.")


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow."""
    result: np.ndarray = np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
    return result


def harmonics(normals: np.ndarray) -> np.ndarray:
    """The nine polynomials of spherical harmonics up to degree 2, unnormalized, [R, 9]."""
    x, y, z = normals[:, 0], normals[:, 1], normals[:, 2]
    terms = [np.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1]
    return np.stack(terms, axis=-1)
