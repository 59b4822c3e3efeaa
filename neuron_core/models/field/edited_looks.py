"""Looks of an asset under edits: the field stored in it, asked for prompts and stacks of edits."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neuron_core.assets import Asset, AssetError
from neuron_core.assets.look_edits import EditedLook
from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.devices import torch_device
from neuron_core.foundation.progress import Reporter
from neuron_core.prompts import PromptEncoder, load_recorded, warn_of_unknown_words
from neuron_core.prompts.edits import Stack
from neuron_core.prompts.steering import steered
from neuron_core.voxels.baked import from_tensors
from neuron_core.voxels.look_tensors import Tensors, base_codes, own_tensors, stored
from neuron_core.voxels.nvf import LookCodes


class Timing(NamedTuple):
    """Of the last codes that were computed."""

    encode_ms: float
    look_ms: float


class Source(NamedTuple):
    """An asset in memory, and what asking its field takes."""

    path: Path
    asset: Asset
    encoder_weights: Path | None = None
    device: str = "auto"


def make_look(source: Source, edited: EditedLook, report: Reporter) -> tuple[Tensors, Timing | None]:
    """The tensors that the asset is to hold for a look, and how long its codes took, if they were computed.

    Imports torch only if they are. Raises AssetError for an asset without a field, PromptError for an
    encoder that cannot be had.
    """
    before = {} if edited.is_new else own_tensors(source.asset.tensors, edited.look.slug)
    if not edited.changed:
        return before, None
    base = base_codes(before)
    active = any(edit.enabled for edit in edited.stack)
    states = [*([()] if base is None else []), *([edited.stack] if active else [])]
    made, timing = _codes_of(source, edited.look.prompt, states, report) if states else ([], None)
    base = made[0] if base is None else base
    return stored(made[-1] if active else base, base if edited.stack else None), timing


def _codes_of(
    source: Source, prompt: str, states: Sequence[Stack], report: Reporter
) -> tuple[list[LookCodes], Timing | None]:
    """The codes of a prompt under each of some stacks."""
    encoder = _encoder(source)
    texts = [edit.text for stack in states for edit in stack if edit.enabled and edit.kind != "axis"]
    warn_of_unknown_words(encoder, list(dict.fromkeys((prompt, *texts))), report)
    report.progress(0.2, "look", prompt)
    from neuron_core.models.field.looks import LookMaker
    from neuron_core.models.field.spec import FieldSpec
    from neuron_core.models.field.stored import field_from

    tensors = source.asset.tensors
    spec = FieldSpec.from_json(source.asset.manifest.settings.get("field"))
    field = field_from(tensors, spec, source.path).to(torch_device(source.device))
    maker = LookMaker(field, from_tensors(tensors)[0])
    encoder.encode(["material"])  # the first prompt loads the encoder's weights
    maker.codes(np.zeros(encoder.width, np.float32))
    report.progress(0.6, "look", prompt)
    found: list[LookCodes] = []
    timing = None
    for stack in states:
        watch = Stopwatch()
        blend = steered(encoder, prompt, stack)
        encoded = watch.seconds
        found.append(maker.blended(blend.vectors, blend.weights))
        timing = Timing(1e3 * encoded, 1e3 * (watch.seconds - encoded))
    return found, timing


def _encoder(source: Source) -> PromptEncoder:
    manifest = source.asset.manifest
    if "inr" not in manifest.architecture or manifest.encoder is None:
        raise AssetError(f"{source.path} holds no field: it has only the looks that were baked.")
    return load_recorded(manifest.encoder, source.encoder_weights)
