"""Draw a field itself. Imports torch; what draws baked voxels does not come here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from neuron_core.foundation.colors import Encoding
from neuron_core.foundation.progress import Reporter
from neuron_core.models.field.model import Field
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.render import FieldRenderer
from neuron_core.models.field.stored import load_field
from neuron_core.prompts import encode_recorded
from neuron_core.rendering.tracing import Hits


class FieldTracer:
    """A field under some prompts; geometry is marched once for all of them."""

    def __init__(self, field: Field, vectors: np.ndarray, blend: np.ndarray | None = None) -> None:
        """`vectors` [M, W] are the prompts, encoded by the field's own encoder. `blend` [L, M] makes
        looks of them whose codes are sums; without it each prompt is a look."""
        self.encoding: Encoding = field.spec.encoding
        self._device = field.center.device
        self._renderer = FieldRenderer(field, ray_range(field.spec))
        self._prompts = self._moved(np.asarray(vectors, np.float32))
        self._blend = None if blend is None else self._moved(np.asarray(blend, np.float32))

    def colors(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Premultiplied colors [L, R, 3] and opacities [R] of unit rays [R, 3], rows of `width`."""
        origins, directions = self._moved(rays_o), self._moved(rays_d)
        pixels = self._renderer.render(origins, directions, self._prompts, self._blend)
        return pixels.rgbs.cpu().numpy(), pixels.opacities.cpu().numpy()

    def surfaces(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Hits:
        """What unit rays [R, 3] hit."""
        pixels = self._renderer.render(self._moved(rays_o), self._moved(rays_d), self._prompts[:1])
        values = (pixels.opacities, pixels.depths, pixels.normals)
        return Hits(*(value.cpu().numpy() for value in values))

    def _moved(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def stored_tracer(
    path: Path, prompts: Sequence[str], weights: Path | None, device: str, report: Reporter
) -> FieldTracer:
    """The field that is stored in an asset, under prompts. Raises AssetError or PromptError."""
    field, _, encoder = load_field(path)
    return FieldTracer(field.to(device), encode_recorded(prompts, encoder, weights, report))
