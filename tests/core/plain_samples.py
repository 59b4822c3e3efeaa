"""A ball that is a formula, as a subject and as the truth: its figures are known before they are measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.datasets import layout
from neuron_core.datasets.channels import GBuffer, to_layers
from neuron_core.datasets.contract import View
from neuron_core.datasets.manifest import GeometryInfo, MaterialInfo, RendererInfo
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.writer import Description, finish_dataset
from neuron_core.foundation.progress import Reporter
from neuron_core.images.exr import write_exr
from neuron_core.rendering.tracing import Hits, Tracer, draw, trace_centers

SIDE = 16  # pixels
RADIUS = 0.5  # meters, around the origin
TEST = ("view_001", "view_003")
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Ball:
    """An opaque ball in one even linear color per look. `behind` is added to every depth, in meters."""

    colors_of: tuple[Color, ...]
    radius: float = RADIUS
    behind: float = 0.0
    encoding: str = "linear"

    def colors(self, rays_o, rays_d, width):
        alphas = (self.surfaces(rays_o, rays_d, width).alphas).astype(np.float32)
        return np.float32(self.colors_of)[:, None] * alphas[:, None], alphas

    def surfaces(self, rays_o, rays_d, width):
        along = -(rays_o * rays_d).sum(axis=1)
        inside = along**2 - (rays_o**2).sum(axis=1) + self.radius**2
        hit = inside > 0
        depths = np.where(hit, along - np.sqrt(np.maximum(inside, 0)) + self.behind, 0.0)
        normals = np.where(hit[:, None], (rays_o + depths[:, None] * rays_d) / self.radius, 0.0)
        return Hits(hit.astype(np.float32), depths.astype(np.float32), normals.astype(np.float32))


@dataclass(frozen=True)
class Known:
    """A subject that draws balls in the colors of the looks that it has, and was trained on some of them."""

    palette: Mapping[str, Color]  # material -> color
    trained: Collection[str] = ()
    representation: str = "nvf"
    identity: str = "a ball"
    radius: float = RADIUS

    def trained_on(self, entry: MaterialEntry) -> bool:
        return entry.name in self.trained

    def look_of(self, entry: MaterialEntry) -> str | None:
        return entry.name if entry.name in self.palette else None

    def tracer(self, looks: Sequence[str], report: Reporter) -> Tracer:
        return Ball(tuple(self.palette[look] for look in looks), self.radius)


def info(name: str, split: str = "train", supported: bool = True, transmissive: bool = False) -> MaterialInfo:
    return MaterialInfo(name, f"{name} prompt", (), split, supported, transmissive)


def cameras() -> list[Camera]:
    """Around the ball, which fills half of their pictures."""
    found = fibonacci_dome(4, np.zeros(3), 3.0, width=SIDE, height=SIDE, focal_mm=50.0, aperture_mm=30.0)
    return [replace(camera, name=f"view_{index:03}") for index, camera in enumerate(found)]


def write_balls(
    folder: Path,
    palette: Mapping[str, Color],
    infos: Sequence[MaterialInfo],
    records: Mapping[str, Mapping[str, object]] | None = None,
    unseen: Collection[tuple[str, str]] = (),
) -> Path:
    """A dataset of balls in those colors. `unseen` pairs of camera and material have no picture."""
    splits = {"train": ("view_000", "view_002"), "val": (), "test": TEST}
    for camera in cameras():
        for material in infos:
            ball = Ball((palette[material.name],))
            seen = material.split == "train" or camera.name in TEST
            if seen and (camera.name, material.name) not in unseen:
                pixels = draw(ball, camera).linear()[0]
                path = folder / layout.beauty_path(View(camera.name, material.name))
                write_exr(path, layout.beauty_channels(pixels))
        found = trace_centers(Ball(((0.0, 0.0, 0.0),)), camera)
        points = np.zeros((*found.depths.shape, 3), np.float32)
        hit = found.coverage
        buffers = GBuffer(found.depths, points, found.normals, hit.astype(np.float32), hit.astype(np.int32))
        write_exr(folder / layout.gbuffer_path(View(camera.name)), to_layers(buffers.channels()))
    box = ((-RADIUS,) * 3, (RADIUS,) * 3)
    library = [{"name": one.name, "parameters": {}, **(records or {}).get(one.name, {})} for one in infos]
    about = Description(
        geometry=GeometryInfo("ball", "d" * 64, (), (0.0, 0.0, 0.0), box),
        renderer=RendererInfo("formula", "1", "ball"),
        cameras=tuple(cameras()),
        splits=splits,
        materials=tuple(infos),
        library={"version": 1, "materials": library},
        config={},
        fingerprint="f" * 64,
    )
    finish_dataset(folder, about)
    return folder
