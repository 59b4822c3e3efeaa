"""Baked assets: voxels and looks as tensors of a `.neuron` file, and all that drawing needs in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.assets import AssetError, Manifest, read_asset
from neuron_core.assets.schema import MAX_BRICKS
from neuron_core.kernels.baked.layout import CELLS, CHANNELS, SAMPLES, SIDE
from neuron_core.voxels.nvf import LookCodes, Nvf, VoxelError
from neuron_core.voxels.shading import Shader, shader_from_tensors

MAX_TOP = 1 << 27  # bricks along all sides together


@dataclass(frozen=True, slots=True)
class Baked:
    """The geometry, looks and shader of one `.neuron` file."""

    path: Path
    manifest: Manifest
    nvf: Nvf
    looks: Mapping[str, LookCodes]
    shader: Shader

    def slugs(self) -> tuple[str, ...]:
        """The names of the looks, as the manifest lists them."""
        return tuple(look.slug for look in self.manifest.looks)

    def look_of(self, wanted: str) -> str:
        """The slug of the look with that slug or prompt. Raises AssetError with what there is."""
        look = self.manifest.find_look(wanted)
        if look is None:
            raise AssetError(
                f"{self.path} has no look {wanted!r}.",
                f"It has: {self.manifest.listed_looks()}. Others are made with: "
                "neuron bake RUN OUT.neuron --prompt TEXT",
            )
        return look.slug


def read_baked(path: Path) -> Baked:
    """Read and check everything that drawing needs. Raises AssetError, VoxelError or FileError."""
    asset = read_asset(path)
    if "nvf" not in asset.manifest.architecture or not asset.manifest.looks:
        raise AssetError(f"{path} holds no baked voxels.", "Bake it: neuron bake RUN OUT.neuron")
    return baked_from(Path(path), asset.manifest, asset.tensors)


def baked_from(path: Path, manifest: Manifest, tensors: Mapping[str, np.ndarray]) -> Baked:
    """The same from what is in memory; `path` is only for messages. Raises VoxelError."""
    nvf, looks = from_tensors(tensors)
    field = manifest.settings.get("field")
    shader = shader_from_tensors(tensors, field if isinstance(field, dict) else {})
    return Baked(path, manifest, nvf, looks, shader)


def to_tensors(nvf: Nvf, looks: Mapping[str, LookCodes]) -> dict[str, np.ndarray]:
    """The tensors of a file, without what cannot contribute.

    `nvf.top`, `nvf.aabb`, `nvf.voxel_size` [1], `nvf.active` [V] int32, `nvf.density` [V]
    float16 in optical depth per voxel, `nvf.normals` [V, 3] int8 (127 is 1), and for each look
    `looks.<slug>.codes` [V, 8] uint8 and `looks.<slug>.range` [2, 8] float32. Raises VoxelError
    for codes of another field.
    """
    depth = nvf.density.reshape(-1)[nvf.active] * np.float32(nvf.voxel_size)
    normals = nvf.normals.reshape(-1, 3)[nvf.active]
    tensors = {
        "nvf.top": nvf.top,
        "nvf.aabb": nvf.aabb.astype(np.float32),
        "nvf.voxel_size": np.array([nvf.voxel_size], np.float32),
        "nvf.active": nvf.active,
        "nvf.density": depth.clip(-65504, 65504).astype(np.float16),
        "nvf.normals": np.rint(normals.clip(-1, 1) * 127).astype(np.int8),
    }
    for slug, look in looks.items():
        if look.codes.shape != (len(nvf.active), CHANNELS):
            raise VoxelError(
                f'The look "{slug}" has codes for {len(look.codes)} samples, not {len(nvf.active)}.'
            )
        tensors[f"looks.{slug}.codes"] = look.codes
        tensors[f"looks.{slug}.range"] = np.stack([look.low, look.high])
    return tensors


def from_tensors(tensors: Mapping[str, np.ndarray]) -> tuple[Nvf, dict[str, LookCodes]]:
    """The inverse of `to_tensors`; other tensors are left alone.

    Raises VoxelError that names the tensor that is missing, has another type or shape, is not
    finite, or contradicts the others.
    """
    nvf = _geometry_from(tensors)
    ends = ".codes"
    slugs = [name[6 : -len(ends)] for name in tensors if name.startswith("looks.") and name.endswith(ends)]
    looks = {}
    for slug in sorted(slugs):
        codes = _tensor(tensors, f"looks.{slug}.codes", np.uint8, (len(nvf.active), CHANNELS))
        low, high = _tensor(tensors, f"looks.{slug}.range", np.float32, (2, CHANNELS))
        looks[slug] = LookCodes(codes, low, high)
    return nvf, looks


def _geometry_from(tensors: Mapping[str, np.ndarray]) -> Nvf:
    top = _tensor(tensors, "nvf.top", np.int32, (None, None, None))
    aabb = _tensor(tensors, "nvf.aabb", np.float32, (2, 3))
    voxel_size = float(_tensor(tensors, "nvf.voxel_size", np.float32, (1,))[0])
    active = _tensor(tensors, "nvf.active", np.int32, (None,))
    bricks = int((top >= 0).sum())
    if top.size == 0 or top.size > MAX_TOP or bricks > MAX_BRICKS:
        raise VoxelError(f"A grid of {top.shape} with {bricks} bricks is empty or too large.")
    if not np.array_equal(np.sort(top[top >= 0]), np.arange(bricks)) or (top < -1).any():
        raise VoxelError(f"nvf.top does not name each of {bricks} bricks once.")
    size = np.array(top.shape) * CELLS * voxel_size
    if not (voxel_size > 0 and np.allclose(aabb[1] - aabb[0], size, rtol=1e-3)):
        raise VoxelError(f"nvf.aabb {aabb.tolist()} is not {top.shape} bricks of voxels of {voxel_size}.")
    if len(active) and (active[0] < 0 or active[-1] >= bricks * SAMPLES or (np.diff(active) <= 0).any()):
        raise VoxelError(f"nvf.active does not list samples of {bricks} bricks in ascending order.")
    density = np.zeros((bricks, SIDE, SIDE, SIDE), np.float32)
    normals = np.zeros((bricks, SIDE, SIDE, SIDE, 3), np.float32)
    depth = _tensor(tensors, "nvf.density", np.float16, active.shape)
    density.reshape(-1)[active] = depth.astype(np.float32) / np.float32(voxel_size)
    stored = _tensor(tensors, "nvf.normals", np.int8, (len(active), 3)).astype(np.float32)
    normals.reshape(-1, 3)[active] = stored / np.maximum(np.linalg.norm(stored, axis=-1, keepdims=True), 1.0)
    return Nvf(aabb, voxel_size, top, density, normals, active)


def _tensor(
    tensors: Mapping[str, np.ndarray], name: str, dtype: type, shape: tuple[int | None, ...]
) -> np.ndarray:
    """The tensor if it is what it should be; None in `shape` fits any length."""
    if name not in tensors:
        raise VoxelError(f"The tensor {name} is missing.", "Bake the asset again.")
    tensor = tensors[name]
    fits = len(tensor.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
    )
    if tensor.dtype != dtype or not fits:
        wanted = " x ".join("?" if side is None else str(side) for side in shape)
        raise VoxelError(
            f"{name} is {tensor.dtype} {list(tensor.shape)}, not {np.dtype(dtype)} {wanted}.",
            "Bake the asset again.",
        )
    if np.issubdtype(tensor.dtype, np.floating) and not np.isfinite(tensor).all():
        raise VoxelError(f"{name} is not finite.", "Bake the asset again.")
    return tensor
