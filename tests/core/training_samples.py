"""Datasets of a patterned ball that is known as a formula, small enough to train on in a test."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.datasets.channels import Channel, GBuffer
from neuron_core.datasets.contract import View
from neuron_core.datasets.manifest import GeometryInfo, MaterialInfo, RendererInfo
from neuron_core.datasets.writer import Description, finish_dataset, write_view
from neuron_core.foundation.files import write_bytes, write_json
from neuron_core.images.pictures import encode_png
from tests.core.foreign_scenes import intrinsics

RADIUS = 0.4
COLORS = {"red-paint": (0.7, 0.1, 0.1), "blue-paint": (0.1, 0.2, 0.8)}


def cameras(count: int = 7, width: int = 20, height: int = 16) -> list[Camera]:
    """Around the origin, 2 away; the ball fills most of the picture."""
    return fibonacci_dome(count, (0, 0, 0), 2.0, width=width, height=height, focal_mm=60.0)


def hit_ball(camera: Camera) -> GBuffer:
    """What the rays through the pixel centers hit."""
    rays_o, rays_d = rays(camera, *pixel_centers(camera))
    along = (rays_o * rays_d).sum(-1)
    inside = along**2 - (rays_o**2).sum(-1) + RADIUS**2
    hit = inside > 0
    depth = np.where(hit, -along - np.sqrt(np.maximum(inside, 0)), 0).astype(np.float32)
    position = np.where(hit[..., None], rays_o + depth[..., None] * rays_d, 0).astype(np.float32)
    return GBuffer(
        depth, position, position / np.float32(RADIUS), hit.astype(np.float32), hit.astype(np.int32)
    )


def colors_of(gbuffer: GBuffer, tint: tuple[float, float, float]) -> np.ndarray:
    """A lamp above, and stripes: [H, W, 4] linear and premultiplied."""
    light = 0.3 + 0.7 * np.clip(gbuffer.normal[..., 1], 0, 1)
    stripes = 0.6 + 0.4 * np.sin(12 * gbuffer.position[..., 0])
    rgb = (light * stripes)[..., None] * np.array(tint) * gbuffer.coverage[..., None]
    return np.concatenate([rgb, gbuffer.coverage[..., None]], axis=-1).astype(np.float32)


def write_rendered(
    folder: Path,
    colors: Mapping[str, tuple[float, float, float]] = COLORS,
    held_out: Collection[str] = (),
    size: tuple[int, int] = (20, 16),
    materials: str = "",
) -> Path:
    """What `neuron dataset` leaves: by default two materials, seven cameras, G-buffers.

    `materials` is how the command was asked for them.
    """
    taken = tuple(cameras(7, *size))
    names = tuple(camera.name for camera in taken)
    high = (RADIUS, RADIUS, RADIUS)
    about = Description(
        geometry=GeometryInfo("ball", "d" * 64, (), (0.0, 0.0, 0.0), ((-RADIUS, -RADIUS, -RADIUS), high)),
        renderer=RendererInfo("formula", "1", "numpy"),
        cameras=taken,
        splits={"train": names[:-2], "val": names[-2:-1], "test": names[-1:]},
        materials=tuple(
            MaterialInfo(name, name.replace("-", " "), (f"a {name} ball",), split, True, False)
            for name in colors
            for split in ["compositional" if name in held_out else "train"]
        ),
        library={"version": 1, "materials": [{"name": name} for name in colors]},
        config={"materials": materials} if materials else {},
        fingerprint="f" * 64,
    )
    for camera in taken:
        gbuffer = hit_ball(camera)
        for name, tint in colors.items():
            picture = {Channel.BEAUTY: colors_of(gbuffer, tint)}
            write_view(folder, about, View(camera.name, name), {**gbuffer.channels(), **picture})
    finish_dataset(folder, about)
    return folder


def write_photographs(folder: Path, *, transparent: bool = False, black: bool = False) -> Path:
    """Nine pictures of the red ball with a transforms.json; opaque ones show walls behind it."""
    frames = []
    for camera in cameras(9):
        rgba = colors_of(hit_ball(camera), COLORS["red-paint"])
        if not transparent:
            rays_d = rays(camera, *pixel_centers(camera))[1]
            walls = 0.5 + 0.4 * np.sin(5 * rays_d)
            rgba[..., :3] += (1 - rgba[..., 3:]) * walls
        pixels = np.rint(np.clip(rgba * (not black), 0, 1) * 255).astype(np.uint8)
        if not transparent:
            pixels = pixels[..., :3]
        write_bytes(folder / "images" / f"{camera.name}.png", encode_png(pixels))
        frames.append({"file_path": f"images/{camera.name}.png", "transform_matrix": camera.c2w.tolist()})
    write_json(folder / "transforms.json", {**intrinsics(cameras(1)[0]), "up_axis": "Y", "frames": frames})
    return folder
