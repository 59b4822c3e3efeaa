"""Prompts as vectors: one embedded encoder that is always there, OpenCLIP's by name.

Importing this package imports neither torch nor open_clip; encoding the first prompt does.
"""

from neuron_core.prompts.encoder import (
    EMBEDDED,
    EncoderId,
    PromptEncoder,
    PromptError,
    check_prompt,
    require_same,
)
from neuron_core.prompts.loading import encode_recorded, load_encoder, load_recorded, warn_of_unknown_words

__all__ = [
    "EMBEDDED",
    "EncoderId",
    "PromptEncoder",
    "PromptError",
    "check_prompt",
    "encode_recorded",
    "load_encoder",
    "load_recorded",
    "require_same",
    "warn_of_unknown_words",
]
