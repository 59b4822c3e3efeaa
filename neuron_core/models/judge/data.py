"""What a judge learns from: the same materials in datasets under several lights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from neuron_core.datasets.contract import View, read_picture
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.models.judge.model import SIZE

RENDERED = 64  # pixels of the pictures, of which SIZE are cut out
TURNED = 0.3  # part of the pictures that lie on their side or head
GAIN, TINT = 0.25, 0.05  # stops by which pictures and their channels are brighter or darker


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """Everything that a judge follows from."""

    datasets: tuple[Path, ...]  # of the same materials; their test views are learned from
    steps: int = 1200
    batch: int = 96
    rate: float = 3e-3  # learning rate at its peak
    seed: int = 4099


@dataclass(frozen=True, slots=True)
class JudgeData:
    """Linear pictures [M, V, H, W, 4] of materials from all views under all lights."""

    config: JudgeConfig
    names: Sequence[str]
    pictures: np.ndarray
    sources: Sequence[str] = ()  # digests of the datasets

    @property
    def recipe(self) -> Mapping[str, object]:
        """The config, the materials and the datasets."""
        wanted = asdict(self.config)
        del wanted["datasets"]
        return {**wanted, "names": list(self.names), "datasets": list(self.sources)}

    @property
    def description(self) -> Mapping[str, object]:
        """The materials, in the order of the judge's directions."""
        return {"names": list(self.names)}


def load_data(config: JudgeConfig) -> JudgeData:
    """All pictures of the supported materials. Raises DatasetError if they are of another size."""
    datasets = [open_dataset(path) for path in config.datasets]
    names = [entry.name for entry in datasets[0].materials if entry.supported]
    pictures = np.stack([[_picture(*view, name) for view in _views(datasets)] for name in names])
    return JudgeData(config, names, pictures, [dataset.digest() for dataset in datasets])


def _views(datasets: Sequence[StoredDataset]) -> list[tuple[StoredDataset, str]]:
    return [(dataset, camera) for dataset in datasets for camera in dataset.splits["test"]]


def _picture(dataset: StoredDataset, camera: str, name: str) -> np.ndarray:
    picture = read_picture(dataset, View(camera, name))
    if picture.shape != (RENDERED, RENDERED, 4):
        raise DatasetError(
            f"{dataset.path} has pictures of {picture.shape[1]} pixels, not {RENDERED}.",
            f"Render it with --resolution {RENDERED}.",
        )
    return picture


def augmented(pictures: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """sRGB over white [N, 3, S, S] of linear RGBA [N, H, W, 4]: cut, mirrored, turned, brighter or darker."""
    rows = []
    for picture in pictures:
        top, left = noise.integers(0, RENDERED - SIZE + 1, 2)
        cut = picture[top : top + SIZE, left : left + SIZE]
        cut = cut[:, ::-1] if noise.random() < 0.5 else cut
        cut = np.rot90(cut, int(noise.integers(4))) if noise.random() < TURNED else cut
        gain = 2.0 ** noise.uniform(-GAIN, GAIN) * 2.0 ** noise.uniform(-TINT, TINT, 3)
        rows.append(linear_to_srgb(cut[..., :3] * gain.astype(np.float32) + 1.0 - cut[..., 3:]))
    return np.ascontiguousarray(np.stack(rows).transpose(0, 3, 1, 2), np.float32)


def plain(pictures: np.ndarray) -> np.ndarray:
    """sRGB over white [N, H, W, 3] of linear RGBA [N, H, W, 4]."""
    return np.asarray(linear_to_srgb(pictures[..., :3] + 1.0 - pictures[..., 3:]), np.float32)
