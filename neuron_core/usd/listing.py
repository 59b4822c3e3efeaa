"""What a stage draws, for people and programs."""

from pathlib import Path

import numpy as np

from neuron_core.foundation.wording import counted
from neuron_core.usd.records import AssetNode
from neuron_core.usd.stage import read_stage

SHOWN = 64  # rows that a person gets to see


def list_stage(path: Path, time: float | None) -> dict[str, object]:
    """Assets with their places, occluding meshes, cameras and problems at a frame."""
    scene = read_stage(path)
    snapshot = scene.snapshot(time)
    assets = [_asset(node) for node in snapshot.assets]
    meshes = [{"path": node.path, "triangles": len(node.faces)} for node in snapshot.meshes]
    rows = [
        f"{path}: {counted(len(assets), 'neural asset')}, {counted(len(meshes), 'mesh', 'es')}, "
        f"{scene.meters_per_unit:g} m per unit, {scene.up_axis} up",
        *(_asset_row(node) for node in snapshot.assets[:SHOWN]),
        *([f"  and {len(assets) - SHOWN} more"] if len(assets) > SHOWN else []),
        *(f"  {node.path}  mesh, {len(node.faces)} triangles" for node in snapshot.meshes[:SHOWN]),
        *(f"  {camera}  camera" for camera in scene.cameras()),
        *(f"  problem: {problem} {problem.hint}" for problem in snapshot.problems[:SHOWN]),
    ]
    return {
        "stage": str(path),
        "meters_per_unit": scene.meters_per_unit,
        "up_axis": scene.up_axis,
        "frames": scene.time_range(),
        "assets": assets,
        "meshes": meshes,
        "cameras": list(scene.cameras()),
        "problems": [
            {"path": one.path, "message": one.message, "hint": one.hint, "kind": one.kind}
            for one in snapshot.problems
        ],
        "summary": "\n".join(rows),
    }


def _asset(node: AssetNode) -> dict[str, object]:
    return {
        "path": node.path,
        "file": None if node.file is None else str(node.file),
        "digest": node.digest,
        "look": node.look,
        "prompt": node.prompt,
        "pose": list(node.pose),
        "purpose": node.purpose,
        "world_from_asset": node.world_from_asset.tolist(),
    }


def _asset_row(node: AssetNode) -> str:
    x, y, z = node.world_from_asset[:3, 3]
    scales = np.linalg.norm(node.world_from_asset[:3, :3], axis=0)
    size = "" if np.allclose(scales, 1.0) else f", scale {' '.join(f'{scale:.4g}' for scale in scales)}"
    shown = f'"{node.prompt}"' if node.prompt else node.look
    what = f"{node.file.name}, {shown}" if node.file is not None else "not drawn"
    return f"  {node.path}  {what}, at {x:.4g} {y:.4g} {z:.4g} m{size}"
