"""What the JSON files of a dataset say: the names on every axis, their records and their splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuron_core.cameras.camera import Camera, load_cameras, to_json
from neuron_core.datasets import layout
from neuron_core.datasets.contract import REST_POSE, STILL, STUDIO, Axis
from neuron_core.datasets.frames import FrameRecord, read_frames
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import DatasetManifest
from neuron_core.datasets.photographs import CAPTURED, PROMPT, SCENE
from neuron_core.datasets.splits import SplitRule
from neuron_core.foundation.files import read_json
from neuron_core.foundation.records import to_plain
from neuron_core.lights.records import LightRecord, read_lights
from neuron_core.skeletons.records import Pose, read_poses, read_skeleton

Records = Mapping[str, Mapping[str, object]]  # by name, in order


@dataclass(frozen=True, slots=True)
class MaterialEntry:
    """One look of the dataset. Photographs have a single one, called "scene"."""

    name: str
    prompt: str  # the canonical one
    prompts: tuple[str, ...]  # other wordings
    record: Mapping[str, object]  # as in materials.json
    split: str  # "train" | "compositional"
    supported: bool = True  # whether the renderer could do it; others stay out of averages
    transmissive: bool = False
    dropped: tuple[str, ...] = ()
    truth_floors: Mapping[str, float] | None = None  # camera split -> dB

    @property
    def truth_floor(self) -> float | None:
        """How alike two renders of the same test view are, in dB, if that was measured."""
        return (self.truth_floors or {}).get("test")


@dataclass(frozen=True, slots=True)
class Names:
    """All names that views are made of."""

    cameras: Mapping[str, Camera]
    materials: tuple[MaterialEntry, ...]
    records: Mapping[Axis, Records]
    splits: SplitRule
    moved: Mapping[tuple[str, int], Camera] = field(default_factory=dict)  # camera, frame -> where it is then


def names_of_photographs(cameras: Mapping[str, Camera], splits: Mapping[str, Sequence[str]]) -> Names:
    """Photographs show one scene in one light."""
    entry = MaterialEntry(SCENE, PROMPT, (), {}, "train")
    lights = {CAPTURED: {"name": CAPTURED}}
    return Names(cameras, (entry,), _records(cameras, (entry,), lights, (), ()), SplitRule(splits, {}))


def names_of(folder: Path, manifest: DatasetManifest) -> Names:
    """The names of a rendered dataset. Raises DatasetError, LightError or SkeletonError."""
    listed, splits = load_cameras(folder / layout.CAMERAS)
    _check_cameras(folder, listed, splits, manifest)
    cameras = {camera.name: camera for camera in listed}
    materials = _material_entries(folder, manifest)
    lights = _lights(folder, manifest)
    poses = _poses(folder, manifest)
    frames = read_frames(folder / layout.FRAMES) if layout.FRAMES in manifest.files else ()
    moved = {
        (name, frame.number): camera for frame in frames for name, camera in frame.moved_cameras().items()
    }
    unknown = sorted({name for name, _ in moved} - set(cameras))
    if unknown:
        raise DatasetError(f"{folder / layout.FRAMES} moves the camera {unknown[0]}, which is not there.")
    all_splits = (*layout.CAMERA_SPLITS, layout.SURFACE_SPLIT)
    return Names(
        cameras=cameras,
        materials=materials,
        records=_records(cameras, materials, _by_name(lights), poses, frames),
        splits=SplitRule(
            {split: splits.get(split, []) for split in all_splits},
            {
                "material": {entry.name: entry.split for entry in materials},
                "light": {light.name: light.split for light in lights},
                "pose": {pose.name: pose.split for pose in poses},
                "frame": {frame.name: frame.split for frame in frames},
            },
        ),
        moved=moved,
    )


def _records(
    cameras: Mapping[str, Camera],
    materials: Sequence[MaterialEntry],
    lights: Records,
    poses: Sequence[Pose],
    frames: Sequence[FrameRecord],
) -> dict[Axis, Records]:
    """In the order of the axes by which views are sorted."""
    still = frames or (FrameRecord(STILL),)
    return {
        "material": {entry.name: entry.record for entry in materials},
        "light": lights,
        "pose": {REST_POSE: {"name": REST_POSE}, **_by_name(poses)},
        "camera": {name: to_json(camera) for name, camera in cameras.items()},
        "frame": _by_name(still),
    }


def _by_name(records: Sequence[LightRecord] | Sequence[Pose] | Sequence[FrameRecord]) -> Records:
    return {record.name: to_plain(record) for record in records}


def _lights(folder: Path, manifest: DatasetManifest) -> tuple[LightRecord, ...]:
    if manifest.version == 1:
        return (LightRecord(STUDIO, "latlong", file=str(manifest.config.get("light", STUDIO))),)
    lights = read_lights(folder / layout.LIGHTS)
    for light in lights:
        if light.file.endswith(".exr") and light.file not in manifest.files:
            raise DatasetError(
                f"{folder / layout.LIGHTS}: the light {light.name} has the file {light.file}, which "
                f"{layout.MANIFEST} does not list."
            )
    return lights


def _poses(folder: Path, manifest: DatasetManifest) -> tuple[Pose, ...]:
    if layout.POSES not in manifest.files:
        return ()
    return read_poses(folder / layout.POSES, read_skeleton(folder / layout.SKELETON))


def _check_cameras(
    folder: Path, cameras: Sequence[Camera], splits: Mapping[str, Sequence[str]], manifest: DatasetManifest
) -> None:
    listed = {split: list(names) for split, names in manifest.splits.items() if names}
    found = {split: list(names) for split, names in splits.items() if names}
    if listed != found:
        raise DatasetError(f"The splits of {layout.CAMERAS} and {layout.MANIFEST} in {folder} differ.")
    free = splits.get(layout.SURFACE_SPLIT, ())
    for camera in cameras:
        if camera.name not in free and (camera.width, camera.height) != manifest.resolution:
            width, height = manifest.resolution
            raise DatasetError(
                f"Camera {camera.name} in {folder} has {camera.width} x {camera.height} pixels, the dataset "
                f"{width} x {height}."
            )


def _material_entries(folder: Path, manifest: DatasetManifest) -> tuple[MaterialEntry, ...]:
    records = material_records(read_json(folder / layout.MATERIALS))
    missing = [info.name for info in manifest.materials if info.name not in records]
    if missing:
        raise DatasetError(f"{layout.MATERIALS} in {folder} lacks {', '.join(missing[:5])}.")
    return tuple(
        MaterialEntry(
            info.name,
            info.prompt,
            info.prompts,
            records[info.name],
            info.split,
            info.supported,
            info.transmissive,
            info.dropped,
            info.truth_floor,
        )
        for info in manifest.materials
    )


def material_records(content: object) -> dict[str, dict[str, object]]:
    """The records of materials.json (a material library) by name. Raises DatasetError for others."""
    records = content.get("materials") if isinstance(content, dict) else content
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DatasetError(f"{layout.MATERIALS} holds no list of material records.")
    return {str(record.get("name")): record for record in records}
