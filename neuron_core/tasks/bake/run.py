"""`neuron bake`: from a run to one `.neuron` file."""

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neuron_core.assets import (
    ARCHITECTURES,
    AssetError,
    Encoder,
    Look,
    Manifest,
    read_header,
    slug_of,
    write_asset,
)
from neuron_core.cameras.camera import subpixels
from neuron_core.cameras.dome import field_of_view, framing_distance, turntable
from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.progress import Reporter
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.models.field import stored
from neuron_core.models.field.checkpoint import FIELD, RunInfo, load_run, run_folder
from neuron_core.models.field.display import encode_pixels
from neuron_core.models.field.model import Field
from neuron_core.models.field.spec import ARCHITECTURE
from neuron_core.models.field.voxelise import codes_of, voxelise
from neuron_core.prompts import EncoderId, load_encoder, require_same
from neuron_core.rendering.baked import Renderer
from neuron_core.tasks.bake.config import BakeConfig
from neuron_core.voxels.nvf import LookCodes, Nvf, encode_codes, to_tensors
from neuron_core.voxels.shading import shader_from_tensors

PREVIEW_SIDE = 256  # pixels
MOST_LOOKS = 64  # that are baked without being asked for
assert ARCHITECTURE in ARCHITECTURES["inr"]


@dataclass(frozen=True, slots=True)
class WantedLook:
    """A look to bake."""

    slug: str
    prompt: str
    trained: str  # name of the material it was trained as, or ""


def run(config: BakeConfig, report: Reporter) -> dict[str, object]:
    """Bake, or say that it is done. Returns the asset's path, size and looks."""
    _check_target(config)
    config = replace(config, run=run_folder(config.run))
    field, info = load_run(config.run)
    source = fingerprint(config)
    if _is_done(config, source):
        report.progress(1.0, "bake", "already done")
        return result_of(config.out, read_header(config.out).manifest, "already baked")
    looks = wanted_looks(config, info)
    prompts = encode(config, info, looks, report)
    report.progress(0.1, "bake", "voxels")
    nvf = voxelise(field, np.array(info.aabb, np.float32), config.resolution)
    codes = {}
    for index, look in enumerate(looks):
        report.progress(0.4 + 0.4 * index / len(looks), "bake", look.prompt)
        codes[look.slug] = encode_codes(codes_of(field, nvf, prompts[index : index + 1])[0])
    report.progress(0.85, "bake", "preview")
    tensors = {**to_tensors(nvf, codes), **stored.to_tensors(field)}
    tensors["preview.main"] = np.frombuffer(draw_preview(nvf, codes[looks[0].slug], tensors, field), np.uint8)
    manifest = describe(config, info, looks, source)
    report.progress(0.95, "bake", "writing")
    final = write_asset(config.out, manifest, tensors)
    return result_of(config.out, final, "baked")


def wanted_looks(config: BakeConfig, info: RunInfo) -> list[WantedLook]:
    """The looks to bake: those trained, or those of the prompts that were given."""
    if not config.prompt and len(info.looks) > MOST_LOOKS:
        raise AssetError(
            f"The run in {config.run} was trained on {len(info.looks)} looks, too many for one file.",
            'Say which: --prompt "brushed copper, worn" --prompt "oak wood"; any words will do.',
        )
    trained = {look.prompt.strip().lower(): look for look in info.looks}
    trained.update({look.name.lower(): look for look in info.looks})
    wanted = [
        (look.name, look.prompt) if look is not None else ("", prompt)
        for prompt, look in ((prompt, trained.get(prompt.strip().lower())) for prompt in config.prompt)
    ] or [(look.name, look.prompt) for look in info.looks]
    looks: list[WantedLook] = []
    for name, prompt in wanted:
        slug = slug_of(name or prompt, [look.slug for look in looks])
        looks.append(WantedLook(slug, prompt, name))
    return looks


def encode(config: BakeConfig, info: RunInfo, looks: list[WantedLook], report: Reporter) -> Tensor:
    """Prompt vectors [M, W] from the encoder that the run was trained with. Raises PromptError."""
    recorded = EncoderId.from_json(info.encoder)
    encoder = load_encoder(recorded.name, config.encoder_weights)
    require_same(encoder.id, recorded)
    for look in looks:
        unknown = encoder.unknown_words(look.prompt)
        if unknown:
            report.warn(f'The encoder does not know {", ".join(unknown)} in "{look.prompt}".')
    return torch.from_numpy(encoder.encode([look.prompt for look in looks]))


def describe(config: BakeConfig, info: RunInfo, looks: list[WantedLook], source: str) -> Manifest:
    """The manifest, without clocks: the same run and settings give the same bytes."""
    supported = {look.name: look.supported for look in info.looks}
    transmissive = {look.name: look.transmissive for look in info.looks}
    details = [
        {
            "material": look.trained,
            "supported": supported.get(look.trained, True),
            "transmissive": transmissive.get(look.trained, False),
        }
        for look in looks
    ]
    return Manifest(
        name=config.name or config.out.stem,
        aabb=info.aabb,
        architecture={"inr": ARCHITECTURE, "nvf": "nvf-1"},
        looks=tuple(
            Look(look.slug, look.prompt, detail) for look, detail in zip(looks, details, strict=True)
        ),
        encoder=Encoder(info.encoder["name"], info.encoder["digest"]),
        settings={"field": info.field.to_json(), "resolution": config.resolution},
        provenance={
            "source": source,
            "dataset": info.dataset,
            "training": {key: info.config[key] for key in ("preset", "steps", "minutes", "seed")},
        },
        metrics=dict(info.metrics or {}),
        licence=config.licence,
    )


def draw_preview(nvf: Nvf, codes: LookCodes, tensors: dict[str, np.ndarray], field: Field) -> bytes:
    """A thumbnail of the first look, as PNG bytes."""
    center = (nvf.aabb[0] + nvf.aabb[1]) / 2
    radius = float(np.linalg.norm(nvf.aabb[1] - nvf.aabb[0])) / 2
    distance = framing_distance(radius * 0.85, field_of_view(50.0, 36.0, PREVIEW_SIDE, PREVIEW_SIDE))
    camera = turntable(1, center.tolist(), distance, 15.0, width=PREVIEW_SIDE, height=PREVIEW_SIDE)[0]
    shader = shader_from_tensors(tensors, field.spec.to_json())
    rays_o, rays_d = subpixels(camera, 2)
    flat = [
        np.ascontiguousarray(np.broadcast_to(rays, rays_d.shape).reshape(-1, 3)) for rays in (rays_o, rays_d)
    ]
    pixels = Renderer(nvf, shader, codes).trace(flat[0], flat[1])
    shape = (PREVIEW_SIDE, PREVIEW_SIDE, 4)
    rgb = pixels.rgb.reshape(*shape, 3).mean(axis=2)
    return encode_png(
        to_bytes(encode_pixels(rgb, pixels.alpha.reshape(shape).mean(axis=2), field.spec.encoding))
    )


def fingerprint(config: BakeConfig) -> str:
    """Everything that the file depends on."""
    wanted = {key: value for key, value in asdict(config).items() if key not in ("run", "out", "overwrite")}
    wanted["encoder_weights"] = None
    content = json.dumps({**wanted, "field": sha256_of(config.run / FIELD)}, sort_keys=True)
    return sha256(content.encode()).hexdigest()[:32]


def result_of(out: Path, manifest: Manifest, verb: str) -> dict[str, object]:
    """The result object of the task."""
    size = out.stat().st_size
    looks = [{"slug": look.slug, "prompt": look.prompt} for look in manifest.looks]
    names = ", ".join(look.slug for look in manifest.looks)
    return {
        "asset": str(out),
        "bytes": size,
        "looks": looks,
        "digest": manifest.digest,
        "summary": f"{out}: {verb}, {size / 1e6:.1f} MB, looks {names}.",
    }


def _check_target(config: BakeConfig) -> None:
    if config.out.suffix != ".neuron":
        raise AssetError(f"{config.out} does not end in .neuron.", "Give the file that ending.")
    if not 8 <= config.resolution <= 1024:
        raise AssetError(f"A resolution of {config.resolution} voxels is not in 8..1024.", "128 is usual.")


def _is_done(config: BakeConfig, source: str) -> bool:
    if not config.out.exists() or config.overwrite:
        return False
    if read_header(config.out).manifest.provenance.get("source") == source:
        return True
    raise ConfigMismatchError(
        f"{config.out} was baked from another run or with other settings.",
        "Pick another file, or add --overwrite to replace it.",
    )
