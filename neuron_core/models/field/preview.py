"""Validation pictures while training: truth beside what the field draws."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neuron_core.cameras.camera import resized, subpixels
from neuron_core.datasets.contract import View, has_picture, read_encoded
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.photographs import shrink
from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation.files import write_bytes
from neuron_core.images.metrics import psnr
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.images.sheet import contact_sheet
from neuron_core.models.field.display import encode_pixels
from neuron_core.models.field.model import Field
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.render import FieldRenderer

FOLDER = "previews"
MOST_LOOKS = 4
LONGEST_SIDE = 160  # pixels


class Preview:
    """Draws one validation view under a few looks, at a small size."""

    def __init__(
        self,
        dataset: StoredDataset,
        field: Field,
        looks: Sequence[MaterialEntry],
        prompts: Tensor,
        folder: Path,
    ) -> None:
        self.dataset = dataset
        self.field = field
        names = dataset.splits["val"] or dataset.splits["test"] or dataset.splits["train"]
        seen = [row for row, look in enumerate(looks) if has_picture(dataset, View(names[0], look.name))][
            :MOST_LOOKS
        ]
        self.looks = [looks[row] for row in seen]
        self.prompts = prompts[seen]
        self.folder = folder / FOLDER
        self.camera = dataset.cameras[names[0]]

    def __call__(self, step: int) -> Mapping[str, float]:
        """Write the picture of this step; returns its figures."""
        pictures, truths = self._draw()
        rows = [
            (look.name, [("truth", to_bytes(truth)), ("field", to_bytes(picture))])
            for look, picture, truth in zip(self.looks, pictures, truths, strict=True)
        ]
        write_bytes(self.folder / f"step_{step:06d}.png", encode_png(contact_sheet(rows)))
        return self._figures(pictures, truths)

    def measure(self) -> Mapping[str, float]:
        """The figures alone."""
        return self._figures(*self._draw())

    def _figures(self, pictures: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> Mapping[str, float]:
        values = [psnr(picture, truth) for picture, truth in zip(pictures, truths, strict=True)]
        return {"psnr": float(np.mean(values))}

    def _draw(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """sRGB over white [H, W, 3] in [0, 1], drawn and true, for each look."""
        scale = min(1.0, LONGEST_SIDE / max(self.camera.width, self.camera.height))
        width, height = (max(1, round(n * scale)) for n in (self.camera.width, self.camera.height))
        camera = resized(self.camera, width, height)
        rays_o, rays_d = subpixels(camera, 2)
        device = self.field.center.device
        renderer = FieldRenderer(self.field, ray_range(self.field.spec))
        origins, directions = (
            torch.from_numpy(np.array(np.broadcast_to(rays, rays_d.shape)).reshape(-1, 3)).to(device)
            for rays in (rays_o, rays_d)
        )
        pixels = renderer.render(origins, directions, self.prompts)
        shape = (len(self.looks), height, width, 4)
        rgbs = pixels.rgbs.reshape(*shape, 3).mean(3).cpu().numpy()
        alphas = pixels.opacities.reshape(shape[1:]).mean(-1).cpu().numpy()
        drawn = [encode_pixels(rgb, alphas, self.field.spec.encoding) for rgb in rgbs]
        return drawn, [self._truth(look.name, width, height) for look in self.looks]

    def _truth(self, look: str, width: int, height: int) -> np.ndarray:
        truth = read_encoded(self.dataset, View(self.camera.name, look))
        if truth.shape[:2] == (height, width):
            return truth
        return shrink(truth, width, height)
