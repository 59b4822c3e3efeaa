"""A room by day, seen from inside: walls, a floor, windows and a lamp under the ceiling.

The room is a box around the origin, in meters, with +Y up. What falls on its walls is estimated
from the middles of windows and lamp, without shadows.
"""

from dataclasses import dataclass
from math import pi

import numpy as np

SOFT_EDGE = 0.04  # meters over which windows and lamps fade
CEILING = (1, 1)  # axis and side


@dataclass(frozen=True, slots=True)
class _Panel:
    """A bright rectangle in a face of the room."""

    axis: int  # that it is perpendicular to
    side: int  # 1 at the larger end of the axis, 0 at the smaller
    center: tuple[float, float]  # along the other two axes, in order
    half_size: tuple[float, float]
    upper: np.ndarray  # radiance [3] that comes from above the horizon through it
    lower: np.ndarray  # and from below


@dataclass(frozen=True, slots=True)
class _Room:
    low: np.ndarray  # [3] the corners
    high: np.ndarray
    albedos: np.ndarray  # [3 axes, 2 sides, 3]
    panels: tuple[_Panel, ...]


def room_radiance(directions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Radiance [..., 3] along directions [..., 3] of a room that `random` draws."""
    room = _drawn_room(random)
    with np.errstate(divide="ignore"):
        distances = np.where(directions > 0.0, room.high / directions, room.low / directions)
    axis = distances.argmin(axis=-1)
    distance = np.take_along_axis(distances, axis[..., None], axis=-1)
    places = directions * distance
    side = np.take_along_axis(directions, axis[..., None], axis=-1)[..., 0] > 0.0
    light = np.empty(directions.shape)
    for face in np.ndindex(3, 2):
        on = (axis == face[0]) & (side == face[1])
        light[on] = _face_radiance(room, face, places[on], directions[on])
    return light


def _face_radiance(
    room: _Room, face: tuple[int, int], places: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Radiance [N, 3] of places [N, 3] on a face, seen along directions [N, 3]."""
    light = room.albedos[face] / pi * _irradiance(room, face, places)
    across = [axis for axis in range(3) if axis != face[0]]
    for panel in room.panels:
        if (panel.axis, panel.side) != face:
            continue
        away = np.abs(places[:, across] - np.array(panel.center)) - np.array(panel.half_size)
        shape = np.clip(0.5 - away.max(axis=1) / SOFT_EDGE, 0.0, 1.0)[:, None]
        above = np.clip(0.5 + directions[:, 1:2] / 0.1, 0.0, 1.0)
        seen = panel.lower + (panel.upper - panel.lower) * above
        light = light + shape * (seen - light)
    return light


def _irradiance(room: _Room, face: tuple[int, int], places: np.ndarray) -> np.ndarray:
    """What falls on places [N, 3] of a face: from each panel by its distance, and from all around."""
    total = np.zeros_like(places)
    around = np.zeros(3)
    inward = np.zeros(3)
    inward[face[0]] = -1.0 if face[1] else 1.0
    surface = _surface(room)
    for panel in room.panels:
        area = 4.0 * panel.half_size[0] * panel.half_size[1]
        radiance = (panel.upper + panel.lower) / 2.0
        around = around + radiance * area * pi / surface
        center = np.insert(np.array(panel.center), panel.axis, 0.0)
        center[panel.axis] = (room.high if panel.side else room.low)[panel.axis]
        outward = np.zeros(3)
        outward[panel.axis] = -1.0 if panel.side else 1.0
        way = center - places
        squared = (way * way).sum(axis=1) + area / pi
        cosines = np.maximum(way @ inward, 0.0) * np.maximum(-(way @ outward), 0.0) / squared
        total += (cosines * area / squared)[:, None] * radiance
    return total + around * room.albedos.mean(axis=(0, 1)) / (1.0 - room.albedos.mean(axis=(0, 1)))


def _surface(room: _Room) -> float:
    x, y, z = (room.high - room.low).tolist()
    return float(2.0 * (x * y + y * z + z * x))


def _drawn_room(random: np.random.Generator) -> _Room:
    ends = random.uniform(1.5, 4.0, (2, 3))
    ends[0, 1], ends[1, 1] = random.uniform(0.8, 1.4), random.uniform(1.2, 2.2)  # of floor and ceiling
    low, high = -ends[0], ends[1]
    wall = random.uniform(0.45, 0.8) * (1.0 + random.uniform(-0.25, 0.25, 3))
    albedos = np.tile(np.clip(wall, 0.05, 0.85), (3, 2, 1))
    albedos[1, 0] = random.uniform(0.12, 0.4) * np.array([1.2, 1.0, 0.75])  # floor
    albedos[CEILING] = 0.8
    painted = (int(random.choice([0, 2])), int(random.integers(2)))  # one wall of another color
    albedos[painted] = random.uniform(0.15, 0.7, 3)
    panels = (*_windows(low, high, random), _lamp(low, high, random))
    return _Room(low, high, albedos, panels)


def _windows(low: np.ndarray, high: np.ndarray, random: np.random.Generator) -> tuple[_Panel, ...]:
    """1 to 4 windows side by side in a wall, and perhaps in a second one."""
    day = random.uniform(8.0, 30.0)
    sky = day * (np.array([0.8, 0.95, 1.2]) if random.uniform() < 0.7 else np.array([1.2, 1.0, 0.75]))
    outside = sky * random.uniform(0.2, 0.5) * np.array([0.9, 1.0, 0.7])
    walls = [(int(axis), int(side)) for axis, side in random.permutation([(0, 0), (0, 1), (2, 0), (2, 1)])]
    panels: list[_Panel] = []
    for axis, side in walls[: int(random.integers(1, 3))]:
        other = 2 - axis
        count = int(random.integers(1, 4))
        spacing = (high[other] - low[other]) / count
        half_width = spacing * random.uniform(0.2, 0.42)
        bottom = random.uniform(low[1] + 0.1, low[1] + 1.1)
        top = random.uniform(high[1] - 0.9, high[1] - 0.2)
        for index in range(count):
            along, upright = low[other] + (index + 0.5) * spacing, (bottom + top) / 2.0
            half_height = (top - bottom) / 2.0
            # The other two axes in order: of x walls y and z, of z walls x and y.
            center = (upright, along) if axis == 0 else (along, upright)
            half = (half_height, half_width) if axis == 0 else (half_width, half_height)
            panels.append(_Panel(axis, side, center, half, sky, outside))
    return tuple(panels)


def _lamp(low: np.ndarray, high: np.ndarray, random: np.random.Generator) -> _Panel:
    color = random.uniform(10.0, 60.0) * np.array([1.15, 1.0, random.uniform(0.5, 0.95)])
    x, z = (random.uniform(0.4, 0.6, 2) * (high - low)[[0, 2]] + low[[0, 2]]).tolist()
    half = random.uniform(0.15, 0.5, 2).tolist()
    return _Panel(*CEILING, (x, z), (half[0], half[1]), color, color)
