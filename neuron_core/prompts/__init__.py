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
from neuron_core.prompts.loading import load_encoder

__all__ = [
    "EMBEDDED",
    "EncoderId",
    "PromptEncoder",
    "PromptError",
    "check_prompt",
    "load_encoder",
    "require_same",
]
