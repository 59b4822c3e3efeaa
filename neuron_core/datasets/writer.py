"""Writes dataset folders: files of views, the JSON files that describe them, and the manifest last.

What is described without lights, poses, frames and channels of its own is written as version 1,
everything else as version 2.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, save_cameras
from neuron_core.datasets import layout
from neuron_core.datasets.channels import FORMS, Channel, complaint_about, to_layers
from neuron_core.datasets.contract import View
from neuron_core.datasets.frames import FrameRecord, write_frames
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import (
    DatasetManifest,
    GeometryInfo,
    MaterialInfo,
    Rectangle,
    RendererInfo,
    StoredChannels,
)
from neuron_core.foundation.files import sha256_of, write_json
from neuron_core.images.exr import write_exr
from neuron_core.lights.environment import check_radiance
from neuron_core.lights.records import LightRecord, write_lights
from neuron_core.skeletons.records import Pose, Skeleton, write_poses, write_skeleton


@dataclass(frozen=True, slots=True)
class Description:
    """Everything that the JSON files of a dataset say, but the checksums."""

    geometry: GeometryInfo
    renderer: RendererInfo
    cameras: tuple[Camera, ...]
    splits: Mapping[str, tuple[str, ...]]  # train, val, test (surface) -> names of cameras
    materials: tuple[MaterialInfo, ...]
    library: Mapping[str, object]  # the content of materials.json
    config: Mapping[str, object]  # what the dataset was asked to be
    fingerprint: str  # of the config
    lights: tuple[LightRecord, ...] = ()
    skeleton: Skeleton | None = None
    poses: tuple[Pose, ...] = ()
    frames: tuple[FrameRecord, ...] = ()
    channels: StoredChannels = field(default_factory=StoredChannels)
    notes: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    mask_rectangle: Rectangle | None = None

    def __post_init__(self) -> None:
        if self.version > 1 and not self.lights:
            raise DatasetError("A dataset of version 2 needs the records of its lights.")
        if bool(self.poses) != (self.skeleton is not None):
            raise DatasetError("A dataset needs a skeleton with its poses, and poses with its skeleton.")

    @property
    def version(self) -> int:
        """The oldest that can say all of it."""
        plain = self.channels == StoredChannels()
        return 1 if plain and not (self.lights or self.poses or self.frames) else 2

    def camera(self, view: View) -> Camera:
        """The camera of a view at its frame."""
        frame = next((frame for frame in self.frames if frame.number == view.frame), None)
        moved = frame.moved_cameras() if frame else {}
        return moved.get(view.camera) or next(one for one in self.cameras if one.name == view.camera)


def write_view(folder: Path, about: Description, view: View, channels: Mapping[Channel, np.ndarray]) -> None:
    """Write the picture of a view, its G-buffer, or both: all channels that such a file has.

    Ids are whole numbers; what misses the object is 0. Raises DatasetError naming view and channel.
    """
    stored = about.channels
    camera = about.camera(view)
    files = {
        layout.gbuffer_path(view, about.version): stored.gbuffer,
        **({layout.beauty_path(view, about.version): stored.beauty} if view.material else {}),
    }
    kept = {path: wanted for path, wanted in files.items() if set(wanted) & set(channels)}
    needed = {channel for wanted in kept.values() for channel in wanted}
    for channel in sorted(needed ^ set(channels)):
        verb = "lacks" if channel in needed else "cannot have"
        raise DatasetError(f"The file of {view} {verb} the channel {channel}.")
    for channel, values in channels.items():
        complaint = complaint_about(channel, values, channels.get(Channel.COVERAGE))
        if values.shape[:2] != (camera.height, camera.width):
            complaint = f"is not {camera.width} x {camera.height} pixels"
        if complaint:
            raise DatasetError(f"The channel {channel} of {view} {complaint}.")
    for path, wanted in kept.items():
        halves = {name for channel in wanted if FORMS[channel].half for name in FORMS[channel].layers}
        write_exr(folder / path, to_layers({channel: channels[channel] for channel in wanted}), halves)


def write_light(folder: Path, light: str, radiance: np.ndarray) -> str:
    """Write the environment map [H, 2 H, 3] of a light; its path for the record. Raises LightError."""
    check_radiance(light, radiance)
    path = layout.light_path(light)
    write_exr(folder / path, {name: radiance[..., index] for index, name in enumerate("RGB")})
    return path


def write_descriptions(folder: Path, about: Description, pictures: Iterable[View]) -> list[str]:
    """Write every JSON file but the manifest; the paths of all of them.

    `pictures` are the views that have one: a transforms.json beside them lets other programs read
    those of one material as they are.
    """
    save_cameras(folder / layout.CAMERAS, about.cameras, about.splits)
    write_json(folder / layout.MATERIALS, dict(about.library))
    written = [layout.CAMERAS, layout.MATERIALS]
    if about.lights:
        write_lights(folder / layout.LIGHTS, about.lights)
        written.append(layout.LIGHTS)
    if about.skeleton is not None:
        write_skeleton(folder / layout.SKELETON, about.skeleton)
        write_poses(folder / layout.POSES, about.poses)
        written += [layout.SKELETON, layout.POSES]
    if about.frames:
        write_frames(folder / layout.FRAMES, about.frames)
        written.append(layout.FRAMES)
    beside: dict[str, list[View]] = {}
    for view in pictures:
        beside.setdefault(layout.transforms_path(view, about.version), []).append(view)
    for path, views in beside.items():
        write_json(folder / path, transforms(about, views))
    return [*written, *beside]


def transforms(about: Description, views: Iterable[View]) -> dict[str, object]:
    """The pictures of one folder as nerfstudio's NeRF datasets list them; `up_axis` says that Y is up."""
    order = {camera.name: index for index, camera in enumerate(about.cameras)}
    listed = sorted(views, key=lambda view: (order[view.camera], view.frame))
    names = {view: layout.beauty_path(view, about.version).rpartition("/")[2] for view in listed}
    first = about.camera(listed[0])
    frames = [
        {"file_path": name, "transform_matrix": about.camera(view).c2w.tolist()}
        for view, name in names.items()
    ]
    splits = {
        f"{split}_filenames": [
            name
            for camera in about.splits.get(split, ())
            for view, name in names.items()
            if view.camera == camera
        ]
        for split in layout.CAMERA_SPLITS
    }
    return {
        "camera_model": "OPENCV",
        "up_axis": "Y",
        "w": first.width,
        "h": first.height,
        "fl_x": first.fl_x,
        "fl_y": first.fl_y,
        "cx": first.cx,
        "cy": first.cy,
        "frames": frames,
        **splits,
    }


def manifest_of(folder: Path, about: Description, files: Iterable[str]) -> DatasetManifest:
    """The manifest over files that are all there, by their relative paths."""
    listed = next(camera for camera in about.cameras if camera.name not in about.splits.get("surface", ()))
    return DatasetManifest(
        geometry=about.geometry,
        renderer=about.renderer,
        resolution=(listed.width, listed.height),
        materials=about.materials,
        splits=about.splits,
        files={path: sha256_of(folder / path) for path in sorted(files)},
        config=about.config,
        fingerprint=about.fingerprint,
        dropped=tuple(sorted({name for info in about.materials for name in info.dropped})),
        notes=about.notes,
        licences=about.licences,
        mask_rectangle=about.mask_rectangle,
        channels=about.channels,
        version=about.version,
    )


def finish_dataset(folder: Path, about: Description) -> DatasetManifest:
    """Describe and close a folder whose views and lights are written. From now on it is a dataset."""
    found = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*.exr"))]
    views = [view for path in found if (view := layout.view_at(path, about.version)) is not None]
    written = write_descriptions(folder, about, [view for view in views if view.material])
    manifest = manifest_of(folder, about, [*found, *written])
    write_json(folder / layout.MANIFEST, manifest.to_json())
    return manifest
