"""Patterns over an object: pure functions of a point, a scale and a seed.

N points [N, 3] are in object space, never camera space, in units of its longest side: patterns are
as large on a thimble as on a house, seen from as far as each fills the picture. Masks lie in [0, 1]. Only
additions, products, comparisons and square roots of float32 are used on integer hashes, so
that the same point has the same value on every machine and in every chunk. What follows the shape
of the object reads a `Surroundings`; without one the object is open and flat.
"""

from collections.abc import Callable

import numpy as np

from neuron_core.geometry.surroundings import Surroundings
from neuron_core.materials.openpbr import INPUTS
from neuron_core.materials.record import Layer, Material, MaterialError

CHUNK = 1 << 16  # points: the temporaries stay in the cache
FARTHEST = 1e6  # features from the origin; beyond, float32 has no detail left
SMALL_LATTICE = 1 << 12  # nodes that are always worth a table


def varying_parameters(material: Material) -> tuple[str, ...]:
    """The OpenPBR inputs that any layer changes, in the order of the standard."""
    reached = {name for layer in material.layers if layer.amount > 0.0 for name in layer.towards}
    return tuple(name for name in INPUTS if name in reached)


SHAPED = ("edges", "cavities", "settled", "weave")  # kinds that follow the shape of the object


def follows_shape(material: Material) -> bool:
    """Whether any layer needs to know the surroundings of a point."""
    return any(layer.kind in SHAPED and layer.amount > 0.0 for layer in material.layers)


def evaluate(
    material: Material, points: np.ndarray, around: Surroundings | None = None
) -> dict[str, np.ndarray]:
    """Every varying OpenPBR input at `points` [N, 3]: float32 [N], or [N, 3] for colors.

    `around` says how the shape is at those points; without it they are open and flat. Raises
    MaterialError for points that are not finite or too far away for the scale.
    """
    points = _checked(points, material)
    names = varying_parameters(material)
    shapes = {name: (len(points), 3) if INPUTS[name].kind == "color" else (len(points),) for name in names}
    results = {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
    for start in range(0, len(points), CHUNK):
        chunk = np.ascontiguousarray(points[start : start + CHUNK].T)
        near = _part(around, start, len(chunk[0]))
        for name, values in _evaluate_chunk(material, names, chunk, near).items():
            results[name][start : start + CHUNK] = values
    return results


def _part(around: Surroundings | None, start: int, count: int) -> Surroundings:
    return Surroundings.open_and_flat(count) if around is None else around.rows(start, start + count)


def _mask(layer: Layer, columns: np.ndarray, around: Surroundings) -> np.ndarray:
    if layer.kind in _SHAPED_MASKS:
        return _SHAPED_MASKS[layer.kind](layer, columns, around)
    return _MASKS[layer.kind](layer, columns)


def _evaluate_chunk(
    material: Material, names: tuple[str, ...], columns: np.ndarray, around: Surroundings
) -> dict[str, np.ndarray]:
    values = {name: np.asarray(material.value(name), np.float32) for name in names}
    for layer in material.layers:
        if layer.amount == 0.0 or not layer.towards:
            continue
        mask = _mask(layer, columns, around)
        for name, target in layer.towards.items():
            weight = mask[:, None] if INPUTS[name].kind == "color" else mask
            values[name] = values[name] + weight * (np.asarray(target, np.float32) - values[name])
    return {name: np.clip(value, INPUTS[name].low, INPUTS[name].high) for name, value in values.items()}


def _checked(points: np.ndarray, material: Material) -> np.ndarray:
    points = np.asarray(points, np.float32)
    if points.ndim != 2 or points.shape[1] != 3:
        raise MaterialError(f"Points must be [N, 3], not {list(points.shape)}.")
    finest = min((layer.scale for layer in material.layers), default=1.0)
    if points.size and not float(np.abs(points).max()) <= FARTHEST * finest:  # NaN fails too
        raise MaterialError(
            f"Points must be finite and within {FARTHEST * finest:g} m of the origin for {material.name}.",
            "Recenter the object, or use a larger scale.",
        )
    return points


# ---- masks of the kinds of layers; x, y, z are the rows of `columns` [3, N]


def _noise(layer: Layer, columns: np.ndarray) -> np.ndarray:
    return np.float32(layer.amount) * _even(columns, layer.scale, layer.seed, octaves=2)


def _patches(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """Islands with soft edges that cover `amount` of space."""
    level = _even(columns, layer.scale, layer.seed, octaves=3)
    softness = np.float32(layer.softness)
    edge = np.float32(layer.amount) * (1 + softness) - softness
    return _smooth((edge + softness - level) / softness)


def _streaks(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """Lines around the Y axis, as a lathe or a buffing wheel leaves them."""
    x, y, z = columns
    scale = np.float32(layer.scale)
    radius = np.sqrt(x * x + z * z)
    cosine, sine = x / (radius + scale), z / (radius + scale)
    around = (radius + np.float32(1.3) * scale * sine, y + np.float32(0.9) * scale * cosine)
    stretched = np.stack((*around, np.float32(1.7) * scale * cosine))
    return np.float32(layer.amount) * _even(stretched, layer.scale, layer.seed, octaves=2)


def _rings(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """Year rings around a leaning axis beside the object, and fibers along it."""
    x, y, z = columns
    scale = np.float32(layer.scale)
    waver = _fractal(_squeezed(columns, 0.25), 5.0 * layer.scale, layer.seed, octaves=1)
    across = x + np.float32(0.12) * y + 5 * scale
    along = z - np.float32(0.08) * y + 3 * scale
    turns = np.sqrt(across * across + along * along) / scale + np.float32(2.4) * waver
    phase = turns - np.floor(turns)
    late = _smooth(phase / np.float32(0.75)) * _smooth((1 - phase) / np.float32(0.25))
    fiber = _fractal(_squeezed(columns, 0.12), 0.45 * layer.scale, _mix(layer.seed, 100), octaves=1)
    shade = np.float32(0.8) * late + np.float32(0.35) * fiber - np.float32(0.075)
    mask: np.ndarray = np.clip(shade, 0, 1)
    return np.float32(layer.amount) * mask


def _flakes(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """One round spot of its own strength in each of the chosen cells of a tilted grid."""
    shift = [[_mix(layer.seed, 106 + axis) / 2.0**32] for axis in range(3)]
    grid = _tilted(columns, 1) / np.float32(layer.scale) + np.array(shift, np.float32)
    cell = np.floor(grid)
    nodes = cell.astype(np.int32)
    squared = np.zeros(grid.shape[1], np.float32)
    for axis in range(3):
        center = np.float32(0.4) + np.float32(0.2) * _hash(nodes, _mix(layer.seed, 101 + axis))
        offset = grid[axis] - cell[axis] - center
        squared += offset * offset
    chosen = _hash(nodes, _mix(layer.seed, 104)) < np.float32(layer.amount)
    strength = np.float32(0.4) + np.float32(0.6) * _hash(nodes, _mix(layer.seed, 105))
    spots = _smooth((np.float32(0.45) - np.sqrt(squared)) / np.float32(0.2))
    return np.where(chosen, strength * spots, np.float32(0))


PLATE_THICKNESS = 0.05  # half of it, in cells


def _scratches(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """Thin round plates in space, two to a cell: a surface cuts them in short straight lines.

    `amount` is the share of plates that are there, `scale` the size of a cell.
    """
    mask = np.zeros(columns.shape[1], np.float32)
    for family in range(3):
        seed = _mix(layer.seed, 200 + family)
        nodes, inside = _cells(_tilted(columns, family + 1), layer.scale, seed)
        normal = np.stack([_hash(nodes, _mix(seed, axis)) - np.float32(0.5) for axis in range(3)])
        normal /= np.sqrt((normal * normal).sum(axis=0)) + np.float32(1e-6)
        distance = np.abs((normal * inside).sum(axis=0))
        reach = np.sqrt((inside * inside).sum(axis=0))
        line = _smooth((np.float32(PLATE_THICKNESS) - distance) / np.float32(0.4 * PLATE_THICKNESS))
        line *= _smooth((np.float32(0.48) - reach) / np.float32(0.12))
        strength = np.float32(0.45) + np.float32(0.55) * _hash(nodes, _mix(seed, 5))
        there = _hash(nodes, _mix(seed, 4)) < np.float32(layer.amount)
        mask = np.maximum(mask, np.where(there, strength * line, np.float32(0)))
    return mask


def _cells(columns: np.ndarray, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The cell of each point [3, N] int32 and where it lies from its middle, in cells."""
    shift = np.array([[_mix(seed, 306 + axis) / 2.0**32] for axis in range(3)], np.float32)
    grid = columns / np.float32(scale) + shift
    floor = np.floor(grid)
    return floor.astype(np.int32), grid - floor - np.float32(0.5)


def _wave(turns: np.ndarray) -> np.ndarray:
    """A wave of parabolas between -1 and 1, one period a turn."""
    phase = turns - np.floor(turns)
    half = np.where(phase < np.float32(0.5), phase, phase - np.float32(0.5))
    arch = np.float32(16) * half * (np.float32(0.5) - half)
    wave: np.ndarray = np.where(phase < np.float32(0.5), arch, -arch)
    return wave


def _veins(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """Lines where two noises meet, as in marble, creases and cracks; `softness` is their width."""
    warp = _fractal(columns, 0.5 * layer.scale, _mix(layer.seed, 7), octaves=2) - np.float32(0.5)
    moved = columns + np.float32(0.8 * layer.scale) * warp
    level = _even(moved, layer.scale, layer.seed, octaves=1)
    ridge = np.float32(1) - np.abs(level - np.float32(0.5)) / np.float32(layer.softness)
    fade = np.float32(0.35) + np.float32(0.65) * _even(columns, 2.0 * layer.scale, _mix(layer.seed, 8), 1)
    return np.float32(layer.amount) * fade * _smooth(ridge)


def _prints(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """Marks of fingers: a round spot with ridges in each of the chosen cells."""
    nodes, inside = _cells(_tilted(columns, 2), layer.scale, layer.seed)
    bent = _fractal(columns, 0.5 * layer.scale, _mix(layer.seed, 9), octaves=1)
    moved = [_hash(nodes, _mix(layer.seed, 401 + axis)) - np.float32(0.5) for axis in range(6)]
    middle = inside + np.float32(0.24) * np.stack(moved[:3])
    core = middle + np.float32(0.3) * np.stack(moved[3:])
    reach = np.sqrt((middle * middle).sum(axis=0))
    around = np.sqrt((core * core).sum(axis=0))
    ridges = np.float32(0.72) + np.float32(0.28) * _wave(np.float32(9) * around + np.float32(1.5) * bent)
    spot = _smooth((np.float32(0.37) - reach) / np.float32(0.10))
    there = _hash(nodes, _mix(layer.seed, 408)) < np.float32(layer.amount)
    return np.where(there, spot * ridges, np.float32(0))


def _runs(layer: Layer, columns: np.ndarray) -> np.ndarray:
    """Marks that run down, along Y; they cover `amount` of space."""
    level = _even(_squeezed(columns, 0.16), layer.scale, layer.seed, octaves=2)
    softness = np.float32(layer.softness)
    edge = np.float32(layer.amount) * (1 + softness) - softness
    return _smooth((edge + softness - level) / softness)


_MASKS: dict[str, Callable[[Layer, np.ndarray], np.ndarray]] = {
    "noise": _noise,
    "patches": _patches,
    "streaks": _streaks,
    "rings": _rings,
    "flakes": _flakes,
    "scratches": _scratches,
    "veins": _veins,
    "prints": _prints,
    "runs": _runs,
}


# ---- masks that follow the shape: `amount` 0 shows nothing, 1 spills over onto what is open and flat


def _edges(layer: Layer, columns: np.ndarray, around: Surroundings) -> np.ndarray:
    """Convex edges, where things wear first."""
    drive = np.clip(np.float32(2.6) * around.convexity, 0, 1)
    return _driven(layer, columns, drive)


def _cavities(layer: Layer, columns: np.ndarray, around: Surroundings) -> np.ndarray:
    """Places that little light and no cloth reaches."""
    drive = np.clip(np.float32(2.0) * (around.occlusion - np.float32(0.12)), 0, 1)
    return _driven(layer, columns, drive)


def _settled(layer: Layer, columns: np.ndarray, around: Surroundings) -> np.ndarray:
    """What faces up under an open sky."""
    open_sky = np.float32(1) - np.float32(0.5) * around.occlusion
    return _driven(layer, columns, np.clip(around.normals[:, 1], 0, 1) * open_sky)


def _weave(layer: Layer, columns: np.ndarray, around: Surroundings) -> np.ndarray:
    """Threads over and under each other, laid onto each surface along the axes; `scale` is a thread."""
    shift = np.array([[_mix(layer.seed, 306 + axis) / 2.0**31] for axis in range(3)], np.float32)
    waver = np.float32(0.6) * _fractal(columns, 6.0 * layer.scale, layer.seed, octaves=1)
    x, y, z = (_wave(axis) for axis in columns / np.float32(2.0 * layer.scale) + shift + waver)
    facing = around.normals.T * around.normals.T
    facing = facing * facing + np.float32(1e-3)
    facing /= facing.sum(axis=0)
    crossing = facing[0] * y * z + facing[1] * z * x + facing[2] * x * y
    return np.float32(layer.amount) * _smooth(np.float32(0.5) + np.float32(0.75) * crossing)


def _driven(layer: Layer, columns: np.ndarray, drive: np.ndarray) -> np.ndarray:
    level = _even(columns, layer.scale, layer.seed, octaves=2)
    value = drive + np.float32(0.55) * (level - np.float32(0.5))
    threshold = np.float32(1.3) * (np.float32(1) - np.float32(layer.amount))
    if layer.amount == 0.0:
        return np.zeros_like(value)
    return _smooth((value - threshold) / np.float32(layer.softness) + np.float32(0.5))


_SHAPED_MASKS: dict[str, Callable[[Layer, np.ndarray, Surroundings], np.ndarray]] = {
    "edges": _edges,
    "cavities": _cavities,
    "settled": _settled,
    "weave": _weave,
}

# ---- noise


def _fractal(columns: np.ndarray, scale: float, seed: int, octaves: int) -> np.ndarray:
    """Octaves of value noise in [0, 1] around 0.5; each halves the size and the weight."""
    total = np.zeros(columns.shape[1], np.float32)
    weights = [0.5**octave for octave in range(octaves)]
    for octave, weight in enumerate(weights):
        columns = _tilted(columns, 1)
        grid = columns * np.float32(2.0**octave / scale)
        total += np.float32(weight / sum(weights)) * _lattice_noise(grid, _mix(seed, octave))
    return total


def _tilted(columns: np.ndarray, turns: int) -> np.ndarray:
    """Turned by the angles of the 3-4-5 and 5-12-13 triangles, so that octaves share no axes."""
    x, y, z = columns
    for _ in range(turns):
        x, z = np.float32(0.8) * x + np.float32(0.6) * z, np.float32(0.8) * z - np.float32(0.6) * x
        y, z = (
            np.float32(12 / 13) * y + np.float32(5 / 13) * z,
            np.float32(12 / 13) * z - np.float32(5 / 13) * y,
        )
    return np.stack((x, y, z))


def _squeezed(columns: np.ndarray, along: float) -> np.ndarray:
    return columns * np.array([[1.0], [along], [1.0]], np.float32)


def _lattice_noise(grid: np.ndarray, seed: int) -> np.ndarray:
    """Random values of the integer nodes, interpolated smoothly; uniform in [0, 1) at nodes."""
    floor = np.floor(grid)
    fraction = grid - floor
    tx, ty, tz = fraction * fraction * fraction * (fraction * (fraction * 6 - 15) + 10)
    corner = _corners(floor.astype(np.int32), seed)
    planes = []
    for dx in (0, 1):
        rows = []
        for dy in (0, 1):
            near, far = corner(dx, dy, 0), corner(dx, dy, 1)
            rows.append(near + tz * (far - near))
        planes.append(rows[0] + ty * (rows[1] - rows[0]))
    noise: np.ndarray = planes[0] + tx * (planes[1] - planes[0])
    return noise


def _corners(nodes: np.ndarray, seed: int) -> Callable[[int, int, int], np.ndarray]:
    """The values of neighbors of `nodes` [3, N]: from a small table where they are dense, else hashed."""
    low = nodes.min(1)
    sizes = [int(size) for size in nodes.max(1).astype(np.int64) - low + 2]
    if sizes[0] * sizes[1] * sizes[2] > 4 * nodes.shape[1] + SMALL_LATTICE:
        return lambda dx, dy, dz: _hash(nodes + np.array([[dx], [dy], [dz]], np.int32), seed)
    axes = [np.arange(size, dtype=np.int32) + start for start, size in zip(low, sizes, strict=True)]
    table = _hash(np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1), seed)
    steps = (sizes[1] * sizes[2], sizes[2], 1)
    x, y, z = nodes - low[:, None]
    index = (x * steps[0] + y * steps[1] + z).astype(np.intp)
    return lambda dx, dy, dz: table[index + (dx * steps[0] + dy * steps[1] + dz)]


def _hash(nodes: np.ndarray, seed: int) -> np.ndarray:
    """Uniform float32 in [0, 1) of integer nodes [3, N]."""
    x, y, z = np.ascontiguousarray(nodes, np.int32).view(np.uint32)
    bits = _scramble(x ^ np.uint32(seed))
    bits = _scramble(bits + y)
    bits = _scramble(bits + z)
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def _scramble(bits: np.ndarray) -> np.ndarray:
    """A bijection of 32 bits in which every input bit reaches every output bit."""
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
    bits = bits ^ (bits >> np.uint32(16))
    return bits


def _mix(seed: int, index: int) -> int:
    """A new 32-bit seed from a seed and a small number."""
    return int(_scramble(np.array([(seed + 0x9E3779B9 * (index + 1)) & 0xFFFFFFFF], np.uint32))[0])


def _even(columns: np.ndarray, scale: float, seed: int, octaves: int) -> np.ndarray:
    """Fractal noise spread about evenly over [0, 1], so that thresholds cover what they say."""
    weights = [0.5**octave for octave in range(octaves)]
    deviation = 0.2 * sum(weight**2 for weight in weights) ** 0.5 / sum(weights)  # 0.2 for one octave
    noise = _fractal(columns, scale, seed, octaves)
    return _smooth((noise - np.float32(0.5)) / np.float32(4.5 * deviation) + np.float32(0.5))


def _smooth(value: np.ndarray) -> np.ndarray:
    clipped = np.clip(value, 0, 1)
    eased: np.ndarray = clipped * clipped * (3 - 2 * clipped)
    return eased
