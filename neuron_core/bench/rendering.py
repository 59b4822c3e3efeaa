"""How fast baked assets are drawn, against VTK, and how that grows."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import warp as wp

from neuron_core.bench.figure import Figure, Times, exponent, timed
from neuron_core.bench.inputs import Inputs, analytic_ball
from neuron_core.cameras.camera import Camera, resized, subpixels
from neuron_core.datasets.contract import View, read_encoded
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.groundtruth.mitsuba.variants import choose_variant
from neuron_core.images.metrics import psnr
from neuron_core.rendering.baked import FAST, FINE, BakedRenderer
from neuron_core.voxels.nvf import encode_codes

LEAST = 1.0  # seconds of frames at least


class Peer(Protocol):
    """Another program with the same voxels and camera."""

    def draw(self) -> None:
        """Draw a frame."""

    def picture(self) -> np.ndarray:
        """The frame over white, linear, [H, W, 3]."""


def frame_times(renderer: BakedRenderer, camera: Camera, inputs: Inputs, least: float = LEAST) -> Times:
    """Of whole frames: rays made, marched and shaded, pixels in memory."""

    def frame() -> None:
        renderer.render(camera)
        if inputs.device != "cpu":
            wp.synchronize_device(inputs.device)

    return timed(frame, inputs.runs, warm=3, least=0.1 if inputs.quick else least)


def _fps(name: str, width: int, height: int, target: str, inputs: Inputs) -> Figure:
    camera = inputs.camera(width, height)
    slugs = inputs.baked.slugs()
    found = {}
    for slug in slugs:
        for sharing in (True, False):
            renderer = inputs.renderer(slug, sharing=sharing)
            found[slug, sharing] = frame_times(renderer, camera, inputs)
    slowest = max(slugs, key=lambda slug: found[slug, True].median)
    times = found[slowest, True]
    rows = [
        (slug, "4 pixels" if sharing else "pixel", f"{1 / time.median:.1f}", f"{time.median * 1e3:.1f}")
        + (f"{time.cpu_median * 1e3:.1f}",)
        for (slug, sharing), time in found.items()
    ]
    return Figure(
        name,
        1.0 / times.median,
        "frames/s",
        target,
        times.rates(),
        detail=f"slowest look ({slowest}), step {FAST:g} voxel, one ray a pixel, one reflected for 4 pixels, "
        f"{times.cpu_median * 1e3:.1f} CPU ms",
        table=(("look", "a reflected ray for each", "frames/s", "ms", "CPU ms"), *rows),
    )


def nvf_512_fps(inputs: Inputs) -> Figure:
    """Baked frames of 512 x 512."""
    return _fps("nvf_512_fps", 512, 512, ">= 60", inputs)


def nvf_1080_fps(inputs: Inputs) -> Figure:
    """Baked frames of 1920 x 1080."""
    return _fps("nvf_1080_fps", 1920, 1080, ">= 10", inputs)


def nvf_psnr_db(inputs: Inputs) -> Figure:
    """Whether what is fast is also right: frames at the fast step against the truth."""
    if inputs.demo.dataset is None:
        return Figure("nvf_psnr_db", None, "dB", detail="an asset was given, without its truth")
    shared, fast, fine = (_mean_psnr(inputs, *how) for how in ((FAST, True), (FAST, False), (FINE, False)))
    return Figure(
        "nvf_psnr_db",
        fast,
        "dB",
        f"within 0.1 dB of {fine:.2f}, at steps of half a voxel",
        detail=f"mean over looks and test cameras, sRGB over white, 4 rays a pixel averaged in linear; "
        f"{shared:.2f} dB if each 4 rays share a reflected one",
    )


def _mean_psnr(inputs: Inputs, step: float, sharing: bool) -> float:
    assert inputs.demo.dataset is not None
    dataset, baked = open_dataset(inputs.demo.dataset), inputs.baked
    scores = []
    for material in dataset.materials:
        renderer = inputs.renderer(baked.look_of(material.prompt), step, sharing)
        for name in dataset.splits["test"]:
            picture = _over_white(renderer, dataset.cameras[name])
            scores.append(psnr(picture, read_encoded(dataset, View(name, material.name))))
    return float(np.mean(scores))


def _over_white(renderer: BakedRenderer, camera: Camera) -> np.ndarray:
    """sRGB over white, four rays a pixel."""
    rays_o, rays_d = subpixels(camera, 2)
    origins = np.ascontiguousarray(np.broadcast_to(rays_o, rays_d.shape).reshape(-1, 3), np.float32)
    pixels = renderer.trace(origins, rays_d.reshape(-1, 3))
    size = (camera.height, camera.width, 4)
    alphas = pixels.alpha.reshape(size).mean(axis=2)
    picture: np.ndarray = linear_to_srgb(pixels.rgb.reshape(*size, 3).mean(axis=2) + 1.0 - alphas[..., None])
    return picture


@dataclass(frozen=True, slots=True)
class _Duel:
    """One view of one look at 512 x 512 or so, with the truth in the dataset's pixels."""

    slug: str
    small: Camera
    large: Camera
    truth: np.ndarray

    def score(self, over_white: np.ndarray) -> float:
        """PSNR of a large linear picture."""
        return psnr(_reduced(over_white, self.small), self.truth)


def _duel(inputs: Inputs) -> _Duel:
    assert inputs.demo.dataset is not None
    dataset = open_dataset(inputs.demo.dataset)
    camera = dataset.cameras[dataset.splits["test"][0]]
    material = min(dataset.materials, key=lambda entry: "ceramic" not in entry.name)
    by = max(1, 512 // camera.width)
    large = resized(camera, by * camera.width, by * camera.height)
    slug = inputs.baked.look_of(material.prompt)
    return _Duel(slug, camera, large, read_encoded(dataset, View(camera.name, material.name)))


def _against(name: str, target: str, inputs: Inputs, make: Callable[[_Duel], tuple[str, Peer]]) -> Figure:
    """How many times faster than a peer that draws the same voxels."""
    if inputs.demo.dataset is None:
        return Figure(name, None, "times", target, detail="an asset was given, without its truth")
    duel = _duel(inputs)
    called, peer = make(duel)
    theirs = timed(peer.draw, inputs.runs, warm=1)
    renderer = inputs.renderer(duel.slug)
    ours = frame_times(renderer, duel.large, inputs)
    their_score, our_score = duel.score(peer.picture()), duel.score(_frame_over_white(renderer, duel.large))
    return Figure(
        name,
        theirs.median / ours.median,
        "times",
        target,
        peer=f"{called}: {theirs.median * 1e3:.0f} ms, {their_score:.2f} dB",
        ratio=theirs.median / ours.median,
        detail=f"{duel.slug}, {duel.large.width} x {duel.large.height}: {ours.median * 1e3:.1f} ms, "
        f"{our_score:.2f} dB, both averaged to the truth's pixels. The peer draws colors made for this very "
        "view, in steps of half a voxel",
    )


def nvf_vs_vtk(inputs: Inputs) -> Figure:
    """Against VTK's CPU volume ray caster on the same grid."""
    name, target = "nvf_vs_vtk", ">= 10 times as fast at an equal or better PSNR"
    try:
        from neuron_core.bench.vtk_peer import VtkVolume
    except ImportError:
        return Figure(name, None, "times", target, detail='VTK is not installed: pip install "neuron[bench]"')

    baked = inputs.baked

    def made(duel: _Duel, leaping: bool) -> VtkVolume:
        return VtkVolume(baked.nvf, baked.shader, baked.looks[duel.slug], duel.large, leaping)

    found = _against(
        name, target, inputs, lambda duel: ("VTK fixed-point volume mapper", made(duel, leaping=True))
    )
    if inputs.demo.dataset is None:
        return found
    duel = _duel(inputs)
    whole = made(duel, leaping=False)
    times = timed(whole.draw, min(inputs.runs, 3), warm=1)
    also = f"{times.median * 1e3:.0f} ms and {duel.score(whole.picture()):.2f} dB without"
    return replace(found, peer=f"{found.peer} with its space leaping, {also}")


def nvf_vs_mitsuba(inputs: Inputs) -> Figure:
    """Against even steps through the same grid in Dr.Jit, as Mitsuba's radiance fields are drawn."""
    name = "nvf_vs_mitsuba"
    variant = choose_variant("auto", inputs.report)
    if variant == "scalar_rgb":
        return Figure(name, None, "times", detail="Mitsuba's vectorized variants do not run here")
    from neuron_core.bench.mitsuba_peer import MitsubaVolume

    def make(duel: _Duel) -> tuple[str, Peer]:
        baked = inputs.baked
        volume = MitsubaVolume(baked.nvf, baked.shader, baked.looks[duel.slug], duel.large, variant)
        return f"Mitsuba ({variant})", volume

    return _against(name, "", inputs, make)


def _frame_over_white(renderer: BakedRenderer, camera: Camera) -> np.ndarray:
    rgba: Any = renderer.render(camera).rgba
    linear = rgba if isinstance(rgba, np.ndarray) else rgba.numpy()
    over: np.ndarray = linear[..., :3] + 1.0 - linear[..., 3:]
    return over


def _reduced(linear: np.ndarray, camera: Camera) -> np.ndarray:
    """Averaged to the pixels of a camera, then sRGB."""
    by = linear.shape[0] // camera.height
    parts = linear[: by * camera.height, : by * camera.width].reshape(camera.height, by, camera.width, by, 3)
    picture: np.ndarray = linear_to_srgb(parts.mean(axis=(1, 3)))
    return picture


def render_cold_s(inputs: Inputs) -> Figure:
    """From the start of a process to a picture on disk; kernels are compiled already."""

    def once() -> None:
        with TemporaryDirectory() as folder:
            command = [sys.executable, "-P", "-m", "neuron_core", "render", str(inputs.demo.asset)]
            options = [str(Path(folder) / "out"), "--cameras", "turntable:1", "--size", "512x512", "--json"]
            found = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
            if found.returncode != 0:
                raise RuntimeError(f"neuron render failed: {found.stdout[-300:]}{found.stderr[-300:]}")

    times = timed(once, min(inputs.runs, 5), warm=1)
    return Figure(
        "render_cold_s",
        times.median,
        "s",
        "<= 3, better 1.5",
        times.spread(),
        detail="neuron render ASSET OUT --cameras turntable:1 --size 512x512: four rays a pixel, PNG written",
    )


def look_ms(inputs: Inputs) -> Figure:
    """From a prompt that was never asked for to a picture of it."""
    import torch

    from neuron_core.assets import read_asset
    from neuron_core.models.field.looks import LookMaker
    from neuron_core.models.field.stored import load_field
    from neuron_core.prompts import load_encoder

    asset = read_asset(inputs.demo.asset)
    encoder = load_encoder(asset.manifest.encoder.name if asset.manifest.encoder else "embedded")
    field = load_field(inputs.demo.asset)[0].to(torch.device(inputs.device))
    maker, renderer = LookMaker(field, inputs.baked.nvf), inputs.renderer()
    camera = inputs.camera(512, 512)
    words = iter(f"worn brass number {number}" for number in range(100_000))
    encode = timed(lambda: encoder.encode([next(words)]), inputs.runs)

    def first_picture() -> None:
        renderer.set_look(maker.codes(encoder.encode([next(words)])[0]))
        renderer.render(camera)

    whole = timed(first_picture, inputs.runs)
    return Figure(
        "look_ms",
        whole.median * 1e3,
        "ms",
        "<= 50",
        whole.spread(1e3),
        detail=f"encoding ({encode.median * 1e3:.1f} ms), codes of {len(maker)} samples, 512 x 512 frame; "
        f"{whole.cpu_median * 1e3:.0f} CPU ms",
    )


def frame_scaling(inputs: Inputs) -> Figure:
    """How frame time and memory grow with voxels, and frame time with pixels."""
    sizes = (64, 128, 256) if inputs.quick else (64, 128, 192, 256, 384, 512)
    shader = inputs.baked.shader
    rows: list[tuple[str, ...]] = [("voxels", "pixels", "bricks", "MB", "ms", "CPU ms")]
    times, megabytes = [], []
    for resolution in sizes:
        nvf = analytic_ball(resolution)
        renderer = BakedRenderer(
            nvf, shader, encode_codes(np.zeros((len(nvf.active), 8), np.float32)), inputs.device, step=FAST
        )
        camera = inputs.camera(512, 512)
        found = frame_times(renderer, camera, inputs, 0.3)
        times.append(found.cpu_median)
        megabytes.append(renderer.nbytes() / 1e6)
        rows.append(
            (
                f"{resolution}³",
                "512²",
                str(len(nvf.density)),
                f"{megabytes[-1]:.1f}",
                f"{found.median * 1e3:.1f}",
                f"{found.cpu_median * 1e3:.1f}",
            )
        )
    sides = (256, 512, 1024) if inputs.quick else (256, 512, 1024, 2048)
    of_pixels = []
    for side in sides:
        found = frame_times(inputs.renderer(), inputs.camera(side, side), inputs, 0.3)
        of_pixels.append(found.cpu_median)
        rows.append(
            ("asset", f"{side}²", "", "", f"{found.median * 1e3:.1f}", f"{found.cpu_median * 1e3:.1f}")
        )
    by_voxels, by_bytes = exponent(sizes, times), exponent(sizes, megabytes)
    by_side = exponent(sides, of_pixels)
    return Figure(
        "frame_scaling",
        by_voxels,
        "exponent",
        detail=f"CPU time grows as voxels per side to the {by_voxels:.2f} and pixels per side to the "
        f"{by_side:.2f}; memory as voxels per side to the {by_bytes:.2f} (2 is a surface, 3 a volume)",
        table=tuple(rows),
    )
