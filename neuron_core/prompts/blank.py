"""An encoder to which all prompts are the same: a field trained with it is the prompt-agnostic baseline."""

import hashlib
from collections.abc import Sequence

import numpy as np

from neuron_core.prompts.encoder import BLANK, EncoderId, check_prompt

WIDTH = 8


class BlankEncoder:
    """Says nothing. It is for measuring what prompts are worth, not for work."""

    id = EncoderId(BLANK, hashlib.sha256(f"{BLANK} {WIDTH}".encode()).hexdigest())
    width = WIDTH

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """[N, width] float32, equal rows of unit length. Raises PromptError as other encoders do."""
        for prompt in prompts:
            check_prompt(prompt)
        return np.full((len(prompts), WIDTH), WIDTH**-0.5, np.float32)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Always empty: nothing was to be understood."""
        return ()
