"""`neuron bake`: from a run to one `.neuron` file."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from neuron_core.assets import AssetError, Manifest, read_header, write_asset
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.outputs import FINGERPRINT, claim_file, fingerprint_of
from neuron_core.foundation.progress import Reporter
from neuron_core.models.field.baking import bake, describe, wanted_looks
from neuron_core.models.field.trained import FIELD, load_run, run_folder
from neuron_core.prompts import EncoderId, encode_recorded
from neuron_core.tasks.bake.config import BakeConfig

MOST_LOOKS = 64  # that are baked without being asked for
KIND = "an asset that was baked from another run or with other settings"


def run(config: BakeConfig, report: Reporter) -> dict[str, object]:
    """Bake, or say that it is done. Returns the asset's path, size and looks."""
    _check_target(config)
    config = replace(config, run=run_folder(config.run))
    field, info = load_run(config.run)
    looks = wanted_looks(info.looks, config.prompt)
    source = fingerprint(config)
    name = config.name or config.out.stem
    wanted = {
        "name": name,
        "licence": config.licence,
        "resolution": config.resolution,
        "looks": [look.slug for look in looks],
        FINGERPRINT: source,
    }
    if claim_file(config.out, config.overwrite, KIND, wanted, made_with) == "done":
        report.progress(1.0, "bake", "already done")
        return result_of(config.out, read_header(config.out).manifest, "already baked")
    if not config.prompt and len(info.looks) > MOST_LOOKS:
        raise AssetError(
            f"The run in {config.run} was trained on {len(info.looks)} looks, too many for one file.",
            'Say which: --prompt "brushed copper, worn" --prompt "oak wood"; any words will do.',
        )
    prompts = [look.prompt for look in looks]
    vectors = encode_recorded(prompts, EncoderId.from_json(info.encoder), config.encoder_weights, report)
    tensors = bake(field, np.array(info.aabb, np.float32), looks, vectors, config.resolution, report)
    manifest = describe(name, config.licence, info, looks, config.resolution, source)
    report.progress(0.95, "bake", "writing")
    return result_of(config.out, write_asset(config.out, manifest, tensors), "baked")


def fingerprint(config: BakeConfig) -> str:
    """Everything that the file depends on."""
    wanted = {key: value for key, value in asdict(config).items() if key not in ("run", "out", "overwrite")}
    wanted["encoder_weights"] = None
    return fingerprint_of({**wanted, "field": sha256_of(config.run / FIELD)})


def made_with(path: Path) -> dict[str, object]:
    """What a file was baked with, as far as it says."""
    manifest = read_header(path).manifest
    return {
        "name": manifest.name,
        "licence": manifest.licence,
        "resolution": manifest.settings.get("resolution"),
        "looks": [look.slug for look in manifest.looks],
        FINGERPRINT: manifest.provenance.get("source"),
    }


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
