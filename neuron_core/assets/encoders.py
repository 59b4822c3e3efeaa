"""Whether the prompt encoder of an asset can be had here."""

from functools import lru_cache

from neuron_core.assets import Manifest
from neuron_core.prompts import PromptEncoder, load_encoder, require_same


@lru_cache(maxsize=8)
def encoder_named(name: str) -> PromptEncoder:
    """The encoder, loaded once. Raises PromptError if there is none of that name here."""
    return load_encoder(name)


def check_encoder(manifest: Manifest) -> None:
    """Raises PromptError where the encoder that an asset was trained with is not to be had."""
    if manifest.encoder is not None:
        require_same(encoder_named(manifest.encoder.name).id, manifest.encoder)
