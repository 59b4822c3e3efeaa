"""A trained field to what a `.neuron` file holds: voxels, codes of its looks, the field itself, a preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neuron_core.assets import ARCHITECTURES, Look, Manifest, slug_of
from neuron_core.foundation.progress import Reporter
from neuron_core.models.field import stored
from neuron_core.models.field.model import Field
from neuron_core.models.field.spec import ARCHITECTURE
from neuron_core.models.field.trained import RunInfo, TrainedLook
from neuron_core.models.field.voxelize import codes_of, voxelize
from neuron_core.prompts import EncoderId
from neuron_core.rendering.asset_pictures import draw_thumbnail
from neuron_core.rendering.tracing import BakedTracer
from neuron_core.voxels.baked import to_tensors
from neuron_core.voxels.nvf import encode_codes
from neuron_core.voxels.shading import shader_from_tensors

PREVIEW_SIDE = 256  # pixels
VOXELS = "nvf-1"  # the architecture of the voxels
assert ARCHITECTURE in ARCHITECTURES["inr"] and VOXELS in ARCHITECTURES["nvf"]

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class WantedLook:
    """A look to bake."""

    slug: str
    prompt: str
    trained: str  # name of the material it was trained as; empty for other prompts


def wanted_looks(trained: Sequence[TrainedLook], prompts: Sequence[str]) -> list[WantedLook]:
    """The looks of the prompts; without prompts all that were trained.

    A prompt, or a name, that was trained is baked as that material. Slugs differ.
    """
    known = {look.prompt.strip().lower(): look for look in trained}
    known |= {look.name.lower(): look for look in trained}
    found = [(prompt, known.get(prompt.strip().lower())) for prompt in prompts]
    wanted = [(look.prompt, look.name) if look else (prompt, "") for prompt, look in found]
    looks: list[WantedLook] = []
    for prompt, name in wanted or [(look.prompt, look.name) for look in trained]:
        looks.append(WantedLook(slug_of(name or prompt, [look.slug for look in looks]), prompt, name))
    return looks


def bake(
    field: Field,
    aabb: np.ndarray,
    looks: Sequence[WantedLook],
    vectors: np.ndarray,
    resolution: int,
    report: Reporter,
) -> Tensors:
    """The tensors of the file. `aabb` [2, 3] is the asset's box in meters, `resolution` counts voxels
    along its longest side, `vectors` [L, W] are the encoded prompts of the looks.

    Raises VoxelError if the field is empty.
    """
    report.progress(0.1, "bake", "voxels")
    nvf = voxelize(field, aabb, resolution)
    codes = {}
    for index, look in enumerate(looks):
        report.progress(0.4 + 0.4 * index / len(looks), "bake", look.prompt)
        prompt = torch.from_numpy(vectors[index : index + 1])
        codes[look.slug] = encode_codes(codes_of(field, nvf, prompt)[0])
    report.progress(0.85, "bake", "preview")
    tensors = {**to_tensors(nvf, codes), **stored.to_tensors(field)}
    shader = shader_from_tensors(tensors, field.spec.to_json())
    tracer = BakedTracer(nvf, shader, [codes[looks[0].slug]])
    preview = draw_thumbnail(tracer, nvf.aabb, PREVIEW_SIDE)
    return {**tensors, "preview.main": np.frombuffer(preview, np.uint8)}


def describe(
    name: str,
    licence: str,
    info: RunInfo,
    looks: Sequence[WantedLook],
    resolution: int,
    source: str,
) -> Manifest:
    """The manifest, without clocks: the same run and settings give the same bytes.

    `source` is the digest of everything that the file follows from.
    """
    trained = {look.name: look for look in info.looks}
    return Manifest(
        name=name,
        aabb=info.aabb,
        architecture={"inr": ARCHITECTURE, "nvf": VOXELS},
        looks=tuple(
            Look(look.slug, look.prompt, _details(look, trained.get(look.trained))) for look in looks
        ),
        encoder=EncoderId.from_json(info.encoder),
        settings={"field": info.field.to_json(), "resolution": resolution},
        provenance={
            "source": source,
            "dataset": info.dataset,
            "training": {key: info.config[key] for key in ("preset", "steps", "minutes", "seed")},
        },
        metrics=dict(info.metrics or {}),
        licence=licence,
    )


def _details(look: WantedLook, trained: TrainedLook | None) -> Mapping[str, object]:
    return {
        "material": look.trained,
        "supported": trained is None or trained.supported,
        "transmissive": trained is not None and trained.transmissive,
    }
