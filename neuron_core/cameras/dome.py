"""Cameras around an object: even domes, turntables, and their distance."""

import math

import numpy as np

from neuron_core.cameras.camera import Camera, CameraError, Point, look_at

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def field_of_view(focal_mm: float, aperture_mm: float, width: int, height: int) -> float:
    """The smaller one of the horizontal and vertical angles, in radians.

    `aperture_mm` is the width of the film gate; pixels are square.
    """
    narrow = aperture_mm * min(1.0, height / width)
    return 2 * math.atan(narrow / (2 * focal_mm))


def framing_distance(bounding_radius: float, fov: float, margin: float = 1.05) -> float:
    """How far from the center of a sphere a camera sees the whole of it.

    At margin 1 the cone of view (`fov` in radians) touches the sphere; larger is further away.
    """
    if not (bounding_radius > 0 and 0 < fov < math.pi and margin >= 1):
        raise CameraError(f"Cannot frame a radius of {bounding_radius:g} in {fov} radians, margin {margin}.")
    return bounding_radius / math.sin(fov / 2) * margin


def fibonacci_dome(
    count: int,
    center: Point,
    radius: float,
    *,
    lowest_elevation_deg: float = -10.0,
    highest_elevation_deg: float = 85.0,
    width: int = 128,
    height: int = 128,
    focal_mm: float = 50.0,
    aperture_mm: float = 36.0,
    seed: int = 0,
    prefix: str = "view",
) -> list[Camera]:
    """Cameras on the sphere of `radius` around `center`, evenly spread between two elevations.

    They look at the center, upright. The seed turns the spiral and shifts it along its length; the
    names are `<prefix>_000` and on, from the lowest camera to the highest.
    """
    if count < 0 or not -90 <= lowest_elevation_deg <= highest_elevation_deg <= 90:
        raise CameraError(
            f"No dome of {count} cameras from {lowest_elevation_deg:g} to {highest_elevation_deg:g} degrees.",
            "Elevations run from -90 (below) to 90 (above), the lowest first.",
        )
    turn, shift = np.random.default_rng(seed).random(2)
    low, high = (math.sin(math.radians(angle)) for angle in (lowest_elevation_deg, highest_elevation_deg))
    heights = low + (np.arange(count) + shift) / max(count, 1) * (high - low)
    azimuths = 2 * math.pi * turn + np.arange(count) * GOLDEN_ANGLE
    elevations = np.arcsin(np.clip(heights, -1, 1))
    return [
        _orbiting(f"{prefix}_{index:03d}", center, radius, *angles, width, height, focal_mm, aperture_mm)
        for index, angles in enumerate(zip(azimuths, elevations, strict=True))
    ]


def turntable(
    count: int,
    center: Point,
    radius: float,
    elevation_deg: float = 20.0,
    *,
    width: int = 128,
    height: int = 128,
    focal_mm: float = 50.0,
    aperture_mm: float = 36.0,
    start_deg: float = 0.0,
    prefix: str = "turn",
) -> list[Camera]:
    """Cameras on one circle around the Y axis through `center`, a full turn in equal steps.

    The first one is at +Z for a start of 0; they move towards +X.
    """
    elevation = math.radians(elevation_deg)
    azimuths = [math.radians(start_deg) + 2 * math.pi * index / max(count, 1) for index in range(count)]
    return [
        _orbiting(
            f"{prefix}_{index:03d}", center, radius, azimuth, elevation, width, height, focal_mm, aperture_mm
        )
        for index, azimuth in enumerate(azimuths)
    ]


def portrait(aabb: np.ndarray, side: int, azimuth_deg: float = 0.0) -> Camera:
    """A square thumbnail of what is in the box [2, 3]: `side` pixels, from slightly above.

    Corners of the box may be cut off: most objects do not reach them.
    """
    center = (aabb[0] + aabb[1]) / 2
    radius = float(np.linalg.norm(aabb[1] - aabb[0])) / 2
    distance = framing_distance(radius * 0.85, field_of_view(50.0, 36.0, side, side))
    return turntable(1, center.tolist(), distance, 15.0, width=side, height=side, start_deg=azimuth_deg)[0]


def _orbiting(
    name: str,
    center: Point,
    radius: float,
    azimuth: float,
    elevation: float,
    width: int,
    height: int,
    focal_mm: float,
    aperture_mm: float,
) -> Camera:
    direction = np.array(
        [
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
            math.cos(elevation) * math.cos(azimuth),
        ]
    )
    target = np.asarray(center, np.float64)
    focal = focal_mm / aperture_mm * width
    pose = look_at(target + radius * direction, target)
    return Camera(name, width, height, focal, focal, width / 2, height / 2, pose)
