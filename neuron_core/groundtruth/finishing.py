"""What a dataset says of itself once all of its pictures are there; the manifest comes last.

Everything here follows from the plan and the folder. What only a renderer knows, it says in `Facts`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import save_cameras
from neuron_core.datasets import layout
from neuron_core.datasets.layout import GeometryInfo, Manifest, MaterialInfo
from neuron_core.foundation.files import write_bytes, write_json
from neuron_core.groundtruth.folder import PREVIEW, DatasetFolder
from neuron_core.groundtruth.plan import DatasetPlan
from neuron_core.images.exr import read_exr
from neuron_core.images.pictures import display, encode_png
from neuron_core.images.sheet import Row, contact_sheet
from neuron_core.materials import library_to_json
from neuron_core.materials.principled import principled
from neuron_core.materials.record import Material
from neuron_core.materials.wording import canonical_prompt, prompts

MOST_ROWS, MOST_COLUMNS = 24, 8  # materials and cameras in the preview
PROMPTS = 16  # wordings of each material
ENGINE_LICENCE = "Shader ball, materials and studio light are part of Neuron (Apache-2.0)."


@dataclass(frozen=True, slots=True)
class Facts:
    """What the manifest says beside the plan."""

    geometry: str  # as it was asked for
    assign: tuple[str, ...]
    materials: tuple[MaterialInfo, ...]
    notes: tuple[str, ...] = ()  # beside those of the geometry
    licences: tuple[str, ...] = (ENGINE_LICENCE,)
    mask_rectangle: tuple[int, int, int, int] | None = None


def finish(plan: DatasetPlan, folder: DatasetFolder, facts: Facts) -> Manifest:
    """Write cameras, records, transforms.json, the preview, and the manifest last."""
    save_cameras(folder.path / layout.CAMERAS, plan.cameras, plan.splits)
    write_json(folder.path / layout.MATERIALS, library_to_json(plan.materials))
    for material in plan.materials:
        write_json(folder.path / layout.transforms_path(material.name), transforms(plan, material.name))
    write_bytes(folder.path / PREVIEW, encode_png(contact_sheet(_preview_rows(plan, folder))))
    manifest = _manifest(plan, folder, facts)
    folder.finish(manifest.to_json())
    return manifest


def material_info(
    plan: DatasetPlan,
    material: Material,
    supported: bool,
    dropped: tuple[str, ...],
    truth_floor: dict[str, float] | None = None,
) -> MaterialInfo:
    """A material of the plan as the manifest lists it; what it lost is up to the renderer."""
    return MaterialInfo(
        name=material.name,
        prompt=canonical_prompt(material),
        prompts=tuple(prompts(material, PROMPTS, 0)),
        split="compositional" if material.name in plan.held_out else "train",
        supported=supported,
        transmissive=principled(material).transmissive,
        dropped=dropped,
        truth_floor=truth_floor or {},
    )


def transforms(plan: DatasetPlan, material: str) -> dict[str, object]:
    """A NeRF dataset of one material as nerfstudio writes it; `up_axis` says that Y is up."""
    names = plan.camera_names(material)
    cameras = [camera for camera in plan.cameras if camera.name in names]
    first = cameras[0]
    return {
        "camera_model": "OPENCV",
        "up_axis": "Y",
        "w": first.width,
        "h": first.height,
        "fl_x": first.fl_x,
        "fl_y": first.fl_y,
        "cx": first.cx,
        "cy": first.cy,
        "frames": [
            {"file_path": f"{camera.name}.exr", "transform_matrix": camera.c2w.tolist()} for camera in cameras
        ],
        **{
            f"{split}_filenames": [f"{name}.exr" for name in plan.splits[split] if name in names]
            for split in layout.CAMERA_SPLITS
        },
    }


def _manifest(plan: DatasetPlan, folder: DatasetFolder, facts: Facts) -> Manifest:
    low, high = plan.geometry.aabb().astype(float).tolist()
    first = plan.cameras[0]
    return Manifest(
        geometry=GeometryInfo(
            facts.geometry,
            plan.geometry.digest(),
            facts.assign,
            plan.geometry.center,
            (tuple(low), tuple(high)),
        ),
        renderer=folder.renderer(),
        resolution=(first.width, first.height),
        materials=facts.materials,
        splits=plan.splits,
        files=folder.checksums(_files(plan)),
        config=folder.description,
        fingerprint=folder.fingerprint,
        dropped=tuple(sorted({name for info in facts.materials for name in info.dropped})),
        notes=(*plan.geometry.notes, *facts.notes),
        licences=facts.licences,
        mask_rectangle=facts.mask_rectangle,
    )


def _files(plan: DatasetPlan) -> list[str]:
    """Everything but the manifest."""
    transformed = [layout.transforms_path(material.name) for material in plan.materials]
    rendered = [unit.path for unit in plan.units()]
    return [layout.CAMERAS, layout.MATERIALS, PREVIEW, *transformed, *rendered]


def _preview_rows(plan: DatasetPlan, folder: DatasetFolder) -> list[Row]:
    """Some pictures of every material, from test cameras where there are any."""
    rows: list[Row] = []
    for material in plan.materials[:MOST_ROWS]:
        names = (plan.splits["test"] or plan.training_views(material.name))[:MOST_COLUMNS]
        paths = [folder.path / layout.beauty_path(material.name, name) for name in names]
        rows.append((material.name, [(name, _shown(path)) for name, path in zip(names, paths, strict=True)]))
    return rows


def _shown(path: Path) -> np.ndarray:
    channels = read_exr(path)
    return display(np.stack([channels[name] for name in layout.BEAUTY_CHANNELS], axis=-1))
