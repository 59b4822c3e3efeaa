"""Validation while training: all validation views are measured, one is drawn beside the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neuron_core.cameras.camera import Camera, resized, subpixels
from neuron_core.datasets.contract import View, has_picture, read_encoded
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.photographs import shrink
from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation.colors import shown_over_white
from neuron_core.foundation.files import write_bytes
from neuron_core.images.metrics import psnr
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.images.sheet import contact_sheet
from neuron_core.learning.plan import Position
from neuron_core.models.field.model import Field
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.render import FieldRenderer

FOLDER = "previews"
MAX_LOOKS = 4  # of a view
LONGEST_SIDE = 160  # pixels

Pictures = Mapping[str, tuple[np.ndarray, np.ndarray]]  # drawn and true, by look: sRGB over white [H, W, 3]


class Preview:
    """Draws views under a few looks each, at a small size."""

    def __init__(
        self,
        dataset: StoredDataset,
        field: Field,
        looks: Sequence[MaterialEntry],
        prompts: Tensor,
        folder: Path,
    ) -> None:
        """`prompts` [M, W] are those of the looks; pictures go to a folder below `folder`."""
        self.dataset = dataset
        self.field = field
        self.looks = looks
        self.prompts = prompts
        self.folder = folder / FOLDER
        self.views = dataset.splits["val"] or dataset.splits["test"][:1] or dataset.splits["train"][:1]

    def __call__(self, position: Position) -> Mapping[str, float]:
        """Write the picture of the first view at this step; returns the figures of all views."""
        drawn = {view: self.pictures(view) for view in self.views}
        rows = [
            (look, [("truth", to_bytes(truth)), ("field", to_bytes(picture))])
            for look, (picture, truth) in drawn[self.views[0]].items()
        ]
        path = self.folder / f"step_{position.total:06d}.png"
        write_bytes(path, encode_png(contact_sheet(rows)))
        return figures_of(list(drawn.values()))

    def measure(self, views: Sequence[str] | None = None) -> Mapping[str, float]:
        """The figures alone, of the validation views or of others."""
        return figures_of([self.pictures(view) for view in views or self.views])

    def pictures(self, view: str) -> Pictures:
        """A view under some of the looks that it was rendered in."""
        seen = [
            row for row, look in enumerate(self.looks) if has_picture(self.dataset, View(view, look.name))
        ][:MAX_LOOKS]
        camera = self.dataset.cameras[view]
        scale = min(1.0, LONGEST_SIDE / max(camera.width, camera.height))
        width, height = (max(1, round(n * scale)) for n in (camera.width, camera.height))
        drawn = self._draw(resized(camera, width, height), self.prompts[seen])
        truths = [self._truth(self.looks[row].name, view, width, height) for row in seen]
        names = [self.looks[row].name for row in seen]
        return {name: (one, true) for name, one, true in zip(names, drawn, truths, strict=True)}

    def _draw(self, camera: Camera, prompts: Tensor) -> list[np.ndarray]:
        rays_o, rays_d = subpixels(camera, 2)
        device = self.field.center.device
        renderer = FieldRenderer(self.field, ray_range(self.field.spec))
        origins, directions = (
            torch.from_numpy(np.array(np.broadcast_to(rays, rays_d.shape)).reshape(-1, 3)).to(device)
            for rays in (rays_o, rays_d)
        )
        pixels = renderer.render(origins, directions, prompts)
        shape = (len(prompts), camera.height, camera.width, 4)
        rgbs = pixels.rgbs.reshape(*shape, 3).mean(3).cpu().numpy()
        alphas = pixels.opacities.reshape(shape[1:]).mean(-1).cpu().numpy()
        return [shown_over_white(rgb, alphas, self.field.spec.encoding) for rgb in rgbs]

    def _truth(self, look: str, view: str, width: int, height: int) -> np.ndarray:
        truth = read_encoded(self.dataset, View(view, look))
        if truth.shape[:2] == (height, width):
            return truth
        return shrink(truth, width, height)


def figures_of(views: Sequence[Pictures]) -> Mapping[str, float]:
    """The mean over all pictures of all views; nothing where there are none."""
    values = [psnr(drawn, true) for pictures in views for drawn, true in pictures.values()]
    return {"psnr": float(np.mean(values))} if values else {}


def even_colors(views: Sequence[Pictures]) -> Mapping[str, float]:
    """What the best picture of a single color would reach: a baseline that no model should miss."""
    values = [
        psnr(np.broadcast_to(true.mean(axis=(0, 1)), true.shape).astype(true.dtype), true)
        for pictures in views
        for _, true in pictures.values()
    ]
    return {"psnr": float(np.mean(values))} if values else {}
