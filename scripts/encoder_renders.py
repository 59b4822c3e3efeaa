"""Small pictures of balls for the prompt encoder to learn from, rendered with Mitsuba."""

import math
from collections.abc import Iterator, Sequence

import mitsuba as mi
import numpy as np

from neuron_core.materials import Material, principled, varying_inputs

VARIANTS = ("llvm_ad_rgb", "scalar_rgb")
RADIUS = 0.5  # metres
_GRID = (96, 192)  # rows and columns of the textures


def choose_variant() -> str:
    """The fastest variant that runs here, made current."""
    for variant in VARIANTS:
        try:
            mi.set_variant(variant)
            mi.load_dict({"type": "sphere"})
            return variant
        except (ImportError, RuntimeError):
            continue
    raise SystemExit("Mitsuba runs in none of its variants here.")


def render_balls(
    materials: Sequence[Material], views: int, size: int, spp: int, seed: int
) -> Iterator[np.ndarray]:
    """[views, size, size, 4] float16 for each material: linear Rec.709, premultiplied alpha.

    Every view has its own light and turn, a function of the seed and the view.
    """
    points = _sphere_points()
    lights = [_softboxes(np.random.default_rng([seed, view])) for view in range(views)]
    for index, material in enumerate(materials):
        pictures = [
            _render(
                material, points, lights[view], 360.0 * view / views, size, spp, seed + index * views + view
            )
            for view in range(views)
        ]
        yield np.stack(pictures)


def _render(
    material: Material, points: np.ndarray, light: np.ndarray, turn: float, size: int, spp: int, seed: int
) -> np.ndarray:
    transform = mi.ScalarTransform4f()
    scene = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 6, "hide_emitters": True},
        "sensor": {
            "type": "perspective",
            "fov": 20.0,
            "to_world": transform.look_at([0.0, 1.0, 3.1], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
            "film": {
                "type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "box"},
                "pixel_format": "rgba", "component_format": "float32",
            },
            "sampler": {"type": "independent", "sample_count": spp},
        },
        "light": {"type": "envmap", "bitmap": mi.Bitmap(light)},
        "ball": {
            "type": "sphere",
            "to_world": transform.rotate([0, 1, 0], turn).rotate([1, 0, 0], -90.0).scale(RADIUS),
            "material": _surface(material, points),
        },
    }  # fmt: skip
    picture = np.array(mi.render(mi.load_dict(scene), spp=spp, seed=mi.UInt32(seed)))
    return np.clip(picture, 0.0, 1000.0).astype(np.float16)


def _surface(material: Material, points: np.ndarray) -> dict[str, object]:
    surface = principled(material).to_dict()
    for name, values in varying_inputs(material, points).items():
        grid = values.reshape(*_GRID, -1)
        surface[name] = {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(grid)), "raw": True}
    return surface


def _sphere_points() -> np.ndarray:
    """[N, 3] object-space points of the texture's cells; the sphere's pole is its Z axis."""
    rows, columns = _GRID
    theta = (np.arange(rows) + 0.5)[:, None] * math.pi / rows
    phi = (np.arange(columns) + 0.5)[None, :] * 2.0 * math.pi / columns
    x, y, z = np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta) + 0.0 * phi
    return (RADIUS * np.stack((x, z, -y), axis=-1)).reshape(-1, 3).astype(np.float32)


def _softboxes(chance: np.random.Generator) -> np.ndarray:
    """[32, 64, 3] float32 radiance: a grey room, darker below, with a few bright windows."""
    light = np.linspace(0.55, 0.12, 32, dtype=np.float32)[:, None, None].repeat(64, axis=1).repeat(3, axis=2)
    for _ in range(4):
        row, column = int(chance.integers(2, 14)), int(chance.integers(0, 64))
        height, width = int(chance.integers(3, 7)), int(chance.integers(4, 12))
        columns = (column + np.arange(width)) % 64
        light[row : row + height, columns] = chance.uniform(3.0, 9.0) * (1.0 + chance.uniform(-0.1, 0.1, 3))
    return light
