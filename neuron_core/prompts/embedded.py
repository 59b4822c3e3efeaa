"""The encoder in this package: the text tower of a small CLIP trained on renders of materials.

`scripts/train_encoder.py` makes its files. They hold rows of the token table only for tokens
that occurred in training; all others share one row, which training taught to mean nothing.
The configuration also lists every word that occurred.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import read_bytes
from neuron_core.prompts.encoder import EncoderId, PromptError, encode_each

if TYPE_CHECKING:
    from neuron_core.prompts.towers import TextTower

PACKAGED = Path(__file__).parent / "weights" / "embedded-3.safetensors"
BLANK = "unknown"  # stands for every word that never occurred; it did not occur itself
_WORD = re.compile(r"[^\W\d_]+|\d+")


def words_of(text: str) -> list[str]:
    """Runs of letters and runs of digits, lower case, in order."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


class EmbeddedEncoder:
    """Knows its id and its words at once; imports torch and open_clip for the first vector."""

    def __init__(self, weights: bytes, configuration: bytes, source: Path) -> None:
        """`source` is the file of `weights`, for messages. Raises PromptError for bad ones."""
        try:
            parsed = json.loads(configuration)
            name, words = str(parsed["name"]), [str(word) for word in parsed["words"]]
            self._model: dict[str, object] = dict(parsed["model"])
            self.width = int(parsed["model"]["embed_dim"])
        except (ValueError, KeyError, TypeError) as error:
            raise PromptError(f"The configuration beside {source} cannot be used: {error}.") from error
        self.id = EncoderId(name, hashlib.sha256(weights + configuration).hexdigest())
        self._words = frozenset(words)
        self._weights = weights
        self._source = source
        self._tower: TextTower | None = None
        self._vectors: dict[str, np.ndarray] = {}

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """[N, width] float32, rows of unit length; each prompt is computed once."""
        return encode_each(prompts, self.width, self._vectors, self._encode)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Words that never occurred in training; they do not steer the result."""
        return tuple(dict.fromkeys(word for word in words_of(prompt) if word not in self._words))

    def _encode(self, prompt: str) -> np.ndarray:
        if self._tower is None:
            from neuron_core.prompts.towers import embedded_tower

            self._tower = embedded_tower(self._weights, self._model, self._source)
            self._weights = b""
        return self._tower.encode(self._blanked(prompt))

    def _blanked(self, prompt: str) -> str:
        """Unknown words become one that is surely not in the table: parts of them could be."""
        plain = unicodedata.normalize("NFKC", prompt).lower()
        return _WORD.sub(lambda found: found[0] if found[0] in self._words else BLANK, plain)


def load_embedded(weights: Path | None = None) -> EmbeddedEncoder:
    """The packaged encoder, or the one in the file `weights` (its .json must lie beside it)."""
    path = PACKAGED if weights is None else Path(weights)
    try:
        return EmbeddedEncoder(read_bytes(path), read_bytes(path.with_suffix(".json")), path)
    except FileError as error:
        raise PromptError(
            f"The embedded prompt encoder is incomplete: {error.message}",
            "Install Neuron again, or make the files with scripts/train_encoder.py.",
        ) from error
