"""What a dataset says of itself once all of its pictures are there; the manifest comes last.

Everything here follows from the plan and the folder. What only a renderer knows, it says in `Facts`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.datasets import layout
from neuron_core.datasets.channels import Channel, from_layers
from neuron_core.datasets.contract import View
from neuron_core.datasets.manifest import DatasetManifest, GeometryInfo, MaterialInfo, Rectangle
from neuron_core.datasets.writer import Description, manifest_of, write_descriptions
from neuron_core.foundation.files import write_bytes
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
    mask_rectangle: Rectangle | None = None


def finish(plan: DatasetPlan, folder: DatasetFolder, facts: Facts) -> DatasetManifest:
    """Write cameras, records, transforms.json, the preview, and the manifest last."""
    about = _description(plan, folder, facts)
    units = plan.units()
    written = write_descriptions(folder.path, about, [unit.view for unit in units if unit.material])
    write_bytes(folder.path / PREVIEW, encode_png(contact_sheet(_preview_rows(plan, folder))))
    manifest = manifest_of(folder.path, about, [*written, PREVIEW, *(unit.path for unit in units)])
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


def _description(plan: DatasetPlan, folder: DatasetFolder, facts: Facts) -> Description:
    low, high = plan.geometry.aabb().astype(float).tolist()
    return Description(
        geometry=GeometryInfo(
            facts.geometry,
            plan.geometry.digest(),
            facts.assign,
            plan.geometry.center,
            (tuple(low), tuple(high)),
        ),
        renderer=folder.renderer(),
        cameras=plan.cameras,
        splits=plan.splits,
        materials=facts.materials,
        library=library_to_json(plan.materials),
        config=folder.description,
        fingerprint=folder.fingerprint,
        notes=(*plan.geometry.notes, *facts.notes),
        licences=facts.licences,
        mask_rectangle=facts.mask_rectangle,
    )


def _preview_rows(plan: DatasetPlan, folder: DatasetFolder) -> list[Row]:
    """Some pictures of every material, from test cameras if there are any."""
    rows: list[Row] = []
    for material in plan.materials[:MOST_ROWS]:
        names = (plan.splits["test"] or plan.training_views(material.name))[:MOST_COLUMNS]
        paths = [folder.path / layout.beauty_path(View(name, material.name)) for name in names]
        rows.append((material.name, [(name, _shown(path)) for name, path in zip(names, paths, strict=True)]))
    return rows


def _shown(path: Path) -> np.ndarray:
    return display(from_layers(read_exr(path), Channel.BEAUTY))
