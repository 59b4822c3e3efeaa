"""Text towers built from open_clip's own classes. Importing this takes seconds."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import TextTransformer
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from neuron_core.prompts.encoder import PromptError

TABLE = "token_embedding.weight"  # what `ROWS`, `IDS` and `OTHERS` stand for in the file
ROWS, IDS, OTHERS = "token_embedding.rows", "token_embedding.ids", "token_embedding.others"
Features = Callable[[Int[Tensor, "1 C"]], Float[Tensor, "1 W"]]  # token numbers to a feature


class TextTower:
    """A tokenizer and what turns its tokens into a feature."""

    def __init__(
        self,
        tokenizer: SimpleTokenizer,
        context: int,
        features: Features,
    ) -> None:
        """`features` must not keep state; `context` counts the start and end tokens."""
        self._tokenizer = tokenizer
        self._context = context
        self._features = features

    def encode(self, prompt: str) -> np.ndarray:
        """[W] float32 of unit length. Raises PromptError if the prompt has too many tokens."""
        count, room = len(self._tokenizer.encode(prompt)), self._context - 2
        if count > room:
            raise PromptError(
                f"The prompt {prompt[:40]!r}… has {count} tokens; this encoder reads {room}.",
                "Shorten it: a word or a comma is about one token. Nothing is cut off in silence.",
            )
        with torch.inference_mode():
            features = self._features(self._tokenizer([prompt], context_length=self._context))
            vector = torch.nn.functional.normalize(features[0].float(), dim=0).numpy()
        if not np.isfinite(vector).all():
            raise PromptError(
                f"The prompt {prompt[:40]!r} has no finite vector: the encoder's weights are damaged."
            )
        return vector


def embedded_tower(weights: bytes, model: Mapping[str, object], source: Path) -> TextTower:
    """From the content of an embedded encoder's file and its open_clip model configuration."""
    try:
        text = dict(model["text_cfg"])  # type: ignore[call-overload]
        transformer = TextTransformer(**text, output_dim=model["embed_dim"])
        transformer.load_state_dict(_whole_table(load(weights), transformer.vocab_size))
    except (SafetensorError, RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        raise PromptError(
            f"The weights in {source} do not fit their configuration: {error}",
            "Install Neuron again, or make the files with scripts/train_encoder.py.",
        ) from error
    transformer.eval()
    context = transformer.context_length
    return TextTower(SimpleTokenizer(context_length=context), context, _on_one_thread(transformer))


def _on_one_thread(features: Features) -> Features:
    """So small a tower waits longer for its threads than it computes, above all on a busy machine."""

    def run(tokens: Int[Tensor, "1 C"]) -> Float[Tensor, "1 W"]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return features(tokens)
        finally:
            torch.set_num_threads(threads)

    return run


def _whole_table(tensors: dict[str, Tensor], vocabulary: int) -> dict[str, Tensor]:
    rows, ids, others = (tensors.pop(name) for name in (ROWS, IDS, OTHERS))
    table = others.repeat(vocabulary, 1)
    table[ids.long()] = rows
    return {**tensors, TABLE: table}
