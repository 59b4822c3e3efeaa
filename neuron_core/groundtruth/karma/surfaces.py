"""From Karma's averaged layers to what one ray through each pixel center hits.

Karma averages positions, normals and ids over the samples of a pixel. Where a pixel shows one smooth
surface, the plane through the mean position gives back the point under its center. Where it shows an
edge, the mean lies on nothing: such pixels continue the surface of a neighbor. Letters: H W pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, pixel_centers, project, rays
from neuron_core.datasets.channels import GBuffer
from neuron_core.datasets.layout import DatasetError
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.groundtruth.karma.pictures import layer, read_beauty, require_layer

WHOLE = 0.999  # alpha of a pixel that the object fills
STRAYED = 1.0  # pixels that a mean position may lie beside its pixel's center
BENT = 0.9  # length of a mean normal below which a pixel shows several surfaces
CENTERED = 1e-2  # pixels beside the center that single samples through it may appear, as floats are rounded
MOSTLY = 0.95  # share of such samples that says that nothing was averaged
GRAZING = 0.08  # cosine below which planes are not extended
OFF = 0.02  # relative difference of two distances that are the same
NEIGHBORS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
PASSES = 4  # how far surfaces are continued, in pixels
PROBES = 16  # points of a surface that are compared with the parts


@dataclass(slots=True, eq=False)
class Layers:
    """What a picture says, in the dataset's world. Means are over the samples that hit."""

    alpha: np.ndarray  # [H, W]
    position: np.ndarray  # [H, W, 3]
    normal: np.ndarray  # [H, W, 3] not normalized
    ids: np.ndarray  # [H, W] as Karma numbers things
    notes: list[str] = field(default_factory=list)


def to_gbuffer(
    path: Path,
    channels: Mapping[str, np.ndarray],
    camera: Camera,
    geometry: Geometry,
    dataset_from_stage: np.ndarray,
) -> tuple[GBuffer, list[str]]:
    """The G-buffer of one picture, and notes for a person. Raises DatasetError for what does not fit."""
    if len(geometry.parts) > 1:
        require_layer(channels, "shape_id", 1, path)
    found = _layers(path, channels, camera, dataset_from_stage)
    rays_o, rays_d = (array.astype(np.float64) for array in rays(camera, *pixel_centers(camera)))
    exact = _exact(found, camera)
    filled = found.alpha >= WHOLE
    hit = exact if filled.any() and exact[filled].mean() > MOSTLY else found.alpha >= 0.5
    sound = (exact | _sound(found, camera)) & hit
    distance, normal, ids = _under_centers(found, rays_o, rays_d, sound)
    mean = ((found.position - rays_o) * rays_d).sum(axis=-1)
    distance, normal, ids, sound = _continued(rays_o, rays_d, mean, (distance, normal, ids), sound, hit)
    lost = hit & ~sound
    if lost.any():
        found.notes.append(f"{path.name}: {int(lost.sum())} pixels show no surface and count as misses.")
    numbers = _part_numbers(rays_o + distance[..., None] * rays_d, ids, sound, geometry)
    facing = (normal * rays_d).sum(axis=-1, keepdims=True)
    normal = np.where(facing > 0, -normal, normal)
    kept = sound[..., None]
    return (
        GBuffer(
            depth=np.where(sound, distance, 0.0).astype(np.float32),
            position=np.where(kept, rays_o + distance[..., None] * rays_d, 0.0).astype(np.float32),
            normal=np.where(kept, normal, 0.0).astype(np.float32),
            coverage=sound.astype(np.float32),
            shape_id=np.where(sound, numbers, 0).astype(np.int32),
        ),
        found.notes,
    )


def _layers(
    path: Path, channels: Mapping[str, np.ndarray], camera: Camera, dataset_from_stage: np.ndarray
) -> Layers:
    alpha = read_beauty(path, channels)[..., 3].astype(np.float64)
    if alpha.shape != (camera.height, camera.width):
        raise DatasetError(
            f"{path} has {alpha.shape[1]} x {alpha.shape[0]} pixels, not {camera.width} x {camera.height}.",
            "Delete it and render it again.",
        )
    normal = require_layer(channels, "N", 3, path).astype(np.float64)
    ids = layer(channels, "shape_id", 1)
    rotation = dataset_from_stage[:3, :3] / np.cbrt(np.linalg.det(dataset_from_stage[:3, :3]))
    within = _misses_within(normal, alpha)
    position = _positions(path, channels, camera, alpha, dataset_from_stage, within)
    numbers = np.zeros(alpha.shape) if ids is None else ids[..., 0].astype(np.float64)
    return Layers(alpha, position, normal @ rotation.T, numbers)


def _positions(
    path: Path,
    channels: Mapping[str, np.ndarray],
    camera: Camera,
    alpha: np.ndarray,
    dataset_from_stage: np.ndarray,
    within: bool,
) -> np.ndarray:
    """Mean positions in the dataset's world: from P of the world or of the camera."""
    raw = require_layer(channels, "P", 3, path)
    depth = layer(channels, "depth", 1)
    filled = alpha >= WHOLE
    scale = float(np.cbrt(np.linalg.det(dataset_from_stage[:3, :3])))
    mean = _over_hits(path, raw.astype(np.float64), alpha, camera, dataset_from_stage, within)
    if depth is not None and filled.any():
        _check_distance(path, depth[..., 0] * scale, mean, camera, filled)
    return mean


def _over_hits(
    path: Path,
    raw: np.ndarray,
    alpha: np.ndarray,
    camera: Camera,
    dataset_from_stage: np.ndarray,
    within: bool,
) -> np.ndarray:
    """Positions that re-project to their pixels: of the world or the camera, misses averaged in or not."""
    filled = alpha >= WHOLE
    share = np.maximum(alpha, 1e-6)[..., None]
    matrix = dataset_from_stage
    scale = np.cbrt(np.linalg.det(matrix[:3, :3]))

    def of_world(values: np.ndarray) -> np.ndarray:
        return values @ matrix[:3, :3].T + matrix[:3, 3]

    def of_camera(values: np.ndarray) -> np.ndarray:
        return scale * values @ camera.c2w[:3, :3].T + camera.position

    errors = {}
    for name, place in (("world", of_world), ("camera", of_camera)):
        strayed = _strayed(place(raw), camera)[filled]
        errors[name] = float(np.median(strayed)) if strayed.size else 0.0
    best = min(errors, key=lambda name: errors[name])
    if not errors[best] <= STRAYED:
        raise DatasetError(
            f"{path}: positions appear {errors[best]:.1f} pixels beside their own pixels.",
            "P has to be the position in the world (ray:hitP), seen from the same camera.",
        )
    place = of_world if best == "world" else of_camera
    plain, divided = place(raw), place(raw / share)
    if best == "camera":  # points on a ray from the eye re-project alike and decide nothing
        return divided if within else plain
    nearer = _strayed(divided, camera) < _strayed(plain, camera)
    return np.where(nearer[..., None], divided, plain)


def _misses_within(normal: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether samples that miss are averaged in as 0: mean normals on edges are then as long as alpha."""
    edge = (alpha > 0.05) & (alpha < 0.95)
    lengths = np.linalg.norm(normal[edge], axis=-1)
    return bool(edge.any()) and float(np.median(lengths - (1.0 + alpha[edge]) / 2)) < 0


def _strayed(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """How far from its pixel's center each position appears, [H, W] pixels; infinite behind the camera."""
    x, y, _ = project(camera, positions)
    center_x, center_y = pixel_centers(camera)
    return np.nan_to_num(np.hypot(x - center_x, y - center_y), nan=np.inf)


def _check_distance(
    path: Path, depth: np.ndarray, positions: np.ndarray, camera: Camera, filled: np.ndarray
) -> None:
    """Raise DatasetError unless depth is the distance to the position, or that along the view axis."""
    away = positions - camera.position
    distance = np.linalg.norm(away, axis=-1)[filled]
    along = (away @ camera.forward)[filled]
    found = depth[filled]
    error = min(float(np.median(np.abs(found - wanted) / wanted)) for wanted in (distance, along))
    if error > OFF:
        raise DatasetError(
            f"{path}: depth is neither the distance to the positions nor their depth; it is {error:.0%} off.",
            "Render with the settings that the dataset node authors.",
        )


def _exact(found: Layers, camera: Camera) -> np.ndarray:
    """Whether a pixel holds one sample through its center, [H, W], as unfiltered layers may."""
    unit = np.abs(np.linalg.norm(found.normal, axis=-1) - 1.0) < 1e-3
    return unit & (_strayed(found.position, camera) < CENTERED)


def _sound(found: Layers, camera: Camera) -> np.ndarray:
    """Whether the mean of a pixel lies on one surface, [H, W]."""
    share = np.maximum(found.alpha, 1e-6)
    lengths = np.linalg.norm(found.normal, axis=-1)
    straight = np.maximum(lengths, np.minimum(lengths / share, 1.0)) > BENT
    near = _strayed(found.position, camera) <= STRAYED
    whole = np.abs(found.ids - np.rint(found.ids)) < 1e-3
    return straight & near & (whole | (found.alpha < WHOLE)) & _even(found, camera)


def _even(found: Layers, camera: Camera) -> np.ndarray:
    """Whether a position lies on the plane of one of its neighbors: means across a step lie on neither."""
    away = np.linalg.norm(found.position - camera.position, axis=-1)
    pixel = away / max(camera.fl_x, 1.0)
    unit = found.normal / np.maximum(np.linalg.norm(found.normal, axis=-1, keepdims=True), 1e-12)
    even = np.zeros(away.shape, bool)
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        there, normal = (_shifted(values, shift) for values in (found.position, unit))
        seen = _shifted(found.alpha[..., None], shift)[..., 0] > 0.5
        gap = np.abs(((found.position - there) * normal).sum(axis=-1))
        step = np.abs(((found.position - there) * unit).sum(axis=-1))
        even |= seen & (gap < 2 * pixel) & (step < 2 * pixel)
    return even


def _shifted(values: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """The neighbor's values [H, W, ...]; 0 beyond the edge."""
    result = np.zeros_like(values)
    down, right = shift
    height, width = values.shape[:2]
    result[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = values[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


def _under_centers(
    found: Layers, rays_o: np.ndarray, rays_d: np.ndarray, sound: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance [H, W], unit normal and id where the ray of each center meets the plane of its pixel."""
    lengths = np.linalg.norm(found.normal, axis=-1, keepdims=True)
    normal = found.normal / np.maximum(lengths, 1e-12)
    distance = _reach(found.position - rays_o, normal, rays_d)
    distance = np.where(sound & (distance > 0), distance, 0.0)
    return distance, normal, np.rint(found.ids)


def _continued(
    rays_o: np.ndarray,
    rays_d: np.ndarray,
    mean: np.ndarray,
    surfaces: tuple[np.ndarray, np.ndarray, np.ndarray],
    sound: np.ndarray,
    hit: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fill pixels that hit something unsound: of the surfaces beside them the one nearest to the mean
    distance [H, W], which is the one that most samples of the pixel saw."""
    distance, normal, ids = surfaces
    for _ in range(PASSES):
        missing = hit & ~sound
        if not missing.any():
            break
        best, chosen = np.full(distance.shape, np.inf), distance.copy()
        best_normal, best_ids = normal.copy(), ids.copy()
        position = rays_o + distance[..., None] * rays_d
        for shift in NEIGHBORS:
            known = _shifted(sound[..., None], shift)[..., 0]
            facing = _shifted(normal, shift)
            reach = _reach(_shifted(position, shift) - rays_o, facing, rays_d)
            better = missing & known & (reach > 0) & (np.abs(reach - mean) < best)
            best = np.where(better, np.abs(reach - mean), best)
            chosen = np.where(better, reach, chosen)
            best_normal = np.where(better[..., None], facing, best_normal)
            best_ids = np.where(better, _shifted(ids[..., None], shift)[..., 0], best_ids)
        sound = sound | np.isfinite(best)
        distance, normal, ids = chosen, best_normal, best_ids
    return distance, normal, ids, sound


def _reach(away: np.ndarray, normal: np.ndarray, rays_d: np.ndarray) -> np.ndarray:
    """Where rays meet the planes through points `away` from their origins, [H, W]; along grazing planes
    what is nearest to the point."""
    slope = (rays_d * normal).sum(axis=-1)
    steep = np.abs(slope) > GRAZING
    plane = (away * normal).sum(axis=-1) / np.where(steep, slope, 1.0)
    return np.where(steep, plane, (away * rays_d).sum(axis=-1))


def _part_numbers(
    positions: np.ndarray, ids: np.ndarray, sound: np.ndarray, geometry: Geometry
) -> np.ndarray:
    """Numbers of parts, from 1, [H, W]: each of Karma's ids is the part that its points lie nearest to."""
    numbers = np.zeros(ids.shape, np.int32)
    if len(geometry.parts) == 1:
        numbers[sound] = 1
        return numbers
    for number in np.unique(ids[sound]):
        mine = sound & (ids == number)
        points = positions[mine]
        probes = points[:: max(len(points) // PROBES, 1)][:PROBES]
        gaps = [_gap(probes, part) for part in geometry.parts]
        numbers[mine] = 1 + int(np.argmin(gaps))
    return numbers


def _gap(points: np.ndarray, part: MeshPart) -> float:
    """The mean distance of points [P, 3] to the part; exact for points on it, at least that for others."""
    a, b, c = (part.positions[part.faces[:, corner]].astype(np.float64) for corner in range(3))
    u, v = b - a, c - a
    uu, uv, vv = (u * u).sum(axis=-1), (u * v).sum(axis=-1), (v * v).sum(axis=-1)
    area = np.maximum(uu * vv - uv * uv, 1e-30)
    gaps = []
    for point in points:
        away = point - a
        x, y = (away * u).sum(axis=-1), (away * v).sum(axis=-1)
        s = np.clip((vv * x - uv * y) / area, 0.0, 1.0)
        t = np.clip((uu * y - uv * x) / area, 0.0, 1.0 - s)
        gaps.append(np.linalg.norm(away - s[:, None] * u - t[:, None] * v, axis=-1).min())
    return float(np.mean(gaps))
