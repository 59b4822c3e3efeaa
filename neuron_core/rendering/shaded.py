"""Shaded assets in the memory of a device: geometry that instances share, and looks bound to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.bricks import BrickPools, asset_of, brick_pools
from neuron_core.kernels.baked.layout import CHANNELS
from neuron_core.kernels.baked.network import Network
from neuron_core.voxels.nvf import LookCodes, Nvf, VoxelError
from neuron_core.voxels.shading import MIN_MIRROR_GATE, Shader, direction_map, mirror_of, network_of

LIFT = 1.5  # voxels from a surface to where its reflected rays begin


class DeviceField:
    """The geometry of an asset on a device, and its shader. Instances and looks share it."""

    def __init__(self, nvf: Nvf, shader: Shader, device: str = "cpu") -> None:
        self.pools: BrickPools = brick_pools(
            nvf.aabb[0], nvf.voxel_size, nvf.top, nvf.density, nvf.normals, device
        )
        self.shader = shader
        self.active = nvf.active
        self.samples = nvf.density.size
        self.device = device
        self.directions = direction_map(shader, device)

    @property
    def box(self) -> np.ndarray:
        """Of the density, [2, 3] float64, in the asset's space; without an inside if there is none."""
        low = np.array(self.pools.low)
        box: np.ndarray = low + np.array(self.pools.inside) * self.pools.voxel_size
        return box

    def nbytes(self) -> int:
        """Of memory on the device, without looks."""
        pools = self.pools
        arrays = (pools.top, pools.blocks, pools.density, pools.normals, self.directions.values)
        return sum(int(array.capacity) for array in arrays)


class ShadedAsset:
    """A field under one look, which may be exchanged without touching the geometry."""

    network: Network
    mirror: tuple[float, ...] | None  # None where no surface reflects a ray
    look: LookCodes

    def __init__(self, field: DeviceField, look: LookCodes, reflections: bool = True) -> None:
        """With `reflections`, surfaces that are mirrors show each other once. Raises VoxelError for codes
        of another field."""
        self.field = field
        self._reflections = reflections
        self._stored = np.zeros((field.samples, CHANNELS), np.uint8)
        on_host = field.device == "cpu"
        self.codes: Any = wp.array(self._stored, dtype=wp.uint8, device=field.device, copy=not on_host)
        self.arrays: Any = asset_of(field.pools, self.codes)  # as kernels take them
        self.set_look(look)

    def set_look(self, look: LookCodes) -> None:
        """Show another look from now on. Raises VoxelError for codes of another field."""
        field = self.field
        if look.codes.shape != (len(field.active), CHANNELS):
            raise VoxelError(f"A look with codes for {len(look.codes)} samples, not {len(field.active)}.")
        self._stored[field.active] = look.codes
        if field.device != "cpu":
            self.codes.assign(self._stored)
        self.look = look
        self.network = network_of(field.shader, field.directions, look)
        self.mirror = mirror_of(field.shader, look, MIN_MIRROR_GATE) if self._reflections else None

    def nbytes(self) -> int:
        """Of memory on the device, beside the field's."""
        return int(self.codes.capacity) + int(self.network.weights.capacity)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """An asset that is drawn, and where."""

    asset: ShadedAsset
    world_from_local: np.ndarray  # [4, 4] float64, invertible


def zeros(shape: tuple[int, ...], device: str) -> Any:
    """An array of float32 that kernels write to: numpy's on a CPU, Warp's on CUDA."""
    if device == "cpu":
        return np.zeros(shape, np.float32)
    return wp.zeros(shape, dtype=wp.float32, device=device)


def on_device(array: np.ndarray, device: str) -> Any:
    """An array of float32 or int32 where kernels can read it: itself, contiguous, on a CPU."""
    if device == "cpu":
        return np.ascontiguousarray(array)
    kinds: dict[str, Any] = {"float32": wp.float32, "int32": wp.int32}
    return wp.array(array, dtype=kinds[array.dtype.name], device=device)
