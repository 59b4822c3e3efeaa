"""What is measured with, built on first use and kept."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from neuron_core.bench.config import BenchConfig
from neuron_core.cameras.camera import Camera
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.demo.config import DemoConfig
from neuron_core.demo.run import run as run_demo
from neuron_core.foundation.progress import Reporter
from neuron_core.rendering.baked import FAST, BakedRenderer
from neuron_core.voxels.baked import Baked, read_baked
from neuron_core.voxels.nvf import Nvf, allocate, brick_coordinates, find_active, lattice, sample_positions

Made = TypeVar("Made")
QUARTER = 0.25  # of the picture is covered


@dataclass(frozen=True, slots=True)
class Demo:
    """A trained and baked shader ball and what it was trained on."""

    asset: Path
    dataset: Path | None  # None if the asset was given


class Inputs:
    """Settings, and inputs as figures ask for them."""

    def __init__(self, config: BenchConfig, report: Reporter) -> None:
        self.device = config.device
        self.runs = config.runs
        self.quick = config.quick
        self.report = report
        self.folder = config.inputs or config.out.with_name(f"{config.out.stem}-inputs")
        self._given = config.asset
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What several figures need, made for the first of them."""
        if name not in self._made:
            self._made[name] = make()
        found: Made = self._made[name]
        return found

    @cached_property
    def demo(self) -> Demo:
        """The demo's asset. Takes minutes the first time."""
        if self._given is not None:
            return Demo(self._given, None)
        folder = self.folder / ("demo-quick" if self.quick else "demo")
        body: dict[str, Any] = run_demo(DemoConfig(out=folder, quick=self.quick), self.report)
        return Demo(Path(body["asset"]), Path(body["dataset"]))

    @cached_property
    def baked(self) -> Baked:
        """The demo's asset, ready to be drawn."""
        return read_baked(self.demo.asset)

    def renderer(self, slug: str | None = None, step: float = FAST, sharing: bool = False) -> BakedRenderer:
        """Draws the first look, or another one."""
        baked = self.baked
        return BakedRenderer(
            baked.nvf,
            baked.shader,
            baked.looks[slug or baked.slugs()[0]],
            self.device,
            step=step,
            sharing=sharing,
        )

    def camera(self, width: int, height: int) -> Camera:
        """Sees the asset from above its side; it covers about a quarter of the picture."""
        low, high = 0.6, 8.0
        renderer = self.renderer()
        for _ in range(12):
            middle = (low + high) / 2
            covered = _covered(renderer, self._at(middle, width // 4, height // 4))
            low, high = (middle, high) if covered > QUARTER else (low, middle)
        return self._at((low + high) / 2, width, height)

    def _at(self, distance: float, width: int, height: int) -> Camera:
        """`distance` in diagonals of the box."""
        box = self.baked.nvf.aabb.astype(np.float64)
        middle, diagonal = box.mean(axis=0), float(np.linalg.norm(box[1] - box[0]))
        center = (float(middle[0]), float(middle[1]), float(middle[2]))
        radius = distance * diagonal
        return fibonacci_dome(
            2,
            center,
            radius,
            lowest_elevation_deg=20.0,
            highest_elevation_deg=40.0,
            width=width,
            height=height,
        )[1]


def _covered(renderer: BakedRenderer, camera: Camera) -> float:
    rgba: Any = renderer.render(camera).rgba
    alphas = (rgba if isinstance(rgba, np.ndarray) else rgba.numpy())[..., 3]
    return float((alphas > 0.5).mean())


def analytic_ball(resolution: int) -> Nvf:
    """A ball on a plate, bricks only where its surface is: what bakes look like, at any resolution."""
    box = np.array([[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]])
    _, voxel, shape = lattice(box, resolution)
    steps = np.indices(shape).reshape(3, -1).T
    middles = box[0] + (steps + 0.5) * 8 * voxel
    near = np.abs(_distance(middles)) < 8 * voxel * np.sqrt(3)
    nvf = allocate(box, resolution, steps[near])
    positions = sample_positions(nvf)
    away = _distance(positions)
    nvf.density[:] = np.clip(-away / voxel, -2.0, 2.0) * 6.0 / voxel
    nvf.normals[:] = _normals(positions, voxel)
    active = find_active(nvf.top, nvf.density)
    assert len(brick_coordinates(nvf.top)) == int(near.sum())
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active)


def _distance(positions: np.ndarray) -> np.ndarray:
    """To the surface, negative inside; [..., 3] to [...]."""
    x, y, z = (positions[..., axis] for axis in range(3))
    ball = np.sqrt(x * x + (y - 0.05) ** 2 + z * z) - 0.33
    plate = np.maximum(np.hypot(x, z) - 0.4, np.abs(y + 0.36) - 0.04)
    return np.asarray(np.minimum(ball, plate))


def _normals(positions: np.ndarray, voxel: float) -> np.ndarray:
    steps = np.eye(3, dtype=np.float32) * voxel
    slopes = [_distance(positions + step) - _distance(positions - step) for step in steps]
    normals = np.stack(slopes, axis=-1)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9))
