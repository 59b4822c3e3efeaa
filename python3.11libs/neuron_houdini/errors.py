"""What goes wrong on Houdini's side. Like every error of Neuron: a message with the value, and a hint.

Dialogs, errors of nodes and standard error show both, joined by `NeuronError.text`.
"""

from neuron_core.foundation.errors import NeuronError


class HoudiniError(NeuronError):
    """Base of the errors of this package."""


class EngineError(HoudiniError):
    """What the engine could not do. `kind` is the stable word that the engine gave."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind = kind
