"""Draw what a stage shows at a time: neural assets among ordinary meshes, from any camera.

A file is read once however many instances there are, and kept for the next snapshot. An asset that
cannot be drawn is reported as a problem with the path of its prim, and the rest is drawn.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, resized
from neuron_core.foundation.errors import NeuronError
from neuron_core.geometry.usd_scene import DRAWN_PURPOSES
from neuron_core.rendering.composer import Composed, Composer
from neuron_core.rendering.meshes import MeshInstance, triangles_kept
from neuron_core.rendering.occlusion import Occlusion, OcclusionPass
from neuron_core.rendering.shaded import DeviceField, Instance, ShadedAsset
from neuron_core.usd.records import AssetNode, MeshNode, Problem, SceneSnapshot
from neuron_core.voxels.baked import Baked, read_baked
from neuron_core.voxels.nvf import LookCodes

MOST_RAYS = 1 << 22  # at once
MOST_TRIANGLES = 10_000_000  # of ordinary meshes, instances of one counted once
FLATTEST = 1e-6  # smallest over largest scale of a placement that can be inverted

NOTHING = Occlusion()

MakeLook = Callable[[Baked, str], LookCodes]


@dataclass(frozen=True, slots=True, eq=False)
class ScenePixels:
    """A picture of a scene, its first row on top."""

    rgba: np.ndarray  # [H, W, 4] float32, linear, premultiplied, filtered
    depth: np.ndarray  # [H, W] float32, distance along the ray through the pixel's center; 0 is nothing
    normal: np.ndarray  # [H, W, 3] float32, world, unit or 0
    ids: np.ndarray  # [H, W] int32: `identity` of the prim that is seen, 0 is nothing


def identity(path: str) -> int:
    """The number of a prim in id mattes, 1 to 2^24 - 1, which floats hold exactly.

    It depends on the path alone, so it is the same in every frame and on every machine: its CRC-32
    modulo 2^24 - 1, plus 1. Two of a thousand prims share one with a probability of 3 %.
    """
    return zlib.crc32(path.encode()) % (2**24 - 1) + 1


class SceneRenderer:
    """Draws snapshots of a stage."""

    def __init__(
        self,
        device: str = "cpu",
        *,
        reflections: bool = True,
        sharing: bool = False,
        make_look: MakeLook | None = None,
    ) -> None:
        """`make_look` makes the codes of prompts that no look was baked from; without it such prims
        show their look, and a problem says so. `sharing` is for viewports: see `Composer`."""
        self._device = device
        self._reflections = reflections
        self._make_look = make_look
        self._composer = Composer(device, sharing=sharing)
        self._occlusion: OcclusionPass | None = None
        self._files: dict[Path, tuple[Baked, DeviceField]] = {}
        self._shaded: dict[tuple[Path, str, str], ShadedAsset] = {}
        self.paths: tuple[str, ...] = ()

    def load(self, snapshot: SceneSnapshot, occlusion: Occlusion = NOTHING) -> tuple[Problem, ...]:
        """Draw this snapshot from now on. Returns its problems and those of reading its files.

        `occlusion` is the light that things block for each other; it darkens colors alone.
        """
        problems = list(snapshot.problems)
        left_out = {problem.path for problem in problems if problem.fatal}
        instances, paths = [], []
        for node in snapshot.assets:
            if node.purpose not in DRAWN_PURPOSES or node.file is None or node.path in left_out:
                continue
            try:
                instances.append(Instance(self._asset_of(node, problems), _checked(node.world_from_asset)))
                paths.append(node.path)
            except NeuronError as error:
                problems.append(Problem(node.path, error.message, error.hint, error.kind))
        drawn, meshes = _affordable(snapshot.meshes, problems)
        self.paths = (*paths, *(mesh.path for mesh in drawn))
        self._numbers = np.array([*(identity(path) for path in self.paths), 0], np.int32)
        self._composer.place(instances, meshes)
        self._occlusion = OcclusionPass(instances, meshes, occlusion, self._device) if occlusion else None
        self._instances = instances
        self._meshes = meshes
        return tuple(problems)

    def matrices(self) -> dict[str, np.ndarray]:
        """world_from_local [4, 4] of everything that is drawn, by the path of its prim."""
        placed = [one.world_from_local for one in self._instances]
        placed += [one.world_from_local for one in self._meshes]
        return dict(zip(self.paths, placed, strict=True))

    def outline(self) -> np.ndarray:
        """Points [N, 3] of the world between which everything that is drawn lies."""
        found = [np.zeros((0, 3))]
        for one in self._instances:
            corners = np.stack(np.meshgrid(*one.asset.field.box.T), axis=-1).reshape(-1, 3)
            found.append(corners @ one.world_from_local[:3, :3].T + one.world_from_local[:3, 3])
        for mesh in self._meshes:
            found.append(mesh.corners())
        return np.concatenate(found)

    def nbytes(self) -> int:
        """Of memory for everything but pictures."""
        return self._composer.nbytes()

    def render(self, camera: Camera, samples: int = 2, geometry: bool = True) -> ScenePixels:
        """A picture with `samples` x `samples` rays a pixel, averaged in linear.

        Depth, normal and ids are those of one ray through the center of each pixel; without
        `geometry` they are left empty if the colors take more rays.
        """
        shape = (camera.height, camera.width)
        strips = self._strips(camera, samples, self._occlusion)
        rgba = np.concatenate([_averaged(part, samples) for part in strips])
        if samples > 1 and not geometry:
            nothing = np.zeros((*shape, 3), np.float32)
            return ScenePixels(rgba, nothing[..., 0], nothing, np.zeros(shape, np.int32))
        parts = list(self._strips(camera, 1))
        depth, normal, ids = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("depth", "normal", "ids")
        )
        return ScenePixels(rgba, depth, normal, self._numbers[ids])

    def _strips(self, camera: Camera, samples: int, occlusion: OcclusionPass | None = None) -> list[Composed]:
        """The picture `samples` times wider and higher, in strips of whole pixels."""
        rows = max(1, MOST_RAYS // (camera.width * samples * samples))
        found = []
        for top in range(0, camera.height, rows):
            strip = _strip(camera, top, min(rows, camera.height - top))
            fine = resized(strip, strip.width * samples, strip.height * samples) if samples > 1 else strip
            picture = self._composer.render(fine)
            found.append(picture if occlusion is None else occlusion.darkened(picture, fine))
        return found

    def _asset_of(self, node: AssetNode, problems: list[Problem]) -> ShadedAsset:
        assert node.file is not None
        if node.file not in self._files:
            baked = read_baked(node.file)
            self._files[node.file] = (baked, DeviceField(baked.nvf, baked.shader, self._device))
        baked, field = self._files[node.file]
        slug = node.look or baked.slugs()[0]
        prompt = node.prompt
        if prompt and self._make_look is None:
            problems.append(_not_made(node, slug))
            prompt = ""
        key = (node.file, slug, prompt)
        if key not in self._shaded:
            if prompt and self._make_look is not None:
                look = self._make_look(baked, prompt)
            else:
                look = baked.looks[baked.look_of(slug)]
            self._shaded[key] = ShadedAsset(field, look, self._reflections)
        return self._shaded[key]


def _affordable(
    nodes: Sequence[MeshNode], problems: list[Problem]
) -> tuple[list[MeshNode], list[MeshInstance]]:
    """Those with an area, as long as they are not too many triangles, those of instances counted once."""
    found = [node for node in nodes if len(node.faces)]
    if not found:
        return [], []
    meshes = [MeshInstance(one.positions, one.faces, one.color, one.world_from_mesh) for one in found]
    fit = int((triangles_kept(meshes) <= MOST_TRIANGLES).sum())
    if fit < len(found):
        message = f"It is left out: ordinary meshes have more than {MOST_TRIANGLES:,} triangles up to it."
        hint = "Hide meshes that the shot does not need, lower their subdivision, or instance them."
        problems.append(Problem(found[fit].path, message, hint, "mesh"))
    return found[:fit], meshes[:fit]


def _not_made(node: AssetNode, slug: str) -> Problem:
    return Problem(
        node.path,
        f'The prompt "{node.prompt}" was not baked; the look {slug} is drawn instead.',
        "Add the look to the file first, or pick one that it has.",
        "prompt",
        fatal=False,
    )


def _checked(matrix: np.ndarray) -> np.ndarray:
    """The placement, if rays can be taken through it. Raises NeuronError."""
    matrix = np.asarray(matrix, np.float64)
    if not np.isfinite(matrix).all():
        raise NeuronError("Its transform is not finite.", "Author it again.")
    scales = np.linalg.svd(matrix[:3, :3])[1]
    if not (scales[2] > FLATTEST * scales[0] and 1e-9 < scales[2] and scales[0] < 1e9):
        raise NeuronError(
            f"Its transform scales it by {scales[2]:.3g} to {scales[0]:.3g}.",
            "Give every axis a usable scale.",
        )
    return matrix


def _strip(camera: Camera, top: int, rows: int) -> Camera:
    if top == 0 and rows == camera.height:
        return camera
    return replace(camera, height=rows, cy=camera.cy - top)


def _averaged(picture: Composed, samples: int) -> np.ndarray:
    height, width = picture.rgba.shape[:2]
    shape = (height // samples, samples, width // samples, samples, 4)
    return np.asarray(picture.rgba.reshape(shape).mean(axis=(1, 3)))
