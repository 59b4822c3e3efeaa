"""Materials: records, nine built in, a grammar of many, patterns, words, and renderers' inputs."""

from neuron_core.materials.builtin import builtin_materials
from neuron_core.materials.library import (
    LibraryResult,
    library_from_json,
    library_to_json,
    load_materials,
    read_library,
)
from neuron_core.materials.principled import Principled, principled, varying_inputs
from neuron_core.materials.procedural import evaluate, varying_parameters
from neuron_core.materials.record import Layer, Material, MaterialError, Tags
from neuron_core.materials.wording import canonical_prompt, paraphrases, prompts

__all__ = [
    "Layer",
    "LibraryResult",
    "Material",
    "MaterialError",
    "Principled",
    "Tags",
    "builtin_materials",
    "canonical_prompt",
    "evaluate",
    "library_from_json",
    "library_to_json",
    "load_materials",
    "paraphrases",
    "principled",
    "prompts",
    "read_library",
    "varying_inputs",
    "varying_parameters",
]
