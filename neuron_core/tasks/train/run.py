"""`neuron train`: from a dataset to a field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation.devices import torch_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.wording import listed
from neuron_core.models.field import checkpoint, presets, preview
from neuron_core.models.field.checkpoint import RunInfo, TrainedLook
from neuron_core.models.field.config import TrainConfig
from neuron_core.models.field.described import read_described
from neuron_core.models.field.frame_data import read_frames
from neuron_core.models.field.frame_stage import FrameStage
from neuron_core.models.field.loop import Limits, Trainer
from neuron_core.models.field.model import Field
from neuron_core.models.field.presets import Plan
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.ray_data import read_rays
from neuron_core.models.field.render import RayRange
from neuron_core.models.field.spec import FieldSpec
from neuron_core.models.field.stages import AppearanceStage, GeometryStage, Stage
from neuron_core.models.field.surface_data import label_space, read_surface
from neuron_core.models.field.volume_stage import VolumeStage
from neuron_core.prompts import PromptEncoder, load_encoder

NOT_IN_FINGERPRINT = ("dataset", "out", "device", "validate_every", "overwrite", "encoder_weights")
SPACE_CELLS = 64
WORDINGS = 16  # of every prompt that training draws from


def run(config: TrainConfig, report: Reporter) -> dict[str, object]:
    """Train, or go on training, and return where the run is and how well it does."""
    device = torch.device(torch_device(config.device))
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32: codes and colors need no more
    dataset = open_dataset(config.dataset, downscale=config.downscale)
    encoder = load_encoder(config.encoder, config.encoder_weights)
    if config.learn_from == "surface" and dataset.kind != "rendered":
        raise NeuronError(
            f"{config.dataset} has no surface to learn from: it holds photographs.",
            "Leave --learn-from out, or give a dataset of `neuron dataset`.",
        )
    looks = [entry for entry in dataset.materials if entry.split == "train"]
    info = describe(config, dataset, encoder, looks)
    existing = checkpoint.claim(config.out, info.fingerprint, config.overwrite)
    if existing is not None and existing.finished:
        report.progress(1.0, "train", "already done")
        return result_of(config.out, existing, "already trained")
    checkpoint.write_run(config.out, info)

    torch.manual_seed(config.seed)
    field = Field(info.field).to(device)
    prompts = encode_prompts(encoder, looks).to(device)
    plan = plan_of(config, dataset)
    validate = preview.Preview(dataset, field, looks, prompts[:, 0], config.out)
    limits = Limits(config.minutes, config.validate_every)
    trainer = Trainer(field, list(plan.stages.values()), limits, config.out, report, validate)
    if trainer.resume():
        report.progress(0.0, "train", "going on from the last checkpoint")
    trainer.run(make_stages(config, dataset, field, looks, prompts, plan, encoder, report))

    field.eval()
    metrics = validate.measure()
    checkpoint.save_field(config.out, field)
    done = replace(info, finished=True, metrics=dict(metrics))
    checkpoint.write_run(config.out, done)
    (config.out / checkpoint.CHECKPOINT).unlink(missing_ok=True)
    return result_of(config.out, done, "trained")


def describe(
    config: TrainConfig, dataset: StoredDataset, encoder: PromptEncoder, looks: Sequence[MaterialEntry]
) -> RunInfo:
    """What run.json will say."""
    wanted = {key: value for key, value in asdict(config).items() if key not in NOT_IN_FINGERPRINT}
    if config.learn_from == "auto":
        del wanted["learn_from"]  # runs from before there was a choice stay what they are
    identity = {"encoder": encoder.id.to_json(), "dataset": dataset.digest()}
    return RunInfo(
        config={
            key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()
        },
        fingerprint=checkpoint.fingerprint({**wanted, **identity}),
        field=field_spec(config, dataset, encoder.width),
        encoder=encoder.id.to_json(),
        looks=tuple(
            TrainedLook(look.name, look.prompt, look.prompts, look.supported, look.transmissive)
            for look in looks
        ),
        aabb=_corners(dataset.aabb),
        dataset={"kind": dataset.kind, "digest": identity["dataset"], **_source_of(dataset)},
    )


def field_spec(config: TrainConfig, dataset: StoredDataset, prompt_width: int) -> FieldSpec:
    """The field that suits the dataset."""
    if dataset.kind == "rendered":
        return presets.surface_spec(config.preset, dataset.aabb, prompt_width)
    cameras, contracted = list(dataset.cameras.values()), dataset.background == "opaque"
    return presets.photograph_spec(config.preset, cameras, prompt_width, contracted)


def plan_of(config: TrainConfig, dataset: StoredDataset) -> Plan:
    """The preset's stages, scaled to the steps that were asked for."""
    if dataset.kind != "rendered":
        plans = presets.PHOTOGRAPH_PLANS
    else:
        plans = presets.FRAME_PLANS if config.learn_from == "frames" else presets.SURFACE_PLANS
    return plans[config.preset].scaled(config.steps)


def encode_prompts(encoder: PromptEncoder, looks: Sequence[MaterialEntry]) -> Tensor:
    """Vectors of the wordings of every look [M, V, W]; the canonical one comes first."""
    rows = []
    for look in looks:
        wordings = [look.prompt, *(prompt for prompt in look.prompts if prompt != look.prompt)]
        repeated = (wordings * WORDINGS)[:WORDINGS]
        rows.append(encoder.encode(repeated))
    return torch.from_numpy(np.stack(rows))


def make_stages(
    config: TrainConfig,
    dataset: StoredDataset,
    field: Field,
    looks: Sequence[MaterialEntry],
    prompts: Tensor,
    plan: Plan,
    encoder: PromptEncoder,
    report: Reporter,
) -> list[Callable[[], Stage]]:
    """How to make each stage when its turn comes; data is read once."""
    device, stages = field.center.device, plan.stages
    if dataset.kind == "photographs":
        pool = read_rays(dataset, "train", device)
        rays: RayRange = ray_range(field.spec)
        volume = stages["volume"]
        return [
            lambda: VolumeStage(
                field, pool, prompts[0, 0], rays, volume.batch, plan.most_samples, config.seed
            )
        ]
    surface = read_surface(dataset, [look.name for look in looks], device)

    def geometry() -> Stage:
        space = label_space(dataset, surface, field.center, field.spec.half_side, SPACE_CELLS)
        box = torch.from_numpy(np.asarray(dataset.aabb, np.float32)).to(device)
        return GeometryStage(field, surface, space, box, stages["geometry"].batch, config.seed)

    def appearance() -> Stage:
        own = stages["appearance"]
        described = None
        if config.preset.startswith("library"):
            described = read_described(dataset, surface, encoder, config.seed, report)
        return AppearanceStage(field, surface, prompts, own.batch, config.seed, own.looks, described)

    def frames() -> Stage:
        plan_of_stage = stages["frames"]
        pool = read_frames(dataset, [look.name for look in looks], device)
        return FrameStage(field, pool, prompts, plan_of_stage.batch, plan_of_stage.steps, config.seed)

    return [geometry, frames if "frames" in stages else appearance]


def result_of(out: Path, info: RunInfo, verb: str) -> dict[str, object]:
    """The result object of the task."""
    metrics = info.metrics or {}
    quality = f", {metrics['psnr']:.1f} dB on validation views" if "psnr" in metrics else ""
    names = [look.name for look in info.looks]
    return {
        "run": str(out),
        "looks": names,
        "metrics": metrics,
        "previews": str(out / preview.FOLDER),
        "summary": f"{out}: {verb} on {listed(names)}{quality}.",
    }


def _corners(aabb: np.ndarray) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    low, high = (tuple(float(value) for value in corner) for corner in aabb)
    return low, high  # type: ignore[return-value]


def _source_of(dataset: StoredDataset) -> Mapping[str, object]:
    return {"geometry": dataset.manifest.geometry.spec if dataset.manifest else dataset.path.name}
