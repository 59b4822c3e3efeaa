"""A small dataset of version 2: several lights, poses and frames, of random pixels."""

import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import look_at, to_json
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.datasets.channels import FORMS, Channel
from neuron_core.datasets.contract import View
from neuron_core.datasets.frames import FrameRecord, ObjectBox
from neuron_core.datasets.manifest import GeometryInfo, MaterialInfo, RendererInfo, StoredChannels
from neuron_core.datasets.writer import Description, finish_dataset, write_light, write_view
from neuron_core.lights.records import AnalyticLight, LightRecord
from neuron_core.skeletons.records import Pose, Skeleton

WIDTH, HEIGHT = 6, 4
IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
STORED = StoredChannels(
    beauty=(Channel.BEAUTY, Channel.ALBEDO, Channel.SHADOW),
    gbuffer=(Channel.DEPTH, Channel.NORMAL, Channel.COVERAGE, Channel.OBJECT_ID, Channel.FLOW),
)
CAMERAS = tuple(fibonacci_dome(4, (0, 0, 0), 4.0, width=WIDTH, height=HEIGHT, prefix="cam"))
ELSEWHERE = replace(CAMERAS[0], c2w=look_at((0.0, 3.0, 1.0), (0.0, 0.0, 0.0)))
SKELETON = Skeleton(("root", "root/arm"), (-1, 0), (IDENTITY, IDENTITY), (IDENTITY, IDENTITY), prim="/Rig")


def a_pose(name: str, split: str) -> Pose:
    return Pose(name, ((0.0, 0.0, 0.0, 1.0),) * 2, (IDENTITY[:3],) * 2, split, 12.0)


DESCRIPTION = Description(
    geometry=GeometryInfo("ball", "d" * 64, (), (0.0, 0.0, 0.0), ((-1.0, -1.0, -1.0), (1.0, 1.5, 1.0))),
    renderer=RendererInfo("mitsuba", "3.9", "scalar_rgb", {"spp": 16}),
    cameras=CAMERAS,
    splits={
        "train": ("cam_000",),
        "val": ("cam_001",),
        "test": ("cam_002",),
        "surface": ("cam_003",),
    },
    materials=(
        MaterialInfo("gold", "polished gold", ("shiny gold",), "train", True, False),
        MaterialInfo("copper", "worn copper", (), "compositional", True, False),
    ),
    library={"version": 1, "materials": [{"name": "gold"}, {"name": "copper"}]},
    config={"views": 1},
    fingerprint="f" * 64,
    lights=(
        LightRecord("sunset", "latlong", file="lights/sunset.exr", rotation=90.0),
        LightRecord("even", "uniform", color=(0.5, 0.5, 0.5)),
        LightRecord("lamp", "rig", "test", lights=(AnalyticLight("sphere", radius=0.1),)),
    ),
    skeleton=SKELETON,
    poses=(a_pose("wave", "train"), a_pose("bow", "test")),
    frames=(
        FrameRecord(0),
        FrameRecord(
            12,
            time=0.5,
            cameras={"cam_000": to_json(ELSEWHERE)},
            objects=(ObjectBox(1, "ball", IDENTITY, (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),),
        ),
    ),
    channels=STORED,
)
PICTURES = tuple(
    View(camera, material, light, pose, frame)
    for camera, material, light, pose, frame in (
        ("cam_000", "gold", "sunset", "rest", 0),
        ("cam_000", "gold", "sunset", "rest", 12),
        ("cam_000", "gold", "sunset", "wave", 0),
        ("cam_000", "gold", "even", "rest", 0),
        ("cam_001", "gold", "even", "rest", 0),
        ("cam_002", "gold", "sunset", "rest", 0),
        ("cam_002", "gold", "lamp", "rest", 0),
        ("cam_002", "gold", "sunset", "bow", 0),
        ("cam_002", "copper", "sunset", "rest", 0),
        ("cam_002", "copper", "lamp", "rest", 0),
    )
)
SHAPES = (View("cam_003"), View("cam_003", pose="bow"), View("cam_001"))  # without a picture


def pixels_of(view: View, channels: Iterable[Channel]) -> dict[Channel, np.ndarray]:
    """Random pixels that follow from the view, exact as halves; some miss."""
    found = {}
    shape = view._replace(material="", light="")
    misses = np.random.default_rng(_seed(shape)).random((HEIGHT, WIDTH)) < 0.3
    for channel in channels:
        form = FORMS[channel]
        of = view if channel in STORED.beauty else shape
        random = np.random.default_rng(_seed(of, channel))
        count = len(form.layers)
        values = random.random((HEIGHT, WIDTH, count)).astype(np.float16).astype(np.float32)
        if form.integer:
            values = random.integers(1, 1 << 24, values.shape).astype(np.int32)
        if channel == Channel.COVERAGE:
            values = np.ones_like(values)
        if form.misses:
            values[misses] = 0
        found[channel] = values if count > 1 else values[..., 0]
    return found


def _seed(*parts: object) -> int:
    return zlib.crc32("/".join(map(repr, parts)).encode())


def write_sample(folder: Path, about: Description = DESCRIPTION) -> None:
    """The whole folder."""
    write_light(folder, "sunset", np.random.default_rng(0).random((4, 8, 3)).astype(np.float32))
    for view in PICTURES:
        write_view(folder, about, view, pixels_of(view, (*STORED.beauty, *STORED.gbuffer)))
    for view in SHAPES:
        write_view(folder, about, view, pixels_of(complete(view), STORED.gbuffer))
    finish_dataset(folder, about)


def complete(view: View) -> View:
    return view._replace(pose=view.pose or "rest")
