"""A mesh under a look: what its vertices show, and textures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.images.pictures import to_bytes
from neuron_core.materials.record import Material
from neuron_core.surfaces.atlas import Atlas, atlas_for, tangents, under
from neuron_core.surfaces.mesh import Mesh
from neuron_core.surfaces.sampling import SurfaceSampler, filled, recorded

BLOCK = 1 << 18  # texels at once
AGREES = 0.5  # cosine between a mesh's normal and the field's, from which the field's is taken
FLAT = (128, 128, 255)  # a normal map without detail


@dataclass(frozen=True, slots=True)
class ShadedMesh:
    """A mesh with what one look shows on it."""

    mesh: Mesh
    normals: np.ndarray  # [V, 3] float32, unit
    colors: np.ndarray  # [V, 3] float32 linear, the mean over directions
    seen: np.ndarray  # [V] bool: whether the field shows something there; elsewhere colors are guessed
    uvs: np.ndarray | None = None  # [F, 3, 2] float32, upwards
    textures: dict[str, np.ndarray] | None = None  # uint8 [S, S, 3] or [S, S], by what they hold


def shaded(mesh: Mesh, sampler: SurfaceSampler) -> ShadedMesh:
    """The mesh with colors and normals at its vertices."""
    smooth = mesh.normals()
    seen = sampler.sample(mesh.points, smooth)
    agrees = seen.found & ((seen.normals * smooth).sum(axis=1) > AGREES)
    normals = np.where(agrees[:, None], seen.normals, smooth).astype(np.float32)
    return ShadedMesh(mesh, normals, filled(seen.colors, seen.found, mesh.faces), seen.found)


def textured(
    body: ShadedMesh,
    sampler: SurfaceSampler,
    side: int,
    record: Material | None = None,
    tell: Callable[[float], None] = lambda fraction: None,
) -> ShadedMesh:
    """The same with textures of `side` texels.

    `color` is sRGB and what the field shows on average; `normal` is in the tangent space of the UVs,
    Y up. With a record there are `base_color` (sRGB), `roughness` and `metalness`, free of light.
    Raises SurfaceError if the texture is too small.
    """
    mesh = body.mesh
    atlas = atlas_for(mesh, side)
    uvs = atlas.uvs()
    frames = tangents(mesh, uvs)
    places, owners, weights = atlas.texels()
    flat = _empty(atlas, record is not None)
    longest = float(np.ptp(mesh.points, axis=0).max())
    for first in range(0, len(places), BLOCK):
        rows = slice(first, first + BLOCK)
        points, normals, colors = (
            under(mesh, values, owners[rows], weights[rows])
            for values in (mesh.points, body.normals, body.colors)
        )
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        seen = sampler.sample(points, normals)
        shown = np.where(seen.found[:, None], seen.colors, colors)
        agrees = seen.found & ((seen.normals * normals).sum(axis=1) > AGREES)
        exact = np.where(agrees[:, None], seen.normals, normals)
        flat["color"][places[rows]] = to_bytes(linear_to_srgb(shown))
        flat["normal"][places[rows]] = _in_tangent_space(exact, normals, frames[owners[rows]])
        if record is not None:
            values = recorded(record, points, longest)
            flat["base_color"][places[rows]] = to_bytes(linear_to_srgb(values["base_color"]))
            flat["roughness"][places[rows]] = to_bytes(values["specular_roughness"])
            flat["metalness"][places[rows]] = to_bytes(values["base_metalness"])
        tell(min(1.0, (first + BLOCK) / len(places)))
    pictures = {name: values.reshape(side, side, *values.shape[1:]) for name, values in flat.items()}
    return ShadedMesh(mesh, body.normals, body.colors, body.seen, uvs, pictures)


def _empty(atlas: Atlas, with_record: bool) -> dict[str, np.ndarray]:
    count = atlas.side**2
    found = {"color": np.zeros((count, 3), np.uint8), "normal": np.tile(np.array(FLAT, np.uint8), (count, 1))}
    if with_record:
        found["base_color"] = np.zeros((count, 3), np.uint8)
        found["roughness"], found["metalness"] = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
    return found


def _in_tangent_space(exact: np.ndarray, normals: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Unit normals [T, 3] as texels [T, 3] uint8, about interpolated `normals` and `frames` [T, 4]."""
    along = frames[:, :3] - (frames[:, :3] * normals).sum(axis=1, keepdims=True) * normals
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    up = np.cross(normals, along) * frames[:, 3:]
    parts = np.stack([(exact * axis).sum(axis=1) for axis in (along, up, normals)], axis=1)
    return to_bytes(parts * 0.5 + 0.5)
