"""Figures of scenes, as `neuron bench` tells them, of the demo's asset."""

from neuron_core.bench import scenes
from neuron_core.bench.figure import Figure
from neuron_core.bench.inputs import Inputs


def instances16_512_fps(inputs: Inputs) -> Figure:
    """Sixteen instances in one frame."""
    return scenes.instances16_fps(inputs.baked, inputs.device, inputs.runs)


def instances1000_512_s(inputs: Inputs) -> Figure:
    """A thousand instances in one frame."""
    return scenes.instances1000_seconds(inputs.baked, inputs.device, min(inputs.runs, 5))


def instances16_memory(inputs: Inputs) -> Figure:
    """What sixteen instances weigh."""
    return scenes.instances_memory(inputs.baked, inputs.device)


def instances_offscreen_cost(inputs: Inputs) -> Figure:
    """What instances cost that nobody sees."""
    return scenes.offscreen_cost(inputs.baked, inputs.device, inputs.runs)


def instances_ns_per_pixel(inputs: Inputs) -> Figure:
    """What a covered pixel costs."""
    return scenes.coverage_cost(inputs.baked, inputs.device, inputs.runs)
