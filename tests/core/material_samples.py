"""What layers of materials show, seen through the inputs that they change."""

from dataclasses import replace

import numpy as np

from neuron_core.geometry.surroundings import Surroundings
from neuron_core.materials import Layer, Material, evaluate


def layer_mask(layer: Layer, points: np.ndarray, around: Surroundings | None = None) -> np.ndarray:
    """How much of a layer shows at points [N, 3]: it drives an input from 0 to 1."""
    driven = replace(layer, towards={"specular_roughness": 1.0})
    material = Material("mask", {"specular_roughness": 0.0}, (driven,))
    return evaluate(material, points, around)["specular_roughness"]
