"""`neuron bake`: from a run to one `.neuron` file."""

import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from neuron_core.assets import AssetError, Manifest, read_header, write_asset
from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.progress import Reporter
from neuron_core.models.field.baking import bake, describe, wanted_looks
from neuron_core.models.field.checkpoint import FIELD, load_run, run_folder
from neuron_core.prompts import EncoderId, encode_recorded
from neuron_core.tasks.bake.config import BakeConfig

MOST_LOOKS = 64  # that are baked without being asked for


def run(config: BakeConfig, report: Reporter) -> dict[str, object]:
    """Bake, or say that it is done. Returns the asset's path, size and looks."""
    _check_target(config)
    config = replace(config, run=run_folder(config.run))
    field, info = load_run(config.run)
    source = fingerprint(config)
    if _is_done(config, source):
        report.progress(1.0, "bake", "already done")
        return result_of(config.out, read_header(config.out).manifest, "already baked")
    if not config.prompt and len(info.looks) > MOST_LOOKS:
        raise AssetError(
            f"The run in {config.run} was trained on {len(info.looks)} looks, too many for one file.",
            'Say which: --prompt "brushed copper, worn" --prompt "oak wood"; any words will do.',
        )
    looks = wanted_looks(info.looks, config.prompt)
    prompts = [look.prompt for look in looks]
    vectors = encode_recorded(prompts, EncoderId.from_json(info.encoder), config.encoder_weights, report)
    tensors = bake(field, np.array(info.aabb, np.float32), looks, vectors, config.resolution, report)
    name = config.name or config.out.stem
    manifest = describe(name, config.licence, info, looks, config.resolution, source)
    report.progress(0.95, "bake", "writing")
    return result_of(config.out, write_asset(config.out, manifest, tensors), "baked")


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
