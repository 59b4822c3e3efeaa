"""Samples of a look on a field's surface: color from around, normal, material.

Letters in shapes: N places. Colors are linear Rec. 709.
"""

from dataclasses import dataclass

import numpy as np

from neuron_core.foundation import interrupts
from neuron_core.materials.library import load_materials
from neuron_core.materials.openpbr import INPUTS
from neuron_core.materials.procedural import evaluate
from neuron_core.materials.record import Material, MaterialError
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.volumes.from_bricks import average_colors
from neuron_core.voxels.baked import Baked

BACK = 1.5  # voxels from a place to where the ray to it begins
NEAR = 1.0  # voxels from a place to the surface that is taken for it
SOLID = 0.5
BLOCK = 1 << 17
RECORDED = ("base_color", "specular_roughness", "base_metalness")


@dataclass(frozen=True, slots=True)
class SurfaceSamples:
    """What the field shows at N places. Where it shows nothing, `found` is False and the rest is 0."""

    points: np.ndarray  # [N, 3] float32, on the surface
    normals: np.ndarray  # [N, 3] float32, unit
    colors: np.ndarray  # [N, 3] float32, the mean over directions around the normal
    found: np.ndarray  # [N] bool


class SurfaceSampler:
    """Samples one look of a baked field from outside."""

    def __init__(self, baked: Baked, slug: str, device: str = "cpu") -> None:
        self._baked = baked
        self._renderer = BakedRenderer(baked.nvf, baked.shader, baked.looks[slug], device, reflections=False)

    def sample(self, points: np.ndarray, normals: np.ndarray) -> SurfaceSamples:
        """What is at `points` [N, 3], seen against unit `normals` [N, 3]."""
        parts = []
        for first in range(0, len(points), BLOCK):
            interrupts.stop_if_requested()
            rows = slice(first, first + BLOCK)
            parts.append(self._block(points[rows], normals[rows]))
        if not parts:
            empty = np.zeros((0, 3), np.float32)
            return SurfaceSamples(empty, empty, empty, np.zeros(0, bool))
        arrays = [[getattr(part, name) for part in parts] for name in SurfaceSamples.__slots__]
        return SurfaceSamples(*(np.concatenate(array) for array in arrays))

    def _block(self, points: np.ndarray, normals: np.ndarray) -> SurfaceSamples:
        voxel = self._baked.nvf.voxel_size
        back = np.float32(BACK * voxel)
        seen = self._renderer.surfaces(points + back * normals, -normals)
        found = (seen.alpha > SOLID) & (np.abs(seen.depth - back) < NEAR * voxel)
        colors = np.zeros((len(points), 3), np.float32)
        colors[found] = average_colors(self._baked, seen.codes[found], seen.normal[found])
        hits = points + (back - seen.depth)[:, None] * normals
        return SurfaceSamples(
            np.where(found[:, None], hits, points).astype(np.float32),
            np.where(found[:, None], seen.normal, 0.0).astype(np.float32),
            colors,
            found,
        )


def filled(values: np.ndarray, found: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Values [V, 3] of vertices, where none was found the mean of the nearest that have one."""
    values, known = np.where(found[:, None], values, 0.0).astype(np.float64), found.copy()
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    while not known.all():
        edges = pairs[~known[pairs[:, 0]] & known[pairs[:, 1]]]
        if not len(edges):
            values[~known] = values[known].mean(axis=0) if known.any() else 0.5
            break
        counts = np.bincount(edges[:, 0], minlength=len(values))
        fresh = counts > 0
        for axis in range(3):
            sums = np.bincount(edges[:, 0], values[edges[:, 1], axis], len(values))
            values[fresh, axis] = sums[fresh] / counts[fresh]
        known |= fresh
    return values.astype(np.float32)


def record_of(baked: Baked, slug: str) -> Material | None:
    """The material that a look was trained on or named by, if its record is built in."""
    look = baked.manifest.look(slug)
    for text in (look.details.get("material"), look.prompt):
        if not isinstance(text, str) or not text.strip():
            continue
        try:
            found = load_materials(text.replace(",", " ") if text == look.prompt else text)
        except MaterialError:
            continue
        if len(found) == 1:
            return found[0]
    return None


def recorded(material: Material, points: np.ndarray, longest: float) -> dict[str, np.ndarray]:
    """Base color [N, 3], roughness and metalness [N] of a record on an object of that longest side."""
    varying = evaluate(material, points / np.float32(longest))
    values = {}
    for name in RECORDED:
        shape = (len(points), 3) if INPUTS[name].kind == "color" else (len(points),)
        constant = np.asarray(material.value(name), np.float32)
        values[name] = np.array(np.broadcast_to(varying.get(name, constant), shape), np.float32)
    return values
