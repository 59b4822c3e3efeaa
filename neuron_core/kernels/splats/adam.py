"""Steps of Adam (Kingma and Ba 2015) for splats: only those move that a picture shows.

Letters in shapes: N splats, K harmonics of a color.
"""

from dataclasses import dataclass
from typing import Any

import warp as wp

from neuron_core.kernels.assembly import compiled_with
from neuron_core.kernels.launch import device_of, launch, view
from neuron_core.kernels.splats.gradients import GRADIENT
from neuron_core.kernels.splats.projection import SHAPE, SLICES
from neuron_core.kernels.splats.sorting import Projected

wp.set_module_options(compiled_with(("adam.h",)))


@dataclass(frozen=True, slots=True)
class Moments:
    """The running means, zero at first."""

    shapes: Any  # [N, 11, 2]
    harmonics: Any  # [N, K * 3, 2]


@dataclass(frozen=True, slots=True)
class Rates:
    """How far one step may move each number."""

    position: float
    scale: float
    rotation: float
    opacity: float
    color: float  # the constant harmonic
    detail: float  # the others


@wp.struct
class AdamRates:
    """`Rates` and the corrections for moments that started at zero."""

    position: wp.float32
    scale: wp.float32
    rotation: wp.float32
    opacity: wp.float32
    color: wp.float32
    detail: wp.float32
    first: wp.float32
    second: wp.float32


def descend(
    projected: Projected,
    gradients: Any,
    shapes: Any,
    harmonics: Any,
    moments: Moments,
    rates: Rates,
    step: int,
) -> None:
    """One step, in place, for the splats that the picture shows; the first `step` is 1."""
    count, terms = int(harmonics.shape[0]), int(harmonics.shape[1])
    arguments = [
        wp.vec3f(*(float(value) for value in projected.lens.eye)),
        projected.firsts,
        view(gradients, wp.float32, [count, GRADIENT]),
        _packed(rates, step),
        view(shapes, wp.float32, [count, SHAPE]),
        view(harmonics, wp.float32, [count, terms * 3]),
        view(moments.shapes, wp.float32, [count, SHAPE * 2]),
        view(moments.harmonics, wp.float32, [count, terms * 6]),
    ]
    launch(adam_kernel, arguments, count, device=device_of(shapes), slices=SLICES)


def _packed(rates: Rates, step: int) -> Any:
    packed = AdamRates()
    packed.position, packed.scale, packed.rotation = rates.position, rates.scale, rates.rotation
    packed.opacity, packed.color, packed.detail = rates.opacity, rates.color, rates.detail
    packed.first = 1.0 / (1.0 - 0.9**step)
    packed.second = 1.0 / (1.0 - 0.999**step)
    return packed


@wp.func_native("neuron::step_harmonics(harmonics, moments, splat, direction, color, rates);")
def step_harmonics(
    harmonics: wp.array2d[wp.float32],
    moments: wp.array2d[wp.float32],
    splat: wp.int32,
    direction: wp.vec3f,
    color: wp.vec3f,  # the gradient
    rates: AdamRates,
) -> None:
    """A step for the harmonics of one splat; their gradient is that of the color times the basis."""
    ...


@wp.func
def rate_of(rates: AdamRates, column: wp.int32) -> wp.float32:
    """How far a step may move a number of a shape."""
    rate = rates.position
    if column >= 3:
        rate = rates.scale
    if column >= 6:
        rate = rates.rotation
    if column >= 10:
        rate = rates.opacity
    return rate


@wp.kernel(enable_backward=False)
def adam_kernel(
    eye: wp.vec3f,
    firsts: wp.array[wp.int32],  # [N + 1]
    gradients: wp.array2d[wp.float32],  # [N, 14]
    rates: AdamRates,
    shapes: wp.array2d[wp.float32],  # [N, 11]
    harmonics: wp.array2d[wp.float32],  # [N, K * 3]
    shape_moments: wp.array2d[wp.float32],  # [N, 11 * 2]
    harmonic_moments: wp.array2d[wp.float32],  # [N, K * 3 * 2]
    first: wp.int32,
) -> None:
    """One index per splat; those that are not seen stay."""
    n = first + wp.tid()
    if firsts[n + 1] == firsts[n]:
        return
    away = wp.vec3f(shapes[n, 0], shapes[n, 1], shapes[n, 2]) - eye
    for column in range(wp.static(SHAPE)):
        gradient = gradients[n, column]
        mean = 0.9 * shape_moments[n, column] + 0.1 * gradient
        square = 0.999 * shape_moments[n, wp.static(SHAPE) + column] + 0.001 * gradient * gradient
        shape_moments[n, column] = mean
        shape_moments[n, wp.static(SHAPE) + column] = square
        move = rate_of(rates, column) * rates.first * mean
        shapes[n, column] -= move / (wp.sqrt(square * rates.second) + 1.0e-15)
    color = wp.vec3f(gradients[n, 11], gradients[n, 12], gradients[n, 13])
    step_harmonics(harmonics, harmonic_moments, n, away / wp.length(away), color, rates)
