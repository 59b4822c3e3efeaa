"""What a prompt encoder is, which ones there are, and what a prompt may look like."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Protocol, runtime_checkable

import numpy as np

from neuron_core.foundation.checks import matching, text
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.records import read_record

EMBEDDED = "embedded"  # the encoder in this package
BLANK = "blank"  # all prompts are the same to it: the baseline of a field without prompts
OPENCLIP = "openclip:"  # prefix of OpenCLIP's own models: openclip:ARCHITECTURE/TAG
LONGEST_PROMPT = 2000  # characters
_REFUSED = {
    "Cc": "a control character",
    "Cs": "half a surrogate pair",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


class PromptError(NeuronError):
    """A prompt that cannot be encoded, or an encoder that cannot be had or does not fit."""

    kind = "prompt"


@dataclass(frozen=True, slots=True)
class EncoderId:
    """Which encoder made a vector. Only vectors with equal ids can be compared."""

    name: Annotated[str, text(256, required=True)]  # "embedded/3", "openclip:ViT-B-32/laion2b_s34b_b79k"
    digest: Annotated[str, matching("[0-9a-f]{64}", "a SHA-256")]  # of weights and configuration

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]})"

    def to_json(self) -> dict[str, str]:
        """Plain data; `from_json` reads it back."""
        return {"name": self.name, "digest": self.digest}

    @classmethod
    def from_json(cls, value: object) -> "EncoderId":
        """Raises PromptError unless `value` is exactly what `to_json` writes."""
        hint = 'An encoder is named by the texts "name" and "digest".'
        return read_record(cls, value, "encoder", partial(PromptError, hint=hint))


@runtime_checkable
class PromptEncoder(Protocol):
    """Turns prompts into vectors, the same prompt always into the same one."""

    @property
    def id(self) -> EncoderId:
        """What a field remembers."""

    @property
    def width(self) -> int:
        """Numbers in a vector."""

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """[N, width] float32, rows of unit length that do not depend on each other.

        Raises PromptError for a prompt that `check_prompt` refuses or that is too long.
        """

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Words that mean nothing to this encoder, lower case, in order, each once.

        They do not steer the result; whoever asked for them should be told.
        """


def check_prompt(prompt: str) -> str:
    """The prompt without space around it. Raises PromptError if nobody could have meant it."""
    if len(prompt) > LONGEST_PROMPT:
        raise PromptError(
            f"A prompt of {len(prompt):,} characters ({prompt[:40]!r}…) is too long.",
            f"Use at most {LONGEST_PROMPT:,} characters; a few words are best.",
        )
    stripped = prompt.strip()
    for character in stripped:
        refused = _REFUSED.get(unicodedata.category(character))
        if refused:
            raise PromptError(
                f"The prompt {prompt[:80]!r} contains {refused} ({character!r}).",
                "Write it on one line of plain text.",
            )
    if not any(character.isalnum() for character in stripped):
        raise PromptError(
            f"The prompt {prompt[:80]!r} has no words.",
            'Describe a material, such as "brushed copper, worn".',
        )
    return stripped


def encode_each(
    prompts: Sequence[str], width: int, vectors: dict[str, np.ndarray], encode: Callable[[str], np.ndarray]
) -> np.ndarray:
    """[N, width]: `encode` of every checked prompt, asked only for those not yet in `vectors`.

    One at a time: in a batch the last digits of a vector would depend on its neighbors.
    """
    assert not isinstance(prompts, str), "a sequence of prompts, not one"
    checked = [check_prompt(prompt) for prompt in prompts]
    for prompt in checked:
        if prompt not in vectors:
            vectors[prompt] = encode(prompt)
    rows = [vectors[prompt] for prompt in checked]
    return np.stack(rows) if rows else np.zeros((0, width), np.float32)


def require_same(encoder_id: EncoderId, recorded: EncoderId) -> None:
    """Raises PromptError unless the encoder in hand is the one that a field was trained with."""
    if encoder_id == recorded:
        return
    if encoder_id.name == recorded.name:
        todo = "Its weights differ: use the version of Neuron that trained the field, or train again."
    else:
        todo = f"Load the encoder {recorded.name!r}, or train the field again with {encoder_id.name!r}."
    raise PromptError(
        f"The field was trained with the prompt encoder {recorded}, not with {encoder_id}.", todo
    )
