"""Materials: records, built-in library, procedural variation, and how they reach a renderer."""

from neuron_core.materials.builtin import builtin_materials
from neuron_core.materials.principled import Principled, principled, varying_inputs
from neuron_core.materials.procedural import evaluate, varying_parameters
from neuron_core.materials.record import Layer, Material, MaterialError, Tags

__all__ = [
    "Layer",
    "Material",
    "MaterialError",
    "Principled",
    "Tags",
    "builtin_materials",
    "evaluate",
    "principled",
    "varying_inputs",
    "varying_parameters",
]
