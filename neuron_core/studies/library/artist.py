"""A trained field that is asked for pictures, and the true ones beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuron_core.datasets.contract import View, read_encoded
from neuron_core.datasets.reader import StoredDataset
from neuron_core.models.field.model import Field
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.models.field.trained import load_run
from neuron_core.prompts import PromptEncoder, load_encoder
from neuron_core.prompts.steering import Blend
from neuron_core.rendering.tracing import draw

MOST_LOOKS = 16  # at once


class Artist:
    """Draws what the cameras of a dataset see, under any prompts."""

    def __init__(self, field: Field, encoder: PromptEncoder, dataset: StoredDataset) -> None:
        self.field = field
        self.encoder = encoder
        self.dataset = dataset

    def of_vectors(self, vectors: np.ndarray, camera: str) -> np.ndarray:
        """[L, H, W, 3] sRGB over white, of prompt vectors [L, W]."""
        parts = [
            draw(FieldTracer(self.field, part), self.dataset.cameras[camera], 2).over_white()
            for part in np.split(vectors, range(MOST_LOOKS, len(vectors), MOST_LOOKS))
        ]
        return np.concatenate(parts)

    def of_prompts(self, prompts: Sequence[str], camera: str) -> np.ndarray:
        """[L, H, W, 3] of prompts."""
        return self.of_vectors(self.encoder.encode(list(prompts)), camera)

    def of_blends(self, blends: Sequence[Blend], camera: str) -> np.ndarray:
        """[L, H, W, 3] of blended prompts."""
        rows = np.repeat(np.arange(len(blends)), [len(blend.weights) for blend in blends])
        weights = np.concatenate([blend.weights for blend in blends])
        vectors = np.concatenate([blend.vectors for blend in blends])
        matrix = np.zeros((len(blends), len(vectors)), np.float32)
        matrix[rows, np.arange(len(vectors))] = weights
        tracer = FieldTracer(self.field, vectors, matrix)
        return draw(tracer, self.dataset.cameras[camera], 2).over_white()

    def truths(self, names: Sequence[str], camera: str) -> np.ndarray:
        """True pictures [M, H, W, 3] of materials."""
        return truths(self.dataset, names, camera)


def artist_of(run: Path, dataset: StoredDataset) -> Artist:
    """The field of a finished run. Raises RunError, PromptError."""
    field, info = load_run(run, "cpu")
    return Artist(field, load_encoder(info.encoder["name"]), dataset)


def truths(dataset: StoredDataset, names: Sequence[str], camera: str) -> np.ndarray:
    """True pictures [M, H, W, 3] from a camera."""
    return np.stack([read_encoded(dataset, View(camera, name)) for name in names])
