"""NanoVDB grids in memory, as Warp makes them: whole leaves of 8^3 voxels around the given ones."""

import numpy as np
import warp as wp

from neuron_core.kernels.launch import launch


@wp.kernel(enable_backward=False)
def store_scalars(
    volume: wp.uint64,
    voxels: wp.array2d[wp.int32],  # [V, 3]
    values: wp.array[wp.float32],  # [V]
    first: wp.int32,
) -> None:
    """One index per voxel; nobody else has its place."""
    index = first + wp.tid()
    wp.volume_store_f(volume, voxels[index, 0], voxels[index, 1], voxels[index, 2], values[index])


@wp.kernel(enable_backward=False)
def store_vectors(
    volume: wp.uint64,
    voxels: wp.array2d[wp.int32],  # [V, 3]
    values: wp.array[wp.vec3f],  # [V]
    first: wp.int32,
) -> None:
    """One index per voxel; nobody else has its place."""
    index = first + wp.tid()
    wp.volume_store_v(volume, voxels[index, 0], voxels[index, 1], voxels[index, 2], values[index])


def grid_bytes(
    voxels: np.ndarray, values: np.ndarray, voxel_size: float, translation: tuple[float, float, float]
) -> np.ndarray:
    """One grid [bytes] uint8 with `values` [V] or [V, 3] at `voxels` [V, 3], and 0 elsewhere."""
    vector = values.ndim == 2
    places = np.ascontiguousarray(voxels, np.int32)
    tiles = np.unique(places >> 3, axis=0) << 3
    volume = wp.Volume.allocate_by_tiles(
        wp.array(tiles, dtype=wp.int32, device="cpu"),
        voxel_size=voxel_size,
        bg_value=wp.vec3f(0.0) if vector else 0.0,
        translation=translation,
        device="cpu",
    )
    stored = wp.array(
        np.ascontiguousarray(values, np.float32), dtype=wp.vec3f if vector else wp.float32, device="cpu"
    )
    where = wp.array(places, dtype=wp.int32, device="cpu")
    launch(store_vectors if vector else store_scalars, [volume.id, where, stored], len(places))
    return np.frombuffer(volume.array().numpy().tobytes(), np.uint8).copy()
