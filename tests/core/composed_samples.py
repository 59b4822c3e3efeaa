"""Small fields whose look and shader show what the composition does to them."""

import numpy as np

from neuron_core.cameras.camera import Camera, look_at
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.rendering.composer import Composed, Composer
from neuron_core.rendering.shaded import DeviceField, Instance, ShadedAsset
from neuron_core.voxels.nvf import (
    LookCodes,
    Nvf,
    allocate,
    encode_codes,
    find_active,
    sample_positions,
    shared_samples,
)
from neuron_core.voxels.shading import Shader

BOX = np.array([[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]])


def shader(seed: int = 1, mirror: float = -8.0) -> Shader:
    """Random weights: colors depend on codes, normals and directions. A large `mirror` reflects."""
    random = np.random.default_rng(seed)
    spec = HashGridSpec(levels=2, features=2, table_size_log2=8, base_resolution=4, finest_resolution=8)
    width, inputs = 16, spec.width + 3 + 1 + 9
    shapes = {
        "from_code": (width, 8),
        "from_geometry": (width, inputs),
        "hidden": (width, width),
        "lobes": (6, width),
        "tints": (6, 8),
        "mirror": (4, 8),
    }
    weights = {name: random.normal(size=shape) * 0.4 for name, shape in shapes.items()}
    biases = {name: random.normal(size=shape[0]) * 0.2 for name, shape in shapes.items()}
    biases.pop("from_geometry")
    biases["mirror"][0] = mirror
    biases["lobes"] -= 1.0
    tables = random.normal(size=spec.table_shape).astype(np.float32) * 0.3
    as_floats = [{name: a.astype(np.float32) for name, a in part.items()} for part in (weights, biases)]
    return Shader(spec, tables, *as_floats)


def smoke(density: object, resolution: int = 32, box: np.ndarray = BOX, bricks: object = None) -> Nvf:
    """Density [1 / meter] is a function of positions; normals point away from the origin."""
    shape = np.ceil((box[1] - box[0]) / (box[1] - box[0]).max() * resolution / 8 - 1e-6).astype(int)
    nvf = allocate(box, resolution, np.ones(shape, bool) if bricks is None else bricks)
    positions = sample_positions(nvf).astype(np.float64)
    nvf.density[:] = density(positions)
    nvf.normals[:] = positions / np.maximum(np.linalg.norm(positions, axis=-1, keepdims=True), 1e-9)
    active = find_active(nvf.top, nvf.density)
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active)


def solid_ball(resolution: int = 32, radius: float = 0.35) -> Nvf:
    """Opaque, its surface between voxels."""
    voxel = 1.0 / resolution

    def density(positions: np.ndarray) -> np.ndarray:
        inside = radius - np.linalg.norm(positions * [1.0, 1.15, 0.85], axis=-1)
        return np.clip(inside / voxel, -3, 3) * 30 / voxel

    return smoke(density, resolution)


def soft_ball(center: tuple[float, float, float] = (0.0, 0.0, 0.0), most: float = 6.0) -> object:
    """A density that falls off smoothly."""

    def density(positions: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(positions - np.array(center), axis=-1)
        return most * np.clip(1 - distance / 0.45, 0, 1) ** 2 * (3 - 2 * np.clip(1 - distance / 0.45, 0, 1))

    return density


def waves(nvf: Nvf, seed: int = 2, amount: float = 1.0) -> LookCodes:
    """Codes that vary smoothly over space."""
    random = np.random.default_rng(seed)
    positions = sample_positions(nvf).reshape(-1, 3)[nvf.active]
    found = np.sin(positions @ random.normal(size=(3, 8)) * 3 + random.normal(size=8)) * amount
    return encode_codes(found.astype(np.float32))


def shaded(nvf: Nvf, seed: int = 2, mirror: float = -8.0) -> ShadedAsset:
    """A field with a look and the shader of a seed."""
    return ShadedAsset(DeviceField(nvf, shader(seed, mirror)), waves(nvf, seed))


def camera(eye: tuple[float, float, float] = (0.9, 0.7, 1.9), side: int = 72) -> Camera:
    """Looks at the origin, at a square picture."""
    return Camera("view", side, side, 1.6 * side, 1.6 * side, side / 2, side / 2, look_at(eye, (0, 0, 0)))


def drawn(*instances: tuple[ShadedAsset, np.ndarray], view: Camera | None = None) -> Composed:
    """What instances at their places look like."""
    composer = Composer()
    composer.place([Instance(one, np.asarray(matrix, np.float64)) for one, matrix in instances])
    return composer.render(view or camera())


def placed(
    move: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
    turn: float = 0.0,
    shear: float = 0.0,
) -> np.ndarray:
    """A matrix: scale, shear of x by y, turn around an oblique axis, then move."""
    axis = np.array([1.0, 2.0, 3.0]) / np.sqrt(14.0)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross
    skew = np.eye(3)
    skew[0, 1] = shear
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ skew @ np.diag(scale)
    matrix[:3, 3] = move
    return matrix


def decibels(one: np.ndarray, two: np.ndarray) -> float:
    """PSNR of values in [0, 1]."""
    error = float(np.mean((np.clip(one, 0, 1).astype(np.float64) - np.clip(two, 0, 1)) ** 2))
    return -10 * np.log10(max(error, 1e-20))


def aprons_agree(top: np.ndarray, pool: np.ndarray) -> bool:
    """Whether samples that bricks share hold the same in each, for a pool [B, 9, 9, 9, ...]."""
    return all(np.array_equal(pool[first], pool[second]) for first, second in shared_samples(top))
