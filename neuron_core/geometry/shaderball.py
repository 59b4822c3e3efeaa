"""The built-in shader ball, one meter tall, made from closed forms.

A spherical shell with a rounded three-sided opening (about an octant) shows an inner ball on a
stem; it rests in a collar on a neutral base. Every part is closed, no part touches another (gaps
of a millimeter and more, so that refractive materials have clean interfaces), and normals are
exact. Before recentering the frame is on the ground: y = 0 is the underside of the foot, the
axis of the base is the Y axis and the opening faces +Z.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import asin, cos, pi, radians, sin, sqrt

import numpy as np

from neuron_core.geometry.mesh import Geometry, GeometryError, MeshPart
from neuron_core.geometry.revolve import Grid, Segment, arc, joined, line, revolve

BALL_HEIGHT = 0.6  # of the center of shell and core, meters
OUTER_RADIUS = 0.4
INNER_RADIUS = 0.345
LIP_RADIUS = 0.010  # rounding of the opening's two edges
OPENING_CORNER = radians(9.0)  # angular radius of the opening's rounded corners
OPENING_HALF_WIDTH = radians(48.0)  # azimuth on either side of +Z
OPENING_LOWER_TILT = radians(7.0)  # how far its lower edge rises above the equator in front
CORE_RADIUS = 0.25
STEM_RADIUS = 0.06
GAP = 0.001


def shader_ball(detail: int = 192) -> Geometry:
    """The ball with `detail` segments around its circles (16 and more).

    Parts "shell", "core" and "collar" take the material, "base" is neutral. Curves are met at
    the vertices; in between the default stays within 0.1 mm.
    """
    if detail < 16:
        raise GeometryError(f"A shader ball needs at least 16 segments, not {detail}.")
    parts = [
        _part("shell", _shell(detail), True),
        _part("core", revolve(_core_profile(detail), detail), True),
        _part("collar", revolve(_collar_profile(detail), detail), True),
        _part("base", revolve(_base_profile(detail), detail), False),
    ]
    return Geometry(tuple(parts), "shaderball", (0.0, 0.5, 0.0), ())


def assigned(ball: Geometry, names: Sequence[str]) -> Geometry:
    """The ball with the material on the parts in `names`; none means the ball's own choice."""
    if not names:
        return ball
    known = [part.name for part in ball.parts]
    for name in names:
        if name not in known:
            raise GeometryError(
                f"The shader ball has no part {name!r}.", f"Its parts are {', '.join(known)}."
            )
    return replace(ball, parts=tuple(replace(part, takes_material=part.name in names) for part in ball.parts))


def _part(name: str, grids: Sequence[Grid], takes_material: bool) -> MeshPart:
    positions, faces, normals = joined(grids)
    recentered = (positions - [0.0, 0.5, 0.0]).astype(np.float32)
    return MeshPart(name, recentered, faces.astype(np.int32), normals.astype(np.float32), takes_material)


# --- shell: a sphere in polar coordinates around the middle of its opening ---


def _shell(detail: int) -> list[Grid]:
    directions, inwards = _opening(detail)
    back = -directions.mean(axis=0)
    back /= np.linalg.norm(back)
    center = np.array([0.0, BALL_HEIGHT, 0.0])
    cap = _geodesics(directions, back, max(8, detail * 3 // 8))  # [rows, columns, 3], opening first
    quarter = np.linspace(0.0, pi / 2, max(4, detail // 24) + 1)[:, None, None]
    outer_normals = np.cos(quarter) * directions + np.sin(quarter) * inwards
    inner_normals = np.sin(quarter) * inwards - np.cos(quarter) * directions
    outer_lip = center + (OUTER_RADIUS - LIP_RADIUS) * directions + LIP_RADIUS * outer_normals
    inner_lip = center + (INNER_RADIUS + LIP_RADIUS) * directions + LIP_RADIUS * inner_normals
    wall = np.stack([outer_lip[-1], inner_lip[-1]])
    outer, inner = center + OUTER_RADIUS * cap, center + INNER_RADIUS * cap
    outer_lip[0], inner_lip[0] = outer[0], inner[0]
    wall_normals = np.broadcast_to(inwards, wall.shape)
    outer_normals[0], inner_normals[0] = cap[0], -cap[0]
    outer_normals[-1] = inner_normals[-1] = inwards
    return [
        (outer[::-1], cap[::-1]),
        (outer_lip, outer_normals),
        (wall, wall_normals),
        (inner_lip[::-1], inner_normals[::-1]),
        (inner, -cap),
    ]


def _geodesics(starts: np.ndarray, end: np.ndarray, segments: int) -> np.ndarray:
    """[segments + 1, N, 3] unit vectors along great circles from each of `starts` [N,3] to `end`."""
    angles = np.arccos(np.clip(starts @ end, -1.0, 1.0))[:, None]
    steps = np.linspace(0.0, 1.0, segments + 1)[:, None, None]
    towards = (np.sin((1.0 - steps) * angles) * starts + np.sin(steps * angles) * end) / np.sin(angles)
    towards[0], towards[-1] = starts, end
    return towards / np.linalg.norm(towards, axis=2, keepdims=True)


def _opening(detail: int) -> tuple[np.ndarray, np.ndarray]:
    """Its edge as unit vectors [N,3] from the ball's center, and the tangents [N,3] that point into it.

    Three great circles, joined by arcs of small circles that touch them; clockwise seen from outside.
    """
    planes = opening_planes()
    edge, inwards = [], []
    for index, plane in enumerate(planes):
        following, previous = planes[(index + 1) % 3], planes[index - 1]
        start = _foot_on(_corner(previous, plane), plane)
        corner = _corner(plane, following)
        end = _foot_on(corner, plane)
        side = _geodesics(start[None], end, max(6, detail // 6))[:-1, 0]
        edge.append(side)
        inwards.append(np.broadcast_to(plane, side.shape))
        arc = _around(corner, end, _foot_on(corner, following), max(6, detail // 10))
        to_corner = corner - arc * np.sum(arc * corner, axis=1, keepdims=True)
        edge.append(arc)
        inwards.append(to_corner / np.linalg.norm(to_corner, axis=1, keepdims=True))
    return np.concatenate(edge)[::-1], np.concatenate(inwards)[::-1]


def opening_planes() -> np.ndarray:
    """[3,3] unit normals of the great circles that bound the opening, pointing into it."""
    half, tilt = OPENING_HALF_WIDTH, OPENING_LOWER_TILT
    return np.array(
        [
            [cos(half), 0.0, sin(half)],
            [0.0, cos(tilt), -sin(tilt)],
            [-cos(half), 0.0, sin(half)],
        ]
    )


def _corner(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The point inside both great circles at the corner's radius from each."""
    together = float(first @ second)
    along = np.cross(first, second)
    share = sin(OPENING_CORNER) / (1.0 + together)
    rest = sqrt(1.0 - 2.0 * share * share * (1.0 + together))
    return share * (first + second) + rest * along / np.linalg.norm(along)


def _foot_on(point: np.ndarray, plane: np.ndarray) -> np.ndarray:
    foot: np.ndarray = point - plane * (point @ plane)
    return foot / np.linalg.norm(foot)


def _around(axis: np.ndarray, start: np.ndarray, end: np.ndarray, segments: int) -> np.ndarray:
    """[segments, 3] points from `start` on the small circle around `axis`, without `end`."""
    along = axis * (start @ axis)
    radial = start - along
    sideways = np.cross(axis, radial)
    span = np.arctan2(end @ sideways, end @ radial)
    angles = np.linspace(0.0, span, segments + 1)[:-1, None]
    return along + np.cos(angles) * radial + np.sin(angles) * sideways


# --- solids of revolution: profiles in the (radius, height) plane ---


def _arc(
    center: tuple[float, float], radius: float, angles: tuple[float, float], side: float, detail: int
) -> Segment:
    share = abs(angles[1] - angles[0]) / (2.0 * pi)
    around_axis = detail if radius > 0.05 else 24 + detail // 4
    return arc(center, radius, angles, side, max(3, round(share * around_axis)))


def _polar(distance: float, angle: float) -> tuple[float, float]:
    """(radius, height) at `distance` from the ball's center and `angle` from straight down."""
    return distance * sin(angle), BALL_HEIGHT - distance * cos(angle)


def _core_profile(detail: int) -> list[Segment]:
    fillet = 0.03
    middle = (0.0, BALL_HEIGHT)
    reach, across = CORE_RADIUS + fillet, STEM_RADIUS + fillet
    fillet_center = (across, BALL_HEIGHT - sqrt(reach * reach - across * across))
    touch = -asin(sqrt(reach * reach - across * across) / reach)
    sole = INNER_RADIUS - GAP
    sole_angle = -pi / 2 + asin(STEM_RADIUS / sole)
    ball = _arc(middle, CORE_RADIUS, (pi / 2, touch), 1.0, detail)
    neck = _arc(fillet_center, fillet, (touch + pi, pi), -1.0, detail)
    bottom = _arc(middle, sole, (sole_angle, -pi / 2), 1.0, detail)
    return [ball, neck, line(neck.points[-1], bottom.points[0]), bottom]


def _collar_profile(detail: int) -> list[Segment]:
    low, high, rounding = radians(27.4), radians(35.5), 0.007
    inner, outer = OUTER_RADIUS + GAP, OUTER_RADIUS + GAP + 0.026
    middle = (0.0, BALL_HEIGHT)
    near = asin(rounding / (inner + rounding))
    far = asin(rounding / (outer - rounding))
    down = -pi / 2
    corners = [
        (_polar(outer - rounding, high - far), (down + high + pi / 2, down + high - far)),
        (_polar(outer - rounding, low + far), (down + low + far, down + low - pi / 2)),
        (_polar(inner + rounding, low + near), (down + low - pi / 2, down + low + near - pi)),
        (_polar(inner + rounding, high - near), (down + high - near + pi, down + high + pi / 2)),
    ]
    rounded = [_arc(center, rounding, angles, 1.0, detail) for center, angles in corners]
    return [
        rounded[0],
        _arc(middle, outer, (down + high - far, down + low + far), 1.0, detail),
        rounded[1],
        line(rounded[1].points[-1], rounded[2].points[0]),
        rounded[2],
        _arc(middle, inner, (down + low + near, down + high - near), -1.0, detail),
        rounded[3],
        line(rounded[3].points[-1], rounded[0].points[0]),
    ]


def _base_profile(detail: int) -> list[Segment]:
    bead, flare, rounding = 0.006, 0.12, 0.012
    foot_height, foot_radius, chamfer = 0.045, 0.312, 0.004
    rim = radians(26.0)
    down = -pi / 2
    bead_center = _polar(OUTER_RADIUS + GAP + bead, rim)
    drop = foot_height + flare - bead_center[1]
    flare_center = (bead_center[0] + sqrt((bead + flare) ** 2 - drop**2), foot_height + flare)
    meets = asin(drop / (bead + flare))
    cup = _arc((0.0, BALL_HEIGHT), OUTER_RADIUS + GAP, (down, down + rim), -1.0, detail)
    rim_bead = _arc(bead_center, bead, (rim + pi / 2, meets), 1.0, detail)
    trumpet = _arc(flare_center, flare, (meets + pi, 1.5 * pi), -1.0, detail)
    edge = _arc((foot_radius - rounding, foot_height - rounding), rounding, (pi / 2, 0.0), 1.0, detail)
    sole = _arc((foot_radius - chamfer, chamfer), chamfer, (0.0, down), 1.0, detail)
    return [
        cup,
        rim_bead,
        trumpet,
        line(trumpet.points[-1], edge.points[0]),
        edge,
        line(edge.points[-1], sole.points[0]),
        sole,
        line(sole.points[-1], np.zeros(2)),
    ]
