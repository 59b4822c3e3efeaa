"""Composite what was found along rays, and the gradient of that.

Letters in shapes: R rays, M samples of all rays together, C channels. Samples are as `raymarch` packs them;
densities are 1 / world unit.
"""

from dataclasses import dataclass
from typing import Any

import warp as wp

from neuron_core.kernels.launch import device_of, launch, view
from neuron_core.kernels.training.raymarch import Samples, slices_of

OPAQUE = 1e-4  # samples behind a smaller transmittance are neither composited nor differentiated


@dataclass(frozen=True, slots=True)
class Composited:
    """What the samples of each ray add up to, or gradients with respect to it."""

    weights: Any  # [M] how much each sample contributes to its ray; at most 1 in sum
    values: Any  # [R, C] weighted sum
    opacities: Any  # [R] sum of the weights
    depths: Any  # [R] weighted sum of the distances, not divided by the opacity


def composite(samples: Samples, sigmas: Any, values: Any, result: Composited) -> None:
    """Write what `sigmas` [M] and `values` [M, C] of the samples add up to into the arrays of `result`."""
    call = _call(samples, sigmas, values, result)
    count = int(samples.ray_start.shape[0])
    launch(composite_kernel, [call], count, device=device_of(sigmas), slices=slices_of(count))


def composite_backward(
    samples: Samples, sigmas: Any, values: Any, gradients: Composited, grad_sigmas: Any, grad_values: Any
) -> None:
    """Write the gradients with respect to `sigmas` [M] and `values` [M, C], given those of the result.

    What is None in `gradients` is zero.
    """
    total, channels = (int(size) for size in values.shape)
    call = _call(samples, sigmas, values, gradients)
    call.grad_sigmas = view(grad_sigmas, wp.float32, [total])
    call.grad_values = view(grad_values, wp.float32, [total * channels])
    count = int(samples.ray_start.shape[0])
    launch(composite_backward_kernel, [call], count, device=device_of(sigmas), slices=slices_of(count))


def mark_visible(
    samples: Samples, sigmas: Any, least_light: float, least_alpha: float, visible: Any, visible_count: Any
) -> None:
    """Write which samples are worth shading to `visible` [M] uint8, and their number to `visible_count` [R].

    Those that at least `least_light` of the light from behind reaches the camera past, and that block
    at least `least_alpha` of it.
    """
    total, count = int(sigmas.shape[0]), int(samples.ray_start.shape[0])
    arguments = [
        view(samples.ray_start, wp.int32, [count]),
        view(samples.ray_count, wp.int32, [count]),
        view(samples.dts, wp.float32, [total]),
        view(sigmas, wp.float32, [total]),
        least_light,
        least_alpha,
        view(visible, wp.uint8, [total]),
        view(visible_count, wp.int32, [count]),
    ]
    launch(visible_kernel, arguments, count, device=device_of(sigmas), slices=slices_of(count))


@wp.struct
class CompositeCall:
    """What rays add up to, or the gradients with respect to it, and to what they lead back."""

    ray_start: wp.array[wp.int32]  # [R]
    ray_count: wp.array[wp.int32]  # [R]
    t_mid: wp.array[wp.float32]  # [M]
    dts: wp.array[wp.float32]  # [M]
    sigmas: wp.array[wp.float32]  # [M]
    values: wp.array[wp.float32]  # [M * C]
    channels: wp.int32
    weights: wp.array[wp.float32]  # [M]; where these four are gradients, empty ones are zero
    sums: wp.array[wp.float32]  # [R * C]
    opacities: wp.array[wp.float32]  # [R]
    depths: wp.array[wp.float32]  # [R]
    grad_sigmas: wp.array[wp.float32]  # [M]
    grad_values: wp.array[wp.float32]  # [M * C]


def _call(samples: Samples, sigmas: Any, values: Any, sums: Composited) -> Any:
    total, channels = (int(size) for size in values.shape)
    count = int(samples.ray_start.shape[0])
    call = CompositeCall()
    call.ray_start = view(samples.ray_start, wp.int32, [count])
    call.ray_count = view(samples.ray_count, wp.int32, [count])
    call.t_mid, call.dts = view(samples.t_mid, wp.float32, [total]), view(samples.dts, wp.float32, [total])
    call.sigmas, call.channels = view(sigmas, wp.float32, [total]), channels
    call.values = view(values, wp.float32, [total * channels])
    optional = {
        "weights": (sums.weights, total),
        "sums": (sums.values, count * channels),
        "opacities": (sums.opacities, count),
        "depths": (sums.depths, count),
    }
    for name, (array, size) in optional.items():
        if array is not None:
            setattr(call, name, view(array, wp.float32, [size]))
    return call


@wp.kernel(enable_backward=False)
def composite_kernel(call: CompositeCall, first: wp.int32) -> None:
    """One index per ray. Writes the ray's sums and the weights of its samples."""
    ray = first + wp.tid()
    channels = call.channels
    transmittance = wp.float32(1.0)
    opacity = wp.float32(0.0)
    depth = wp.float32(0.0)
    for channel in range(channels):
        call.sums[ray * channels + channel] = 0.0
    for sample in range(call.ray_start[ray], call.ray_start[ray] + call.ray_count[ray]):
        weight = wp.float32(0.0)
        if transmittance >= wp.static(OPAQUE):
            passed = wp.exp(-call.sigmas[sample] * call.dts[sample])
            weight = transmittance * (1.0 - passed)
            transmittance = transmittance * passed
            opacity += weight
            depth += weight * call.t_mid[sample]
            for channel in range(channels):
                call.sums[ray * channels + channel] += weight * call.values[sample * channels + channel]
        call.weights[sample] = weight
    call.opacities[ray] = opacity
    call.depths[ray] = depth


@wp.kernel(enable_backward=False)
def visible_kernel(
    ray_start: wp.array[wp.int32],  # [R]
    ray_count: wp.array[wp.int32],  # [R]
    dts: wp.array[wp.float32],  # [M]
    sigmas: wp.array[wp.float32],  # [M]
    least_light: wp.float32,
    least_alpha: wp.float32,
    visible: wp.array[wp.uint8],  # [M], written
    visible_count: wp.array[wp.int32],  # [R], written
    first: wp.int32,
) -> None:
    """One index per ray. Writes the flags of its samples and how many are set."""
    ray = first + wp.tid()
    transmittance = wp.float32(1.0)
    count = wp.int32(0)
    for sample in range(ray_start[ray], ray_start[ray] + ray_count[ray]):
        flag = wp.uint8(0)
        if transmittance >= least_light:
            passed = wp.exp(-sigmas[sample] * dts[sample])
            if 1.0 - passed >= least_alpha:
                flag = wp.uint8(1)
                count = count + 1
            transmittance = transmittance * passed
        visible[sample] = flag
    visible_count[ray] = count


@wp.func
def of_weight(call: CompositeCall, ray: wp.int32, sample: wp.int32) -> wp.float32:
    """The gradient of a sample's weight."""
    gradient = wp.float32(0.0)
    if call.opacities.shape[0] > 0:
        gradient = call.opacities[ray]
    if call.depths.shape[0] > 0:
        gradient = gradient + call.depths[ray] * call.t_mid[sample]
    if call.weights.shape[0] > 0:
        gradient += call.weights[sample]
    if call.sums.shape[0] > 0:
        for channel in range(call.channels):
            place = sample * call.channels + channel
            gradient += call.sums[ray * call.channels + channel] * call.values[place]
    return gradient


@wp.func
def write_value_gradients(call: CompositeCall, ray: wp.int32, sample: wp.int32, weight: wp.float32) -> None:
    """Those of the values of a sample, of which its ray has `weight`."""
    for channel in range(call.channels):
        gradient = wp.float32(0.0)
        if call.sums.shape[0] > 0:
            gradient = weight * call.sums[ray * call.channels + channel]
        call.grad_values[sample * call.channels + channel] = gradient


@wp.kernel(enable_backward=False)
def composite_backward_kernel(call: CompositeCall, first: wp.int32) -> None:
    """One index per ray. Writes the gradients of the ray's samples.

    With g the gradient of a weight and w the weights, the gradient of an optical depth is
    g * (transmittance behind the sample) - (sum of g * w over the samples behind it).
    """
    ray = first + wp.tid()
    begin = call.ray_start[ray]
    end = begin + call.ray_count[ray]
    transmittance = wp.float32(1.0)
    behind = wp.float32(0.0)
    for sample in range(begin, end):
        gradient = wp.float32(0.0)
        weight = wp.float32(0.0)
        if transmittance >= wp.static(OPAQUE):
            passed = wp.exp(-call.sigmas[sample] * call.dts[sample])
            weight = transmittance * (1.0 - passed)
            transmittance = transmittance * passed
            gradient = of_weight(call, ray, sample)
        write_value_gradients(call, ray, sample, weight)
        call.grad_sigmas[sample] = gradient  # for the second pass
        behind += gradient * weight
    transmittance = wp.float32(1.0)
    for sample in range(begin, end):
        if transmittance >= wp.static(OPAQUE):
            gradient = call.grad_sigmas[sample]
            passed = wp.exp(-call.sigmas[sample] * call.dts[sample])
            behind -= gradient * transmittance * (1.0 - passed)
            transmittance = transmittance * passed
            call.grad_sigmas[sample] = call.dts[sample] * (gradient * transmittance - behind)
