"""Tokens of the training texts, and prompts as numbers of them."""

import random
from collections.abc import Sequence

import torch
from jaxtyping import Int
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from neuron_core.models.prompt_encoder.language import every_phrase
from neuron_core.prompts.embedded import BLANK, words_of

CONTEXT = 48  # tokens of a prompt, start and end included
USUAL, MANY = 2, CONTEXT - 3  # blanks that are put into a prompt at most
SPARED, CROWDED = 0.6, 0.1  # part of the prompts without blanks, and of the batches with many


class Vocabulary:
    """Tokens numbered without gaps: 0 is every token that never occurs in training."""

    def __init__(self) -> None:
        """Order is that of open_clip's tokens, so that the end token stays the greatest."""
        self.tokenizer = SimpleTokenizer(context_length=CONTEXT)
        phrases = list(every_phrase())
        self.words = sorted({word for phrase in phrases for word in words_of(phrase)})
        assert BLANK not in self.words
        used = {token for phrase in phrases for token in self.tokenizer.encode(phrase)}
        self.ids = sorted(used | set(self.tokenizer.all_special_ids))
        self._number = {token: number for number, token in enumerate(self.ids, start=1)}
        self._encoded: dict[str, list[int]] = {}

    def encode(self, prompt: str) -> list[int]:
        """Numbers of the prompt's tokens, without start and end."""
        numbers: list[int] = []
        for part in prompt.split():
            if part not in self._encoded:
                self._encoded[part] = [self._number.get(token, 0) for token in self.tokenizer.encode(part)]
            numbers += self._encoded[part]
        return numbers

    def batch(self, prompts: Sequence[str], chance: random.Random | None) -> Int[Tensor, "N C"]:
        """Numbers of prompts, as many columns as the longest one needs.

        With `chance` blanks are put in: what nobody knows means nothing. Now and then there are many
        of them, so that late positions are learned too.
        """
        most = 0 if chance is None else MANY if chance.random() < CROWDED else USUAL
        start, end = len(self.ids) - 1, len(self.ids)
        rows = [[start, *_with_blanks(self.encode(prompt), most, chance), end] for prompt in prompts]
        length = max(map(len, rows))
        return torch.tensor([row + [0] * (length - len(row)) for row in rows])


def _with_blanks(numbers: list[int], most: int, chance: random.Random | None) -> list[int]:
    if chance is None or chance.random() < SPARED:
        return numbers
    numbers = list(numbers)
    for _ in range(min(1 + chance.randrange(most), CONTEXT - 2 - len(numbers))):
        numbers.insert(chance.randrange(len(numbers) + 1), 0)
    return numbers
