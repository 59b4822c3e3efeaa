"""Materials that are known by their records alone: a grammar describes far more than anybody renders.

What the renderer would be given for a point of such a material is what its code has to say, too: a
small auxiliary head, thrown away after training, reads it there. Words that were rendered together with
some words then mean the same beside others. The head is also given how little light gets to the point,
so that codes may hold that as well. Combinations that a dataset holds out are left out here as well.
Letters in shapes: A materials, V paraphrases, K points, Q quantities, W prompt width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation import interrupts
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.geometry import Geometry, load_geometry
from neuron_core.geometry.surroundings import Surroundings, surroundings_of
from neuron_core.materials.grammar import Combination, combinations, find, material_of
from neuron_core.materials.principled import principled, varying_inputs
from neuron_core.materials.record import Material
from neuron_core.materials.wording import canonical_prompt, prompts
from neuron_core.models.field.surface_data import SurfacePool
from neuron_core.prompts import PromptEncoder

QUANTITIES = ("base_color", "roughness", "metallic", "spec_trans", "sheen", "clearcoat")
WIDTH = 8  # numbers in them: the color has three
GRAY = float(linear_to_srgb(np.array(0.18)))
NEUTRAL = np.array([GRAY, GRAY, GRAY, 1.0, 0.0, 0.0, 0.0, 0.0], np.float32)
POINTS, NEUTRAL_POINTS = 3072, 512  # on parts that take the material, and on those that do not
PARAPHRASES = 4
SMALLEST_SPREAD = 0.05  # what hardly any material has is not blown up


@dataclass(frozen=True, slots=True)
class UnrenderedRecords:
    """What records say about points of the surface."""

    prompts: Float[Tensor, "A V W"]
    points: Float[Tensor, "K 3"]  # asset space
    occlusion: Float[Tensor, "K 1"]  # share of an even sky's light that does not get there
    values: Float16[Tensor, "A K Q"]  # in units of their spread over all materials


def read_unrendered(
    dataset: StoredDataset, surface: SurfacePool, encoder: PromptEncoder, seed: int, report: Reporter
) -> UnrenderedRecords | None:
    """Every material of the grammar that a dataset of the grammar does not hold out.

    None, and said why, where the dataset's geometry is not at hand; None for other libraries.
    """
    looks = unrendered_looks(dataset)
    if not looks:
        return None
    geometry = _geometry(dataset, report)
    if geometry is None:
        return None
    rows, taken = _rows(surface, geometry, seed)
    points = surface.points[rows].cpu().numpy()
    around = surroundings_of(geometry).at(points.astype(np.float64))
    low, high = geometry.aabb()
    extent = float((high - low).max())
    values = np.empty((len(looks), len(points), WIDTH), np.float32)
    for index, look in enumerate(looks):
        if index % 50 == 0:
            interrupts.stop_if_requested()
            report.progress(0.0, "read", f"records {index}/{len(looks)}")
        values[index] = quantities(material_of(look), points / extent, around)
    values[:, ~taken] = NEUTRAL
    spread = values.reshape(-1, WIDTH).std(axis=0)
    scaled = torch.from_numpy(values / np.maximum(spread, SMALLEST_SPREAD))
    device = surface.points.device
    return UnrenderedRecords(
        _encode(encoder, looks).to(device),
        surface.points[rows],
        torch.from_numpy(around.occlusion)[:, None].to(device),
        scaled.half().to(device),
    )


def unrendered_looks(dataset: StoredDataset) -> list[Combination]:
    """The combinations of the grammar that share no base, finish and condition with what is held out;
    none if the dataset has materials from elsewhere."""
    found = {entry.name: find(entry.name) for entry in dataset.materials}
    if any(look is None for look in found.values()):
        return []
    hidden = {
        (look.base, look.finish, look.condition)
        for entry in dataset.materials
        if entry.split == "compositional" and (look := found[entry.name]) is not None
    }
    return [look for look in combinations() if (look.base, look.finish, look.condition) not in hidden]


def quantities(
    material: Material, points: Float[np.ndarray, "K 3"], around: Surroundings
) -> Float[np.ndarray, "K Q"]:
    """What the renderer is given for points of an object of one meter; colors on the sRGB curve."""
    constants, varying = principled(material).values, varying_inputs(material, points, around)
    columns = []
    for name in QUANTITIES:
        value = np.asarray(varying.get(name, constants.get(name, 0.0)), np.float32)
        wide = (len(points), 3) if name == "base_color" else (len(points), 1)
        column = np.broadcast_to(value.reshape(-1, wide[1]) if value.ndim else value, wide)
        columns.append(linear_to_srgb(column) if name == "base_color" else column)
    return np.concatenate(columns, axis=1)


def _geometry(dataset: StoredDataset, report: Reporter) -> Geometry | None:
    if dataset.manifest is None:
        return None
    rendered = dataset.manifest.geometry
    try:
        geometry = load_geometry(rendered.spec, rendered.assign)
    except NeuronError as error:
        report.warn(f"Only rendered materials are learned from: {error.message}")
        return None
    if geometry.digest() != rendered.digest:
        report.warn(f"Only rendered materials are learned from: {rendered.spec} is not what it was any more.")
        return None
    return geometry


def _rows(surface: SurfacePool, geometry: Geometry, seed: int) -> tuple[Tensor, np.ndarray]:
    """Some points of the surface, and which of them take the material."""
    shapes = surface.shapes.cpu().numpy()
    by_shape = np.zeros(max(int(shapes.max(initial=0)), len(geometry.parts)) + 1, bool)
    by_shape[1 : len(geometry.parts) + 1] = [part.takes_material for part in geometry.parts]
    takes = by_shape[shapes]
    random = np.random.default_rng(seed)
    chosen = [
        random.choice(rows, min(count, len(rows)), replace=False)
        for rows, count in ((np.flatnonzero(takes), POINTS), (np.flatnonzero(~takes), NEUTRAL_POINTS))
    ]
    together = np.concatenate(chosen)
    return torch.from_numpy(together).to(surface.points.device), takes[together]


def _encode(encoder: PromptEncoder, looks: Sequence[Combination]) -> Float[Tensor, "A V W"]:
    rows = []
    for look in looks:
        material = material_of(look)
        paraphrases = [canonical_prompt(material), *prompts(material, PARAPHRASES - 1, 0)]
        rows.append(encoder.encode(paraphrases))
    return torch.from_numpy(np.stack(rows))
