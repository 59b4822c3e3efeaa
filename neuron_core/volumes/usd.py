"""A stage that shows an OpenVDB file: `Volume` and `OpenVDBAsset` prims."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdVol, Vt

from neuron_core.foundation.files import replacing
from neuron_core.usd.components import new_model
from neuron_core.volumes.vdb import VdbGrid

MORE_NAMES = {"Cd": ("color",)}  # under which other programs look for a grid


def write_volume_stage(path: Path, file: Path, grids: Sequence[VdbGrid]) -> None:
    """Write a component, meters and Y up, with a volume that has each grid of `file` as a field.

    The file is named relative to the stage. Whole or not at all.
    """
    with replacing(Path(path)) as temporary:
        stage, root = new_model(temporary, Path(path).stem)
        volume = UsdVol.Volume.Define(stage, root.GetPath().AppendPath("volume"))
        for grid in grids:
            field = _field(stage, volume.GetPath().AppendChild(Tf.MakeValidIdentifier(grid.name)), file, grid)
            for name in (grid.name, *MORE_NAMES.get(grid.name, ())):
                volume.CreateFieldRelationship(name, field.GetPath())
        low, high = _box(grids)
        volume.CreateExtentAttr(Vt.Vec3fArray([Gf.Vec3f(*map(float, corner)) for corner in (low, high)]))
        stage.Save()


def _field(stage: Usd.Stage, path: Sdf.Path, file: Path, grid: VdbGrid) -> UsdVol.OpenVDBAsset:
    field = UsdVol.OpenVDBAsset.Define(stage, path)
    field.CreateFilePathAttr(Sdf.AssetPath(f"./{Path(file).name}"))
    field.CreateFieldNameAttr(grid.name)
    vector = grid.values.ndim == 2
    number = "half" if grid.half else "float"
    field.CreateFieldDataTypeAttr(f"{number}3" if vector else number)
    field.CreateFieldClassAttr("fogVolume")
    if vector:
        field.CreateVectorDataRoleHintAttr("Color")
    return field


def _box(grids: Sequence[VdbGrid]) -> tuple[np.ndarray, np.ndarray]:
    """Around all active voxels, half a voxel beyond their middles."""
    lows = [grid.translation + (grid.voxels.min(axis=0) - 0.5) * grid.voxel_size for grid in grids]
    highs = [grid.translation + (grid.voxels.max(axis=0) + 0.5) * grid.voxel_size for grid in grids]
    return np.min(lows, axis=0), np.max(highs, axis=0)
