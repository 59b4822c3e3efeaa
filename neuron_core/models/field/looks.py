"""Material codes of a baked asset under any prompt: what no prompt can change is computed once.

Codes are asked for at the active samples of the voxels, each place once, though bricks store what
they share twice. Points are worked on in parts of a fixed size, one thread each, so that codes
have the same bits on any number of cores. Letters in shapes: V active samples, U distinct places,
C code channels, H hidden units, W prompt width.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from neuron_core.foundation import interrupts
from neuron_core.kernels.baked.layout import CELLS
from neuron_core.kernels.launch import CORES
from neuron_core.models.field.model import Field, MaterialBranch, Style
from neuron_core.models.field.spec import CODE_CHANNELS
from neuron_core.voxels.nvf import LookCodes, Nvf, lattice_places

Given = TypeVar("Given")
Made = TypeVar("Made")

PART = 4096  # points: their hidden units stay in the cache
_threads = ThreadPoolExecutor(CORES, thread_name_prefix="neuron-looks")


class LookMaker:
    """A field and its voxels, ready to be asked for looks."""

    def __init__(self, field: Field, nvf: Nvf) -> None:
        """Takes a moment: features of every place are computed and kept, about 0.5 KB each."""
        places, self._rows = distinct_places(nvf)
        self._material = field.material.eval()
        self._device = field.center.device
        points = torch.from_numpy(places).to(self._device)
        self._parts = _in_parts(lambda part: _prepare(field, part), points)

    def __len__(self) -> int:
        return len(self._rows)

    def codes(self, vector: Float[np.ndarray, " W"]) -> LookCodes:
        """The look of one prompt vector."""
        return self.blended(vector[None], np.ones(1, np.float32))

    @torch.no_grad()
    def blended(self, vectors: Float[np.ndarray, "K W"], weights: Float[np.ndarray, " K"]) -> LookCodes:
        """The look whose codes are the sum of those of K prompt vectors, each times its weight."""
        style = self._material.style(torch.from_numpy(vectors).to(self._device))
        layers = [_folded(self._material, style, row, float(weight)) for row, weight in enumerate(weights)]
        found = _in_threads(lambda part: _codes(part, layers), self._parts)
        low = torch.stack([part.low for part in found]).amin(dim=0)
        high = torch.stack([part.high for part in found]).amax(dim=0)
        scale = torch.where(high > low, 255.0 / (high - low).clamp_min(1e-30), torch.zeros_like(low))
        stored = _in_threads(lambda part: _quantized(part.codes, low, scale), found)
        return LookCodes(np.concatenate(stored)[self._rows], low.cpu().numpy(), high.cpu().numpy())


class _Layers(NamedTuple):
    """The material branch behind its first layer, for one prompt: what the prompt does is in the weights."""

    first: Float[Tensor, " H"]
    first_shift: Float[Tensor, " H"]
    detail: Float[Tensor, " H"]
    second: Float[Tensor, "H H"]
    second_shift: Float[Tensor, " H"]
    last: Float[Tensor, "C H"]
    last_shift: Float[Tensor, " C"]


def _folded(material: MaterialBranch, style: Style, row: int, weight: float) -> _Layers:
    """`MaterialBranch.forward` from where its inputs no longer matter, with fewer passes over the points."""
    scales, shifts = style.scales[:, row], style.shifts[:, row]
    second, last = material.second, material.last
    return _Layers(
        scales[0],
        shifts[0],
        scales[0] * style.detail[row],
        scales[1][:, None] * second.weight,
        scales[1] * second.bias + shifts[1],
        weight * last.weight[:CODE_CHANNELS],
        weight * last.bias[:CODE_CHANNELS],
    )


def _codes(part: tuple[Tensor, Tensor | None], layers: Sequence[_Layers]) -> "_Codes":
    hidden, fine = part
    codes = hidden.new_zeros(len(hidden), CODE_CHANNELS)
    for layer in layers:
        units = torch.addcmul(layer.first_shift, hidden, layer.first)
        if fine is not None:
            units.addcmul_(fine, layer.detail)
        units = F.linear(units.relu_(), layer.second, layer.second_shift).relu_()
        codes += F.linear(units, layer.last, layer.last_shift)
    low, high = codes.aminmax(dim=0)
    return _Codes(codes, low, high)


class _Codes(NamedTuple):
    """Of one part, and their range by channel."""

    codes: Float[Tensor, "U C"]
    low: Float[Tensor, " C"]
    high: Float[Tensor, " C"]


def _quantized(
    codes: Float[Tensor, "U C"], low: Float[Tensor, " C"], scale: Float[Tensor, " C"]
) -> UInt8[np.ndarray, "U C"]:
    return ((codes - low) * scale).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()


def distinct_places(nvf: Nvf) -> tuple[Float[np.ndarray, "U 3"], Int32[np.ndarray, " V"]]:
    """Where active samples lie, each place once, and which of them each active sample is."""
    nodes = lattice_places(nvf.top, nvf.active)
    sides = np.array(nvf.top.shape, np.int64) * CELLS + 1
    flat = (nodes[:, 0] * sides[1] + nodes[:, 1]) * sides[2] + nodes[:, 2]
    kept, rows = np.unique(flat, return_inverse=True)
    places = np.stack(np.unravel_index(kept, tuple(int(side) for side in sides)), axis=-1)
    positions = nvf.aabb[0].astype(np.float64) + places * nvf.voxel_size
    return positions.astype(np.float32), rows.astype(np.int32)


@torch.no_grad()
def _prepare(field: Field, points: Float[Tensor, "U 3"]) -> tuple[Tensor, Tensor | None]:
    """The first hidden units [U, H] before a prompt acts, and what the fine levels add to them."""
    units, structure = field.at_surface(field.units(points))
    material = field.material
    inputs = [material.grid(units), structure.features, structure.normals, units * 2 - 1]
    hidden = material.first(torch.cat(inputs, dim=-1))
    if material.detail is None or material.first_detail is None:
        return hidden, None
    return hidden, material.first_detail(material.detail(units))


def _in_parts(
    prepare: Callable[[Tensor], tuple[Tensor, Tensor | None]], points: Float[Tensor, "U 3"]
) -> list[tuple[Tensor, Tensor | None]]:
    parts = []
    for part in points.split(PART):
        interrupts.stop_if_requested()
        parts.append(prepare(part.contiguous()))
    return parts


def _in_threads(work: Callable[[Given], Made], parts: Sequence[Given]) -> list[Made]:
    """Each part on one thread: what a matrix product returns must not depend on how many there are."""

    @torch.no_grad()
    def one(part: Given) -> Made:
        return work(part)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(_threads.map(one, parts))
    finally:
        torch.set_num_threads(threads)
