"""The families of models by name. Each is imported when it is asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from neuron_core.foundation.errors import NeuronError
from neuron_core.learning.family import Family

FAMILIES: Mapping[str, str] = {
    "field": "neuron_core.models.field.family:FAMILY",
    "judge": "neuron_core.models.judge.family:FAMILY",
    "prompt_encoder": "neuron_core.models.prompt_encoder.family:FAMILY",
    "splats": "neuron_core.models.splats.family:FAMILY",
}


class FamilyError(NeuronError):
    """A family of models that does not exist."""

    kind = "family"


def family_of(name: str) -> Family[Any, Any]:
    """The family of that name. Raises FamilyError."""
    if name not in FAMILIES:
        raise FamilyError(
            f"Unknown model family {name!r}.", f"Known families: {', '.join(sorted(FAMILIES))}."
        )
    module, _, attribute = FAMILIES[name].partition(":")
    family = getattr(import_module(module), attribute)
    assert isinstance(family, Family)
    return family
