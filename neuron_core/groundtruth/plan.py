"""What will be rendered: cameras, which materials are held out, seeds, and the order of the work.

All of it is a function of the config, the geometry and the library, so that every shard and every
resumed run makes the same plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.cameras.dome import fibonacci_dome, field_of_view, framing_distance
from neuron_core.datasets import layout
from neuron_core.datasets.contract import View
from neuron_core.foundation.seeds import seed_of
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.materials.record import Material

Kind = Literal["gbuffer", "train", "truth"]

HOLD_OUT_FROM = 12  # materials; smaller libraries are all trained on
HELD_OUT = 1 / 8  # of a library, at most
GROUND_SIZE = 2.5  # radius of the disc in radii of the object
GROUND_ELEVATION = 3.0  # degrees; cameras over a ground stay above it


@dataclass(frozen=True, slots=True)
class Unit:
    """One file to render."""

    kind: Kind
    camera: str
    material: str = ""  # empty for a G-buffer
    measured: bool = False  # a training picture whose noise is taken for that of the others

    @property
    def view(self) -> View:
        """What it shows."""
        return View(self.camera, self.material)

    @property
    def path(self) -> str:
        """Where it goes, relative to the dataset."""
        if self.kind == "gbuffer":
            return layout.gbuffer_path(self.view)
        return layout.beauty_path(self.view)

    @property
    def label(self) -> str:
        """What it is called in progress messages."""
        return f"{self.material or 'gbuffer'} {self.camera}"


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """Everything that a dataset consists of, before a ray was traced."""

    geometry: Geometry
    materials: tuple[Material, ...]
    held_out: frozenset[str]  # names of materials that are seen from test cameras only
    cameras: tuple[Camera, ...]
    splits: dict[str, tuple[str, ...]]  # train, val, test, surface -> names of cameras
    turns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # training cameras by material

    def camera_names(self, material: str) -> tuple[str, ...]:
        """Those that see a material."""
        if material in self.held_out:
            return self.splits["test"]
        return (*self.training_views(material), *self.splits["val"], *self.splits["test"])

    def training_views(self, material: str) -> tuple[str, ...]:
        """The training cameras that see a material which is not held out."""
        return self.turns.get(material, self.splits["train"])

    def units(self) -> list[Unit]:
        """All files to render, G-buffers first, then material by material."""
        training = set(self.splits["train"])
        units = [Unit("gbuffer", camera.name) for camera in self.cameras]
        for material in self.materials:
            for index, camera in enumerate(self.camera_names(material.name)):
                kind: Kind = "train" if camera in training else "truth"
                units.append(Unit(kind, camera, material.name, measured=kind == "train" and not index))
        return units


def make_plan(
    config: DatasetConfig,
    geometry: Geometry,
    materials: Sequence[Material],
    hidden: frozenset[str] | None = None,
) -> DatasetPlan:
    """The plan of a config for a loaded geometry and library.

    `hidden` are the names that the library itself keeps from training, None if it leaves that open.
    """
    splits = make_cameras(config, geometry)
    if hidden is None:
        hidden = held_out(materials, config.seed)
    hidden = hidden if config.test_views else frozenset()
    return DatasetPlan(
        geometry=with_ground(geometry) if config.ground else geometry,
        materials=tuple(materials),
        held_out=hidden,
        cameras=tuple(camera for cameras in splits.values() for camera in cameras),
        splits={split: tuple(camera.name for camera in cameras) for split, cameras in splits.items()},
        turns=_take_turns(config, [camera.name for camera in splits["train"]], materials, hidden),
    )


def _take_turns(
    config: DatasetConfig, cameras: Sequence[str], materials: Sequence[Material], hidden: frozenset[str]
) -> dict[str, tuple[str, ...]]:
    """The training cameras of each material, if there are several sets of them.

    Every set is spread over the whole dome: neighbors in height go to different ones. Turns follow an
    order that has nothing to do with words, so that each base is seen by every set.
    """
    if config.view_sets == 1:
        return {}
    random = np.random.default_rng(seed_of(config.seed, "view sets"))
    rounds = np.array(cameras).reshape(config.views, config.view_sets)
    hands = np.stack([random.permutation(around) for around in rounds], axis=1)
    shown = [material.name for material in materials if material.name not in hidden]
    order = sorted(shown, key=lambda name: seed_of(config.seed, "turn", name))
    return {name: tuple(map(str, hands[turn % config.view_sets])) for turn, name in enumerate(order)}


def make_cameras(config: DatasetConfig, geometry: Geometry) -> dict[str, list[Camera]]:
    """Domes of cameras by split; they scale with the bounding sphere of the object."""
    center, radius = geometry.bounding_sphere()
    fov = field_of_view(config.focal, config.aperture, config.resolution, config.resolution)
    counts = {"train": config.views * config.view_sets, "val": config.val_views, "test": config.test_views}
    sides = dict.fromkeys(counts, config.resolution)
    if config.extra_views:
        counts[layout.SURFACE_SPLIT] = config.extra_views
        sides[layout.SURFACE_SPLIT] = config.surface_resolution
    lowest = config.lowest_elevation
    if config.ground:
        lowest = max(lowest, GROUND_ELEVATION)
    return {
        split: fibonacci_dome(
            count,
            center.tolist(),
            framing_distance(radius, fov, config.margin),
            lowest_elevation_deg=lowest,
            highest_elevation_deg=max(config.highest_elevation, lowest),
            width=sides[split],
            height=sides[split],
            focal_mm=config.focal,
            aperture_mm=config.aperture,
            seed=seed_of(config.seed, split),
            prefix=split,
        )
        for split, count in counts.items()
    }


def held_out(materials: Sequence[Material], seed: int) -> frozenset[str]:
    """Names of materials whose combination of tags is kept from training.

    Of every base, finish and condition among them, another material stays in training. Small
    libraries keep everything.
    """
    if len(materials) < HOLD_OUT_FROM:
        return frozenset()
    shuffled = sorted(materials, key=lambda material: seed_of(seed, "held out", material.name))
    chosen: list[Material] = []
    rest = list(materials)
    for material in shuffled:
        if len(chosen) >= int(len(materials) * HELD_OUT):
            break
        others = [other for other in rest if other.name != material.name]
        if _is_combination(material, others):
            chosen.append(material)
            rest = others
    return frozenset(material.name for material in chosen)


def _is_combination(material: Material, others: Sequence[Material]) -> bool:
    """Whether `others` show each word of the material, but never all of them together."""
    words = _combination(material)
    if sum(bool(word) for word in words) < 2 or any(_combination(other) == words for other in others):
        return False
    return all(
        any(_combination(other)[index] == word for other in others) for index, word in enumerate(words)
    )


def _combination(material: Material) -> tuple[str, str, str]:
    return material.tags.base, material.tags.finish, material.tags.condition


def with_ground(geometry: Geometry) -> Geometry:
    """The object on a neutral disc that touches its lowest point."""
    low = geometry.aabb()[0].astype(np.float64)
    center, radius = geometry.bounding_sphere()
    angles = np.linspace(0.0, 2.0 * np.pi, 128, endpoint=False)
    circle = np.stack([np.sin(angles), np.zeros_like(angles), np.cos(angles)], axis=-1)
    middle = np.array([center[0], low[1] - 1e-4 * radius, center[2]])
    positions = np.concatenate([middle[None], middle + GROUND_SIZE * radius * circle])
    around = np.arange(128)
    faces = np.stack([np.zeros(128, int), 1 + around, 1 + (around + 1) % 128], axis=-1)
    normals = np.tile(np.array([0.0, 1.0, 0.0], np.float32), (len(positions), 1))
    disc = MeshPart("ground", positions.astype(np.float32), faces.astype(np.int32), normals, False)
    return replace(geometry, parts=(*geometry.parts, disc))
