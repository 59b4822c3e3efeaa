"""Codes of prompts that no look of an asset was baked from. Imports torch when it is asked for some."""

from collections.abc import Callable
from pathlib import Path

from neuron_core.foundation.progress import Reporter
from neuron_core.voxels.baked import Baked
from neuron_core.voxels.nvf import LookCodes, encode_codes


def look_maker(weights: Path | None, report: Reporter) -> Callable[[Baked, str], LookCodes]:
    """A function that asks the field stored in an asset for a prompt.

    It raises AssetError for an asset without a field, PromptError for an encoder that is not there.
    """

    def make(baked: Baked, prompt: str) -> LookCodes:
        report.progress(0.0, "load", f'the field of {baked.path} for "{prompt}"')
        import torch

        from neuron_core.models.field.stored import load_field
        from neuron_core.models.field.voxelize import codes_of
        from neuron_core.prompts import encode_recorded

        field, _, encoder = load_field(baked.path)
        vectors = encode_recorded([prompt], encoder, weights, report)
        return encode_codes(codes_of(field, baked.nvf, torch.from_numpy(vectors))[0])

    return make
