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


@wp.kernel(enable_backward=False)
def look_up_scalars(
    volume: wp.uint64,
    voxels: wp.array2d[wp.int32],  # [V, 3]
    values: wp.array[wp.float32],  # [V] written
    first: wp.int32,
) -> None:
    """One index per voxel."""
    index = first + wp.tid()
    values[index] = wp.volume_lookup_f(volume, voxels[index, 0], voxels[index, 1], voxels[index, 2])


@wp.kernel(enable_backward=False)
def look_up_vectors(
    volume: wp.uint64,
    voxels: wp.array2d[wp.int32],  # [V, 3]
    values: wp.array[wp.vec3f],  # [V] written
    first: wp.int32,
) -> None:
    """One index per voxel."""
    index = first + wp.tid()
    values[index] = wp.volume_lookup_v(volume, voxels[index, 0], voxels[index, 1], voxels[index, 2])


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


def values_at(grid: np.ndarray, voxels: np.ndarray, vector: bool) -> np.ndarray:
    """What a grid [bytes] uint8 holds at `voxels` [V, 3]: [V] or [V, 3] float32."""
    volume = wp.Volume(wp.array(grid.view(np.int8), dtype=wp.int8, device="cpu"))
    found = wp.zeros(len(voxels), dtype=wp.vec3f if vector else wp.float32, device="cpu")
    where = wp.array(np.ascontiguousarray(voxels, np.int32), dtype=wp.int32, device="cpu")
    launch(look_up_vectors if vector else look_up_scalars, [volume.id, where, found], len(voxels))
    return np.asarray(found.numpy(), np.float32)
