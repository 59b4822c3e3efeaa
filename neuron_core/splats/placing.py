"""Where splats go: on the surface that a baked field shows, the finer the more it bends or changes.

Letters in shapes: R rays that met something, N splats.
"""

from dataclasses import dataclass, replace

import numpy as np

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.cameras.dome import fibonacci_dome, field_of_view, framing_distance
from neuron_core.foundation import interrupts
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.splats.cloud import Splats, quaternions_of, rotation_matrices
from neuron_core.splats.harmonics import CONSTANT

FOCAL_MM, APERTURE_MM = 50.0, 36.0
SOLID = 0.5  # opacity of what counts as surface
COVERING = 0.62  # standard deviations of a splat, in distances between splats
THIN = 0.18  # the one along the normal
FIRST_OPACITY = 0.9
FINE = 1 / 1.5  # distance between splats where the surface bends or changes, and elsewhere 1
BUSY = 0.4  # part of the surface that gets the fine distance
STEP_BACK = 1.0  # voxels from where a point is looked at again
SUNK = 0.9  # pixels by which splats lie below the surface
THICKNESS = 0.3  # the most of what is there by which they do
OFFSET = (1 << 20) - 1


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """Points that cameras all around an object see."""

    positions: np.ndarray  # [R, 3] float32
    normals: np.ndarray  # [R, 3] unit
    colors: np.ndarray  # [R, 3] sRGB
    areas: np.ndarray  # [R] of the surface that the ray stands for, shared with no other ray of its camera


def viewing_dome(
    aabb: np.ndarray, count: int, size: int, lowest: float, highest: float, seed: int, margin: float = 1.05
) -> list[Camera]:
    """Cameras around the box [2, 3] that see all of it, between two elevations in degrees."""
    low, high = np.asarray(aabb, np.float64)
    fov = field_of_view(FOCAL_MM, APERTURE_MM, size, size)
    radius = framing_distance(float(np.linalg.norm(high - low)) / 2, fov, margin)
    return fibonacci_dome(
        count,
        (low + high) / 2,
        radius,
        lowest_elevation_deg=lowest,
        highest_elevation_deg=highest,
        width=size,
        height=size,
        focal_mm=FOCAL_MM,
        aperture_mm=APERTURE_MM,
        seed=seed,
        prefix="splat",
    )


def surface_points(
    renderer: BakedRenderer, aabb: np.ndarray, voxel_size: float, cameras: int = 192, size: int = 160
) -> SurfacePoints:
    """What rays from all around meet first."""
    found: list[tuple[np.ndarray, ...]] = []
    for camera in viewing_dome(aabb, cameras, size, -80.0, 86.0, seed=3):
        interrupts.stop_if_requested()
        rays_o, rays_d = (array.reshape(-1, 3) for array in rays(camera, *pixel_centers(camera)))
        seen = renderer.trace(rays_o, rays_d, camera.width)
        solid = seen.alpha > SOLID
        normals, directions, depths = seen.normal[solid], rays_d[solid], seen.depth[solid]
        facing = np.maximum(-(normals * directions).sum(axis=-1), 0.2)
        along = directions @ -camera.c2w[:3, 2].astype(np.float32)  # cosine to the view axis
        areas = (depths / camera.fl_x) ** 2 * along**3 / facing
        straight = seen.rgb[solid] / seen.alpha[solid, None]
        found.append((rays_o[solid] + depths[:, None] * directions, normals, linear_to_srgb(straight), areas))
    positions, normals, colors, areas = (np.concatenate(parts) for parts in zip(*found, strict=True))
    met, sure = _confirmed(renderer, positions, normals, voxel_size)
    return SurfacePoints(*(array[sure].astype(np.float32) for array in (met, normals, colors, areas)))


def _confirmed(
    renderer: BakedRenderer, positions: np.ndarray, normals: np.ndarray, voxel_size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where rays against the normals meet the surface, and whether that is where the points are.

    At edges a ray sees a little of what is near and a little of what is far; its mean depth is the
    place of neither.
    """
    back = np.float32(STEP_BACK * voxel_size)
    seen = renderer.trace(positions + back * normals, -normals)
    sure = (seen.alpha > SOLID) & (np.abs(seen.depth - back) < voxel_size)
    return positions + (back - seen.depth)[:, None] * normals, sure


def place(points: SurfacePoints, count: int) -> Splats:
    """About `count` splats, and not more, on the surface that the points lie on, each in one color, sRGB."""
    fine = _busy(points, count)
    low, high = 1e-7, float(np.ptp(points.positions, axis=0).max()) + 1e-6
    for _ in range(14):
        middle = float(np.sqrt(low * high))
        if len(np.unique(_cells(points, middle, fine))) > count:
            low = middle
        else:
            high = middle
    return _clustered(points, _cells(points, high, fine), high * np.where(fine, FINE, 1.0))


def sunk(splats: Splats, renderer: BakedRenderer, pixel: float) -> Splats:
    """The splats a little below the surface, where viewers widen them by about half a `pixel` (meters).

    What is widened would else stand out all around: many splats that are seen from the side add up to
    something solid up to two standard deviations beyond their centers. Thin sheets keep their sides.
    """
    normals = rotation_matrices(splats.rotations)[:, :, 2].astype(np.float32)
    reach = np.float32(SUNK * pixel / THICKNESS)
    behind = renderer.trace(splats.positions - reach * normals, normals)
    thickness = np.where(behind.alpha > SOLID, reach - behind.depth, reach).clip(0.0, reach)
    down = (THICKNESS * thickness).astype(np.float32)
    return replace(splats, positions=splats.positions - down[:, None] * normals)


def _busy(points: SurfacePoints, count: int) -> np.ndarray:
    """Which points [R] lie where normals or colors differ most within the reach of a few splats."""
    spacing = 2.5 * np.sqrt(_visible_area(points) / max(count, 1))
    _, members = np.unique(_cells(points, spacing, np.zeros(len(points.areas), bool)), return_inverse=True)
    features = np.concatenate([points.normals, 1.5 * points.colors], axis=1)
    means, sizes = _means(features, members)
    spread = np.bincount(members, ((features - means[members]) ** 2).sum(axis=1)) / sizes
    score = spread[members]
    return score > np.quantile(score, 1 - BUSY) if len(score) else score > 0


def _visible_area(points: SurfacePoints) -> float:
    """Roughly: the box's diagonal tells the order of magnitude, which is enough to start from."""
    extent = np.ptp(points.positions, axis=0) if len(points.positions) else np.ones(3)
    return float(2 * (extent[0] * extent[1] + extent[1] * extent[2] + extent[2] * extent[0]))


def _cells(points: SurfacePoints, spacing: float, fine: np.ndarray) -> np.ndarray:
    """The cell of a grid that each point lies in, [R] int64; both sides of a thin sheet are kept apart."""
    steps = spacing * np.where(fine, FINE, 1.0)
    places = np.floor(points.positions.astype(np.float64) / steps[:, None]).astype(np.int64) & OFFSET
    dominant = np.abs(points.normals).argmax(axis=1)
    side = np.take_along_axis(points.normals, dominant[:, None], axis=1)[:, 0] > 0
    keys = (places[:, 0] << 42) ^ (places[:, 1] << 22) ^ (places[:, 2] << 2)
    return np.asarray(keys ^ (side.astype(np.int64) << 1) ^ fine)


def _means(values: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.bincount(members)
    sums = np.stack([np.bincount(members, values[:, axis]) for axis in range(values.shape[1])], axis=1)
    return sums / sizes[:, None], sizes


def _clustered(points: SurfacePoints, cells: np.ndarray, spacings: np.ndarray) -> Splats:
    """A splat for each cell: in the middle of its points, flat, shorter in the direction that bends."""
    _, members = np.unique(cells, return_inverse=True)
    centers, sizes = _means(points.positions, members)
    normals, _ = _means(points.normals, members)
    spacing = np.bincount(members, spacings) / sizes
    bends = points.normals - normals[members]
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    products = (bends[:, :, None] * bends[:, None, :]).reshape(-1, 9)
    spread, _ = _means(products, members)
    axes, bending = _tangents(normals, spread.reshape(-1, 3, 3))
    scales = spacing[:, None] * np.stack(
        [COVERING / np.sqrt(1 + 2 * bending), np.full_like(spacing, COVERING), THIN + 0.2 * bending], axis=1
    )
    count = len(centers)
    colors = np.zeros((count, 16, 3), np.float32)
    colors[:, 0] = (_means(points.colors, members)[0] - 0.5) / CONSTANT
    return Splats(
        centers.astype(np.float32),
        quaternions_of(axes),
        scales.astype(np.float32),
        np.full(count, FIRST_OPACITY, np.float32),
        colors,
    )


def _tangents(normals: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axes [N, 3, 3] as columns, the first along which the surface bends most, the last the normal; and
    how much it bends there within a splat, [N] in [0, 1]."""
    _, vectors = np.linalg.eigh(spread + 1e-12 * np.eye(3))
    first = vectors[:, :, 2]
    first -= (first * normals).sum(axis=1, keepdims=True) * normals
    helper = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    instead = np.cross(normals, helper)
    short = np.linalg.norm(first, axis=1, keepdims=True)
    first = np.where(
        short > 1e-3,
        first / np.maximum(short, 1e-9),
        instead / np.linalg.norm(instead, axis=1, keepdims=True),
    )
    second = np.cross(normals, first)
    bending = np.sqrt(np.maximum(np.einsum("ni,nij,nj->n", first, spread, first), 0.0))
    return np.stack([first, second, normals], axis=-1), np.minimum(bending * 3, 1.0)
