"""The field as a family of models: what it learns from, its phases, and how good it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Placement
from neuron_core.learning.family import Built, Size
from neuron_core.learning.gates import beats
from neuron_core.learning.goals import Goals
from neuron_core.learning.objective import Objective
from neuron_core.learning.outcome import Measured
from neuron_core.learning.plan import Phase, scaled
from neuron_core.models.field import presets
from neuron_core.models.field.appearance_objective import AppearanceObjective
from neuron_core.models.field.config import TrainConfig
from neuron_core.models.field.frame_data import read_frames
from neuron_core.models.field.frames_objective import FramesObjective
from neuron_core.models.field.model import Field
from neuron_core.models.field.photographs_objective import PhotographsObjective
from neuron_core.models.field.presets import Recipe, Recipes
from neuron_core.models.field.preview import Preview, even_colors, figures_of
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.ray_data import read_rays
from neuron_core.models.field.shape_objective import ShapeObjective
from neuron_core.models.field.spec import FieldSpec
from neuron_core.models.field.stored import to_tensors
from neuron_core.models.field.surface_data import SurfacePool, label_space, read_surface
from neuron_core.models.field.trained import FIELD, TrainedLook
from neuron_core.models.field.unrendered_records import read_unrendered
from neuron_core.prompts import PromptEncoder, load_encoder

NOT_IN_RECIPE = ("dataset", "out", "device", "validate_every", "overwrite", "encoder_weights")
SPACE_CELLS = 64  # along a side, of the labels of free and solid space
PARAPHRASES = 16  # of every prompt that training draws from
SMOKE_STEPS, TRIAL_SHARE = 40, 0.1  # steps of all phases together, and a share of the full ones
FLAT_COLOR = "flat color"  # the baseline: a picture of one color, which every field has to beat

Source = Literal["surface", "frames", "photographs"]


@dataclass(frozen=True)
class FieldData:
    """A dataset that is open, and all that a field of it is made from."""

    settings: TrainConfig
    dataset: StoredDataset
    encoder: PromptEncoder
    plan: Recipe
    source: Source
    spec: FieldSpec
    report: Reporter

    @cached_property
    def looks(self) -> list[MaterialEntry]:
        """The materials that are trained."""
        return [entry for entry in self.dataset.materials if entry.split == "train"]

    @cached_property
    def prompts(self) -> Tensor:
        """Vectors of the paraphrases of every look [M, V, W]; the canonical one comes first."""
        return encode_paraphrases(self.encoder, self.looks)

    @cached_property
    def recipe(self) -> Mapping[str, object]:
        """The settings that count, and what the dataset and the encoder are."""
        wanted = {key: value for key, value in asdict(self.settings).items() if key not in NOT_IN_RECIPE}
        if self.settings.learn_from == "auto":
            del wanted["learn_from"]  # runs from before there was a choice stay what they are
        return {**wanted, "encoder": self.encoder.id.to_json(), "dataset": self.dataset.digest()}

    @property
    def description(self) -> Mapping[str, object]:
        """As `RunInfo` reads it."""
        low, high = ([float(value) for value in corner] for corner in self.dataset.aabb)
        manifest = self.dataset.manifest
        geometry = manifest.geometry.spec if manifest else self.dataset.path.name
        return {
            "config": {
                key: str(value) if isinstance(value, Path) else value
                for key, value in asdict(self.settings).items()
            },
            "field": self.spec.to_json(),
            "encoder": self.encoder.id.to_json(),
            "looks": [
                asdict(TrainedLook(look.name, look.prompt, look.prompts, look.supported, look.transmissive))
                for look in self.looks
            ],
            "aabb": [low, high],
            "dataset": {"kind": self.dataset.kind, "digest": self.recipe["dataset"], "geometry": geometry},
        }


def spec_of(preset: str, dataset: StoredDataset, prompt_width: int) -> FieldSpec:
    """The field that suits a dataset."""
    if dataset.kind == "rendered":
        return presets.surface_spec(preset, dataset.aabb, prompt_width)
    cameras, contracted = list(dataset.cameras.values()), dataset.background == "opaque"
    return presets.photograph_spec(preset, cameras, prompt_width, contracted)


def encode_paraphrases(encoder: PromptEncoder, looks: Sequence[MaterialEntry]) -> Tensor:
    """Vectors of the paraphrases of every look [M, V, W]; the canonical one comes first."""
    rows = []
    for look in looks:
        paraphrases = [look.prompt, *(prompt for prompt in look.prompts if prompt != look.prompt)]
        rows.append(encoder.encode((paraphrases * PARAPHRASES)[:PARAPHRASES]))
    return torch.from_numpy(np.stack(rows))


@dataclass(frozen=True, slots=True)
class FieldFamily:
    """Prompt-steered fields of rendered assets and of photographs."""

    recipes: Recipes = field(default_factory=lambda: presets.RECIPES)
    name: str = "field"
    config: type[TrainConfig] = TrainConfig
    goals: Goals = Goals("psnr", gates=(beats("psnr", FLAT_COLOR),))
    weights: str = FIELD

    def prepare(self, config: TrainConfig, report: Reporter) -> FieldData:
        """Open the dataset. Raises NeuronError if it cannot teach what is asked."""
        dataset = open_dataset(config.dataset, downscale=config.downscale)
        encoder = load_encoder(config.encoder, config.encoder_weights)
        if config.learn_from == "surface" and dataset.kind != "rendered":
            raise NeuronError(
                f"{config.dataset} has no surface to learn from: it holds photographs.",
                "Leave --learn-from out, or give a dataset of `neuron dataset`.",
            )
        source: Source = "photographs"
        if dataset.kind == "rendered":
            source = "frames" if config.learn_from == "frames" else "surface"
        plan, spec = self.recipes[source][config.preset], spec_of(config.preset, dataset, encoder.width)
        return FieldData(config, dataset, encoder, plan, source, spec, report)

    def phases(self, prepared: FieldData, size: Size) -> Sequence[Phase]:
        """Those of the preset, with as many steps as were asked for."""
        phases = scaled([one.phase for one in prepared.plan.phases], prepared.settings.steps)
        every = prepared.settings.validate_every
        total = sum(phase.steps for phase in phases)
        if size == "smoke":
            phases = scaled(phases, min(SMOKE_STEPS, total))
        elif size == "trial":
            phases = scaled(phases, max(1, round(TRIAL_SHARE * total)))
        return [replace(phase, validate_every=every) for phase in phases]

    def build(self, prepared: FieldData, placement: Placement) -> Built:
        """A fresh field. Data is read when the first phase that needs it begins."""
        if placement.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32: codes and colors need no more
        torch.manual_seed(prepared.settings.seed)
        module = Field(prepared.spec).to(placement.device)
        return Built({"field": module}, Objectives(prepared, module).by_phase())

    def validate(self, modules: Mapping[str, nn.Module], prepared: FieldData, folder: Path) -> Preview:
        """Pictures of a validation view, figures of all of them."""
        return self._preview(modules, prepared, folder)

    def measure(self, modules: Mapping[str, nn.Module], prepared: FieldData, split: str) -> Measured:
        """PSNR on small pictures of a split, beside that of flat colors."""
        preview = self._preview(modules, prepared, Path())
        views = preview.views if split == "val" else prepared.dataset.splits[split]
        pictures = [preview.pictures(view) for view in views]
        return Measured(split, figures_of(pictures), {FLAT_COLOR: even_colors(pictures)})

    def student(self, config: TrainConfig) -> TrainConfig | None:
        """Fields are small as they are."""
        return None

    def tensors(self, modules: Mapping[str, nn.Module]) -> Mapping[str, np.ndarray]:
        """Those that `neuron bake` stores."""
        return to_tensors(_field_of(modules))

    def _preview(self, modules: Mapping[str, nn.Module], prepared: FieldData, folder: Path) -> Preview:
        shown = _field_of(modules)
        prompts = prepared.prompts[:, 0].to(shown.center.device)
        return Preview(prepared.dataset, shown, prepared.looks, prompts, folder)


def _field_of(modules: Mapping[str, nn.Module]) -> Field:
    module = modules["field"]
    assert isinstance(module, Field)
    return module


class Objectives:
    """How to make the objective of each phase; what several of them need is read once."""

    def __init__(self, data: FieldData, field: Field) -> None:
        self.data = data
        self.field = field
        self.device = field.center.device

    def by_phase(self) -> Mapping[str, Callable[[], Objective]]:
        """By the names of the phases."""
        return {
            "geometry": self.shape,
            "appearance": self.appearance,
            "frames": self.frames,
            "volume": self.photographs,
        }

    @cached_property
    def surface(self) -> SurfacePool:
        """What the views of a rendered dataset show."""
        return read_surface(self.data.dataset, self._names, self.device)

    @cached_property
    def _names(self) -> list[str]:
        return [look.name for look in self.data.looks]

    @cached_property
    def _prompts(self) -> Tensor:
        return self.data.prompts.to(self.device)

    def shape(self) -> ShapeObjective:
        """Of a rendered asset."""
        dataset, spec = self.data.dataset, self.field.spec
        space = label_space(dataset, self.surface, self.field.center, spec.half_side, SPACE_CELLS)
        box = torch.from_numpy(np.asarray(dataset.aabb, np.float32)).to(self.device)
        return ShapeObjective(self.field, self.surface, space, box, self.data.plan.named("geometry").batch)

    def appearance(self) -> AppearanceObjective:
        """Of a rendered asset, on its surface."""
        data, plan = self.data, self.data.plan.named("appearance")
        unrendered = None
        if data.settings.preset.startswith("library"):
            unrendered = read_unrendered(
                data.dataset, self.surface, data.encoder, data.settings.seed, data.report
            )
        return AppearanceObjective(
            self.field, self.surface, self._prompts, plan.batch, data.settings.seed, plan.looks, unrendered
        )

    def frames(self) -> FramesObjective:
        """Of a rendered asset, by volume rendering."""
        data, plan = self.data, self.data.plan.named("frames")
        pool = read_frames(data.dataset, self._names, self.device)
        return FramesObjective(
            self.field,
            pool,
            self._prompts,
            plan.batch,
            self._steps("frames"),
            data.settings.seed,
            shell_cells=data.plan.shell_cells,
        )

    def photographs(self) -> PhotographsObjective:
        """Of a scene that was photographed."""
        plan = self.data.plan
        pool = read_rays(self.data.dataset, "train", self.device)
        return PhotographsObjective(
            self.field,
            pool,
            self._prompts[0, 0],
            ray_range(self.field.spec),
            plan.named("volume").batch,
            plan.max_samples,
        )

    def _steps(self, name: str) -> int:
        phases = scaled([one.phase for one in self.data.plan.phases], self.data.settings.steps)
        return next(phase.steps for phase in phases if phase.name == name)


FAMILY = FieldFamily()
