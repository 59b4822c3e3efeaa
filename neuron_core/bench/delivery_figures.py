"""Figures of what is delivered, as `neuron bench` tells them: splats of an asset, and a volume file."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from neuron_core.bench.figure import Figure, timed
from neuron_core.bench.inputs import Inputs
from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.progress import Silent
from neuron_core.models.splats.family import likeness, prepare_splats, refined
from neuron_core.splats.fitting import FitSettings
from neuron_core.volumes.vdb import VdbGrid, write_vdb

PREFERRED = "white_ceramic"  # harmonics can show it; gold's reflections they cannot
VOXELS = 4_500_000
VOXEL_SIZE = 0.01


def splat_fit_s(inputs: Inputs) -> Figure:
    """From voxels to refined splats, placing, coloring and rendering the views included."""
    baked = inputs.baked
    slug = PREFERRED if PREFERRED in baked.slugs() else baked.slugs()[0]
    settings = FitSettings(2000, 3, steps=20, views=6) if inputs.quick else FitSettings()
    side, watch = settings.view_size, Stopwatch()
    with TemporaryDirectory() as folder:
        data = prepare_splats(baked, slug, settings, inputs.device, Silent())
        splats = refined(data, Path(folder), Silent())
    seconds, cpu = watch.seconds, watch.cpu_seconds
    return Figure(
        "splat_fit_s",
        seconds,
        "s",
        "<= 180, at 35 dB or more",
        detail=f"{likeness(splats, data.unseen):.2f} dB against the field's own "
        f"pictures from {len(data.unseen)} unseen views of {side} x {side}; {slug}, {len(splats):,} splats "
        f"of degree {splats.degree}, {settings.steps} steps, {cpu:.0f} CPU s",
    )


def vdb_write_s(inputs: Inputs) -> Figure:
    """Density and color of a shell of voxels as one OpenVDB file, packed with zip."""
    grids = shell(VOXELS // 50 if inputs.quick else VOXELS)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "shell.vdb"
        times = timed(lambda: write_vdb(file, grids), min(inputs.runs, 3), warm=0)
        size = file.stat().st_size
    return Figure(
        "vdb_write_s",
        times.median,
        "s",
        "<= 6",
        times.spread(),
        detail=f"{len(grids[0]) / 1e6:.2f} million active voxels, density as float and Cd as half, "
        f"{size / 1e6:.0f} MB; {times.cpu_median:.1f} CPU s",
    )


def shell(count: int) -> list[VdbGrid]:
    """About so many voxels around a sphere, four thick, with density and smooth colors."""
    radius = float(np.sqrt(count / (4 * np.pi * 4)))
    side = int(radius) + 4
    layers = []
    for x in range(-side, side + 1):  # slice by slice: the whole lattice would not fit
        steps = np.indices((2 * side + 1, 2 * side + 1)).reshape(2, -1).T - side
        distance = np.sqrt((steps**2).sum(axis=1) + x * x)
        near = np.abs(distance - radius) < 2.0
        layers.append(np.column_stack([np.full(int(near.sum()), x), steps[near]]))
    voxels = np.concatenate(layers)
    along = voxels / np.linalg.norm(voxels, axis=1, keepdims=True)
    away = np.abs(np.linalg.norm(voxels, axis=1) - radius)
    density = (200.0 * (2.0 - away) + 1.0).astype(np.float32)
    colors = (0.5 + 0.4 * np.sin(7.0 * along)).astype(np.float32)
    return [
        VdbGrid("density", voxels, density, VOXEL_SIZE),
        VdbGrid("Cd", voxels, colors, VOXEL_SIZE, half=True),
    ]
