"""Small assets, stages and libraries to test scenes with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom

from neuron_core.assets import Look, Manifest, write_asset
from neuron_core.kernels.baked.layout import CHANNELS
from neuron_core.library.publishing import Submission, publish
from neuron_core.library.version import Version
from neuron_core.prompts import EncoderId
from neuron_core.usd import schema
from neuron_core.voxels.baked import to_tensors
from neuron_core.voxels.nvf import Nvf, allocate, encode_codes, find_active, sample_positions
from tests.core import asset_samples

LOOKS = (Look("gold", "gold, polished"), Look("rust", "iron, rusty"))


def write_plain(path: Path, **changes: object) -> Manifest:
    """A valid asset of a few voxels."""
    return write_asset(path, replace(asset_samples.MANIFEST, **changes), asset_samples.tensors())


def ball(
    radius: float = 0.3, center: tuple[float, float, float] = (0.0, 0.3, 0.0), resolution: int = 32
) -> Nvf:
    """A hollow ball of density."""
    middle = np.array(center)
    box = np.stack([middle - 1.1 * radius, middle + 1.1 * radius])
    nvf = allocate(box, resolution, np.ones((resolution // 8,) * 3, bool))
    away = sample_positions(nvf).astype(np.float64) - middle
    distance = np.linalg.norm(away, axis=-1)
    shell = np.abs(distance - radius * 0.95) - 0.05 * radius
    nvf.density[:] = np.clip(-shell / nvf.voxel_size, -3, 3) * 20 / nvf.voxel_size
    nvf.normals[:] = away / np.maximum(distance, 1e-9)[..., None]
    return replace(nvf, active=find_active(nvf.top, nvf.density))


def write_ball(path: Path, name: str = "ball", version: int = 1, **changes: object) -> Manifest:
    """An asset of a ball, without a field, with two looks."""
    nvf = ball()
    codes = np.zeros((len(nvf.active), CHANNELS), np.float32) + version
    manifest = Manifest(
        name=name,
        aabb=((-0.3, 0.0, -0.3), (0.3, 0.6, 0.3)),
        architecture={"nvf": "nvf-1"},
        looks=LOOKS,
        encoder=EncoderId("embedded/1", "ab" * 32),
        version=version,
        licence="CC0-1.0",
    )
    tensors = to_tensors(nvf, {look.slug: encode_codes(codes) for look in LOOKS})
    tensors["shader.0.weight"] = np.eye(3, dtype=np.float16)  # nothing here shades
    tensors["preview.main"] = np.frombuffer(asset_samples.png(), np.uint8)
    return write_asset(path, replace(manifest, **changes), tensors)


def publish_ball(folder: Path, library: Path, name: str = "ball", version: int = 1) -> Version:
    """A ball in a library."""
    source = folder / f"{name}_{version}.neuron"
    write_ball(source, name, version)
    return publish(Submission(source, library, name))[0]


def write_stage(path: Path, body: str, unit: float = 1.0, up: str = "Y", more: str = "") -> Path:
    """A stage of text."""
    rows = [
        "#usda 1.0",
        "(",
        'defaultPrim = "World"',
        f"metersPerUnit = {unit}",
        f'upAxis = "{up}"',
        more,
        ")",
    ]
    text = "\n".join([*rows, ""])
    path.write_text(text + body, encoding="utf-8")
    return path


def asset_prim(name: str = "a", body: str = "", file: str = "./plain.neuron", metadata: str = "") -> str:
    """The text of a prim that draws a file."""
    return (
        f'def Xform "{name}" (\n    prepend apiSchemas = ["NeuronAssetAPI"]\n{metadata}\n)\n'
        f"{{\n    asset neuron:file = @{file}@\n{body}\n}}\n"
    )


def reference_prim(name: str, layer: str, metadata: str = "", body: str = "", arc: str = "references") -> str:
    """The text of a prim that brings in another layer."""
    return f'def Xform "{name}" (\n    prepend {arc} = {layer}\n{metadata}\n)\n{{\n{body}\n}}\n'


def moved(x: str | float, y: float = 0.0, z: float = 0.0) -> str:
    """The text of a translation."""
    order = 'uniform token[] xformOpOrder = ["xformOp:translate"]'
    return f"double3 xformOp:translate = ({x}, {y}, {z})\n{order}\n"


def usd_matrix(stage: Usd.Stage, path: str, time: Usd.TimeCode) -> np.ndarray:
    """The world matrix that USD itself computes, for column vectors."""
    prim = stage.GetPrimAtPath(path)
    return np.array(UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(time)).T


def matrix_op(values: Mapping[str, object] | np.ndarray) -> str:
    """The text of a transform operation from a column-vector matrix [4, 4]."""
    rows = ", ".join(str(tuple(float(value) for value in row)) for row in np.asarray(values).T)
    return f'matrix4d xformOp:transform = ({rows})\nuniform token[] xformOpOrder = ["xformOp:transform"]\n'


def define_asset(stage: Usd.Stage, path: str, file: str) -> Usd.Prim:
    """A prim with the schema in a stage."""
    prim = UsdGeom.Xform.Define(stage, path).GetPrim()
    schema.apply(prim)
    schema.set_value(prim, schema.FILE, Sdf.AssetPath(file))
    return prim


def vectors(values: np.ndarray) -> list[Gf.Vec3f]:
    """Rows [N, 3] as USD has them."""
    return [Gf.Vec3f(*map(float, row)) for row in values]
