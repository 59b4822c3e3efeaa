"""Camera moves through key poses: centripetal Catmull-Rom for where, slerp for which way.

The centripetal curve (Yuksel, Schaefer and Keyser 2011) passes through all keys and makes no loops
or cusps between them. Rotations take the shortest way from key to key.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuron_core.cameras.camera import Camera, CameraError

LENS = ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A camera at a time, which is a frame number or anything else that ascends."""

    time: float
    camera: Camera


@dataclass(frozen=True, slots=True, eq=False)
class CameraPath:
    """A move through keys. Before the first and after the last one it holds.

    `ease` is how much of each end is used to get going and to stop: 0 is even speed from key to key,
    1 starts and ends at rest. Raises CameraError without keys or with two at one time.
    """

    keys: tuple[Key, ...]
    ease: float = 0.0

    def __post_init__(self) -> None:
        times = [key.time for key in self.keys]
        if not times or not all(math.isfinite(time) for time in times):
            raise CameraError(f"A camera path needs keys at finite times, not {times}.")
        if any(later <= earlier for earlier, later in zip(times, times[1:], strict=False)):
            raise CameraError(f"The keys of a camera path ascend in time, not {times}.")
        if not 0.0 <= self.ease <= 1.0:
            raise CameraError(f"An ease of {self.ease:g} is not in 0..1.")

    def at(self, time: float, name: str | None = None) -> Camera:
        """The camera at a time, called `name` or like the key before it."""
        first, last = self.keys[0].time, self.keys[-1].time
        time = min(max(float(time), first), last)
        if last > first:
            time = first + (last - first) * eased((time - first) / (last - first), self.ease)
        after = next((index for index, key in enumerate(self.keys) if key.time >= time), len(self.keys) - 1)
        before = max(after - 1, 0)
        one, two = self.keys[before], self.keys[after]
        part = (time - one.time) / (two.time - one.time) if two.time > one.time else 0.0
        pose = np.eye(4)
        pose[:3, :3] = slerp(one.camera.c2w[:3, :3], two.camera.c2w[:3, :3], part)
        pose[:3, 3] = self._position(before, part)
        lens = {
            field: (1 - part) * getattr(one.camera, field) + part * getattr(two.camera, field)
            for field in LENS
        }
        return replace(one.camera, name=name or one.camera.name, c2w=pose, **lens)

    def cameras(self, times: Sequence[float | int], prefix: str = "path") -> list[Camera]:
        """The cameras at many times, numbered."""
        return [self.at(float(time), f"{prefix}_{index:04d}") for index, time in enumerate(times)]

    def _position(self, before: int, part: float) -> np.ndarray:
        points = np.array([key.camera.position for key in self.keys])
        if len(points) == 1:
            return np.asarray(points[0])
        ahead = min(before + 1, len(points) - 1)
        # Beyond the ends the curve is mirrored at them.
        back = points[before - 1] if before > 0 else 2 * points[before] - points[ahead]
        far = points[ahead + 1] if ahead + 1 < len(points) else 2 * points[ahead] - points[before]
        return centripetal(back, points[before], points[ahead], far, part)


def eased(part: float, ease: float) -> float:
    """[0, 1] to [0, 1], ascending; with an ease of 1 it starts and ends at rest."""
    return (1.0 - ease) * part + ease * part * part * (3.0 - 2.0 * part)


def centripetal(p0: np.ndarray, p1: np.ndarray, p2: np.ndarray, p3: np.ndarray, part: float) -> np.ndarray:
    """The point [3] a part of the way from p1 to p2, by the pyramid of Barry and Goldman (1988)."""
    steps = [math.sqrt(float(np.linalg.norm(b - a))) for a, b in ((p0, p1), (p1, p2), (p2, p3))]
    if steps[1] <= 0.0:
        return np.asarray(p1 + part * (p2 - p1))
    steps = [step if step > 1e-9 * steps[1] else steps[1] for step in steps]
    t1 = steps[0]
    t2, t3 = t1 + steps[1], t1 + steps[1] + steps[2]
    t = t1 + part * steps[1]

    def mixed(a: np.ndarray, b: np.ndarray, start: float, end: float) -> np.ndarray:
        return np.asarray(((end - t) * a + (t - start) * b) / (end - start))

    a1, a2, a3 = mixed(p0, p1, 0.0, t1), mixed(p1, p2, t1, t2), mixed(p2, p3, t2, t3)
    return mixed(mixed(a1, a2, 0.0, t2), mixed(a2, a3, t1, t3), t1, t2)


def slerp(one: np.ndarray, two: np.ndarray, part: float) -> np.ndarray:
    """The rotation [3, 3] a part of the way from one to another, the shortest way at even speed."""
    turn = one.T @ two
    cosine = min(max((float(np.trace(turn)) - 1) / 2, -1.0), 1.0)
    angle = math.acos(cosine)
    if angle < 1e-9:
        return np.asarray(one)
    if math.pi - angle < 1e-6:  # half a turn: the axis is the eigenvector of 1
        values, vectors = np.linalg.eigh((turn + turn.T) / 2)
        axis = vectors[:, int(np.argmax(values))]
    else:
        axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        axis = axis / (2 * math.sin(angle))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    moved = part * angle
    return np.asarray(one @ (np.eye(3) + math.sin(moved) * cross + (1 - math.cos(moved)) * cross @ cross))
