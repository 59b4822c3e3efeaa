"""Splits the transform of a light into a rigid frame and sizes."""

from dataclasses import dataclass

import numpy as np

EVEN = 1e-3  # how far scales of axes may differ, relatively, and still count as equal
FLAT = 1e-9  # smallest over largest scale of a transform that still has axes


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Axes [3,3] of a light in the world, as columns, and what the scale makes of its sizes."""

    axes: np.ndarray
    sizes: dict[str, float]  # meters
    exact: bool = True  # whether the shape in the world is still one of its kind


def is_flat(linear: np.ndarray, kind: str) -> bool:
    """Whether a transform [3,3] lacks an axis that a light of that kind needs."""
    needed = linear[:, :2] if kind in ("disk", "rect") else linear
    scales = np.linalg.svd(needed, compute_uv=False)
    return bool(not scales[-1] > FLAT * scales[0])


def frame_of(kind: str, linear: np.ndarray, sizes: dict[str, float]) -> Frame:
    """The frame of a light whose transform [3,3] is finite and not flat, and whose sizes are in its own
    units."""
    if kind in ("dome", "distant"):
        linear = linear / np.abs(linear).max()  # scale does not matter to them
    if kind == "dome":
        return Frame(_nearest_rotation(linear), {}, _is_even(linear))
    if kind == "distant":
        return Frame(_aimed(linear), {})
    return {"sphere": _sphere, "disk": _disk, "rect": _rect, "cylinder": _cylinder}[kind](linear, sizes)


def area_of(kind: str, axes: np.ndarray, sizes: dict[str, float]) -> float:
    """Square meters that emit; 0 for domes and distant lights. The caps of a cylinder do not emit."""
    if kind == "rect":
        return sizes["width"] * sizes["height"] * float(np.linalg.norm(np.cross(axes[:, 0], axes[:, 1])))
    if kind == "cylinder":
        return 2.0 * np.pi * sizes["radius"] * sizes["length"]
    radius = sizes.get("radius", 0.0)
    return {"sphere": 4.0, "disk": 1.0}.get(kind, 0.0) * np.pi * radius * radius


def _sphere(linear: np.ndarray, sizes: dict[str, float]) -> Frame:
    radius = sizes["radius"] * float(np.cbrt(abs(np.linalg.det(linear))))
    return Frame(_nearest_rotation(linear), {"radius": radius}, _is_even(linear))


def _disk(linear: np.ndarray, sizes: dict[str, float]) -> Frame:
    normal, stretch = _normal(linear)
    scale = float(np.sqrt(stretch))
    axes = np.column_stack([linear[:, 0] / scale, linear[:, 1] / scale, normal])
    return Frame(axes, {"radius": sizes["radius"] * scale})


def _rect(linear: np.ndarray, sizes: dict[str, float]) -> Frame:
    normal, _ = _normal(linear)
    across, up = np.linalg.norm(linear[:, :2], axis=0)
    axes = np.column_stack([linear[:, 0] / across, linear[:, 1] / up, normal])
    return Frame(axes, {"width": sizes["width"] * float(across), "height": sizes["height"] * float(up)})


def _cylinder(linear: np.ndarray, sizes: dict[str, float]) -> Frame:
    scales = np.linalg.norm(linear, axis=0)
    radius = sizes["radius"] * float(np.sqrt(scales[1] * scales[2]))
    length = sizes["length"] * float(scales[0])
    unit = linear / scales
    return Frame(
        _nearest_rotation(unit),
        {"radius": radius, "length": length},
        bool(_is_even(unit) and abs(scales[1] - scales[2]) <= EVEN * scales[1:].max()),
    )


def _normal(linear: np.ndarray) -> tuple[np.ndarray, float]:
    """The unit normal of the XY plane on the side of +Z, and how much the plane is stretched."""
    normal = np.cross(linear[:, 0], linear[:, 1])
    stretch = float(np.linalg.norm(normal))
    return normal / (stretch if normal @ linear[:, 2] >= 0.0 else -stretch), stretch


def _aimed(linear: np.ndarray) -> np.ndarray:
    """Unit axes whose Z is exactly that of the transform, whatever the shear."""
    z = linear[:, 2] / np.linalg.norm(linear[:, 2])
    x = linear[:, 0] - (linear[:, 0] @ z) * z
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x) * np.sign(np.linalg.det(linear)), z])


def _nearest_rotation(linear: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(linear)
    return np.asarray(left @ right)


def _is_even(linear: np.ndarray) -> bool:
    scales = np.linalg.svd(linear, compute_uv=False)
    return bool(scales[0] - scales[-1] <= EVEN * scales[0])
