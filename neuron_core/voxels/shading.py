"""The shader of a field without torch: what `fields.shading.Shader` computes, from stored tensors.

Letters in shapes: R rays, H hidden units, C code channels (8). A test compares both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neuron_core.kernels import hashgrid
from neuron_core.kernels.hashgrid import HashGridSpec
from neuron_core.voxels.nvf import VoxelError

BLOCK = 1 << 14  # rays whose hidden units stay in cache
PREFIX = "shader."
LAYERS = ("from_code", "from_geometry", "hidden", "lobes", "tints", "mirror")


@dataclass(frozen=True, slots=True)
class Shader:
    """Weights [out, in] and biases [out] by layer, and the table of reflected directions."""

    directions: HashGridSpec
    tables: np.ndarray  # [L, T, F] float32
    weights: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]
    encoding: Literal["linear", "srgb"] = "linear"

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
        "from_code": (width, 8),
        "from_geometry": (width, inputs),
        "hidden": (width, width),
        "lobes": (6, width),
        "tints": (6, 8),
        "mirror": (4, 8),
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
    """The nine polynomials of spherical harmonics up to degree 2, unnormalised, [R, 9]."""
    x, y, z = normals[:, 0], normals[:, 1], normals[:, 2]
    terms = [np.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1]
    return np.stack(terms, axis=-1)
