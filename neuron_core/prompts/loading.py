"""Encoders by name. The modules behind the names are imported when one is asked for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuron_core.foundation.progress import Reporter
from neuron_core.prompts.encoder import (
    BLANK,
    EMBEDDED,
    OPENCLIP,
    EncoderId,
    PromptEncoder,
    PromptError,
    require_same,
)


def load_encoder(name: str = EMBEDDED, weights: Path | None = None) -> PromptEncoder:
    """The encoder of that name: "embedded", "openclip:ARCHITECTURE/TAG", "blank" or a recorded id's name.

    `weights` is a file to use instead of the packaged or cached one. Nothing is downloaded
    unless NEURON_ALLOW_DOWNLOAD is 1. Raises PromptError if there is no such encoder here.
    """
    if name == EMBEDDED or name.startswith(f"{EMBEDDED}/"):
        from neuron_core.prompts.embedded import load_embedded

        encoder = load_embedded(weights)
        if name not in (EMBEDDED, encoder.id.name):
            raise PromptError(
                f"The embedded encoder is {encoder.id.name}, not {name}.",
                f"What was trained with {name} needs a version of Neuron that has it; or train and bake it "
                f"again. {_options()}",
            )
        return encoder
    if name == BLANK:
        from neuron_core.prompts.blank import BlankEncoder

        return BlankEncoder()
    if name.startswith(OPENCLIP):
        from neuron_core.prompts.openclip import load_openclip

        return load_openclip(name, weights)
    raise PromptError(f"There is no prompt encoder {name!r}.", _options())


def load_recorded(recorded: EncoderId, weights: Path | None = None) -> PromptEncoder:
    """The encoder that a field was trained with. Raises PromptError if only another one is here."""
    encoder = load_encoder(recorded.name, weights)
    require_same(encoder.id, recorded)
    return encoder


def encode_recorded(
    prompts: Sequence[str], recorded: EncoderId, weights: Path | None, report: Reporter
) -> np.ndarray:
    """Vectors [N, W] from the encoder that a field was trained with. Raises PromptError."""
    encoder = load_recorded(recorded, weights)
    warn_of_unknown_words(encoder, prompts, report)
    return encoder.encode(prompts)


def warn_of_unknown_words(encoder: PromptEncoder, prompts: Sequence[str], report: Reporter) -> None:
    """Report the words that mean nothing to the encoder, prompt by prompt."""
    for prompt in prompts:
        if unknown := encoder.unknown_words(prompt):
            report.warn(f'The encoder does not know {", ".join(unknown)} in "{prompt}".')


def _options() -> str:
    return f'Use "{EMBEDDED}", or a model of OpenCLIP such as "{OPENCLIP}ViT-B-32/laion2b_s34b_b79k".'
