"""A small baked ball with two looks, and datasets whose truth are pictures of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuron_core.assets import Look, Manifest, slug_of, write_asset
from neuron_core.cameras.camera import Camera
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.datasets import layout
from neuron_core.datasets.channels import GBuffer, to_layers
from neuron_core.datasets.contract import View
from neuron_core.datasets.manifest import GeometryInfo, MaterialInfo, RendererInfo
from neuron_core.datasets.writer import Description, finish_dataset
from neuron_core.foundation.files import write_json
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.kernels.baked.layout import CHANNELS
from neuron_core.models.field import stored
from neuron_core.models.field.model import Field
from neuron_core.prompts import load_encoder
from neuron_core.rendering.tracing import BakedTracer, draw, trace_centers
from neuron_core.voxels.baked import read_baked, to_tensors
from neuron_core.voxels.nvf import Nvf, allocate, encode_codes, find_active, lattice, sample_positions
from tests.core.small_fields import small_field

RADIUS = 0.3  # meters
CENTER = np.array([0.1, 0.0, -0.2])
BOX = np.stack([CENTER - RADIUS, CENTER + RADIUS])
MATERIALS = ("polished-gold", "worn-copper")
SIDE = 24  # pixels of a dataset


def ball(resolution: int = 24) -> Nvf:
    """The ball with normals, its surface where the distance is zero."""
    _, voxel, shape = lattice(BOX, resolution)
    wide = np.stack([BOX[0] - 1.5 * voxel, BOX[1] + 1.5 * voxel])
    _, voxel, shape = lattice(wide, resolution)
    nvf = allocate(wide, resolution, np.ones(shape, bool))
    away = sample_positions(nvf).astype(np.float64) - CENTER
    distance = np.linalg.norm(away, axis=-1)
    nvf.density[:] = np.clip((RADIUS - distance) / voxel + 0.12, -3, 3) * 30 / voxel
    nvf.normals[:] = away / np.maximum(distance, 1e-9)[..., None]
    active = find_active(nvf.top, nvf.density)
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active)


def write_ball(path: Path, materials: Sequence[str] = MATERIALS, encoding: str = "linear") -> Path:
    """An asset of the ball with a look for each material. Its field was never trained."""
    encoder = load_encoder()
    field = Field(replace(small_field().spec, prompt_width=encoder.width, encoding=encoding))
    nvf = ball()
    random = np.random.default_rng(5)
    codes = {}
    for name in materials:
        waves = np.sin(
            random.normal(size=(3, CHANNELS)).T @ sample_positions(nvf).reshape(-1, 3)[nvf.active].T
        )
        codes[slug_of(name)] = encode_codes((waves.T + random.normal(size=CHANNELS)).astype(np.float32))
    manifest = Manifest(
        name="ball",
        aabb=(tuple(map(float, BOX[0])), tuple(map(float, BOX[1]))),
        architecture={"inr": "neuron-field-1", "nvf": "nvf-1"},
        looks=tuple(
            Look(slug_of(name), name.replace("-", " "), {"material": name, "supported": True})
            for name in materials
        ),
        encoder=encoder.id,
        settings={"field": field.spec.to_json()},
    )
    write_asset(path, manifest, {**to_tensors(nvf, codes), **stored.to_tensors(field)})
    return path


def cameras(count: int = 4) -> list[Camera]:
    """Around the ball, which fills most of their pictures."""
    return fibonacci_dome(count, CENTER, 1.2, width=SIDE, height=SIDE, focal_mm=50.0, aperture_mm=30.0)


def write_truth(folder: Path, asset: Path, *more: MaterialInfo) -> Path:
    """A dataset whose pictures and buffers the asset itself drew.

    `more` materials show the first look; those that are held out from the test cameras only.
    """
    baked = read_baked(asset)
    own = [
        MaterialInfo(name, name.replace("-", " "), (), "train", True, False, (), {"test": 40.0})
        for name in MATERIALS
    ]
    infos = (*own, *more)
    taken = cameras()
    splits = {"train": ("view_000", "view_002"), "val": (), "test": ("view_001", "view_003")}
    tracer = BakedTracer.of(baked, baked.slugs())
    for camera in taken:
        pictures, geometry = draw(tracer, camera).linear(), trace_centers(tracer, camera)
        points = np.zeros((*geometry.depths.shape, 3), np.float32)
        buffers = GBuffer(
            geometry.depths,
            points,
            geometry.normals,
            geometry.coverage.astype(np.float32),
            geometry.coverage.astype(np.int32),
        )
        write_exr(folder / layout.gbuffer_path(View(camera.name)), to_layers(buffers.channels()))
        for index, info in enumerate(infos):
            if info.split == "train" or camera.name in splits["test"]:
                rgba = pictures[index if index < len(own) else 0]
                path = folder / layout.beauty_path(View(camera.name, info.name))
                write_exr(path, layout.beauty_channels(rgba))
    about = Description(
        geometry=GeometryInfo("ball", "d" * 64, (), (0.0, 0.0, 0.0), _box()),
        renderer=RendererInfo("neuron", "1", "nvf"),
        cameras=tuple(taken),
        splits=splits,
        materials=infos,
        library={"version": 1, "materials": [{"name": info.name, "parameters": {}} for info in infos]},
        config={},
        fingerprint="f" * 64,
    )
    finish_dataset(folder, about)
    return folder


def write_photographs(folder: Path, asset: Path) -> Path:
    """A foreign dataset of opaque 8-bit pictures that the asset drew."""
    baked = read_baked(asset)
    tracer = BakedTracer.of(baked, baked.slugs()[:1])
    frames = []
    for camera in cameras(9):
        pixels = to_bytes(draw(tracer, camera).over_white()[0])
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / "images" / f"{camera.name}.png").write_bytes(encode_png(pixels))
        frames.append(
            {
                "file_path": f"images/{camera.name}.png",
                "transform_matrix": camera.c2w.tolist(),
                **{key: getattr(camera, key) for key in ("fl_x", "fl_y", "cx", "cy")},
                "w": SIDE,
                "h": SIDE,
            }
        )
    write_json(folder / "transforms.json", {"up_axis": "Y", "frames": frames})
    return folder


def _box() -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    low, high = BOX.tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
