"""The small building blocks: a hash encoding with gradients and an MLP."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import warp as wp
from jaxtyping import Float
from torch import Tensor, nn

from neuron_core.kernels.training import hashgrid
from neuron_core.kernels.training.hashgrid import HashGridSpec


class HashEncoding(nn.Module):
    """Multiresolution hash encoding of points in the unit cube (Müller et al. 2022).

    Differentiable in the tables; in the points only if `point_gradients` is asked for, as it
    costs a second pass.
    """

    def __init__(self, spec: HashGridSpec, scale: float = 1e-4) -> None:
        super().__init__()
        self.spec = spec
        shape = (spec.levels, spec.table_size, spec.features)
        self.tables = nn.Parameter((torch.rand(shape) * 2 - 1) * scale)

    @property
    def width(self) -> int:
        """How many numbers describe a point."""
        return self.spec.levels * self.spec.features

    def forward(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N C"]:
        """Points outside the unit cube are moved to its border."""
        encoded: Tensor = _Encode.apply(points.contiguous(), self.tables, self.spec)
        return encoded


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, points: Tensor, tables: Tensor, spec: HashGridSpec) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.spec = spec
        ctx.save_for_backward(points, tables)
        out = torch.empty(len(points), spec.levels * spec.features, device=points.device)
        if len(points):
            with on_stream_of(points):
                hashgrid.encode(spec, points, tables, out)
        return out

    @staticmethod
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[no-untyped-def]
        points, tables = ctx.saved_tensors
        grad_out = grad_out.contiguous()
        grad_points = grad_tables = None
        if not len(points):
            return torch.zeros_like(points), torch.zeros_like(tables), None
        with on_stream_of(points):
            if ctx.needs_input_grad[0]:
                grad_points = torch.zeros_like(points)
                hashgrid.encode_point_gradient(ctx.spec, points, tables, grad_out, grad_points)
            if ctx.needs_input_grad[1]:
                grad_tables = torch.zeros_like(tables)
                hashgrid.encode_backward(ctx.spec, points, grad_out, grad_tables)
        return grad_points, grad_tables, None


def on_stream_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Kernels launched inside follow what torch has queued on the tensor's device."""
    if not tensor.is_cuda:
        return nullcontext()
    return wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(tensor.device)))


def mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with ReLU between them; `widths` from input to output."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
