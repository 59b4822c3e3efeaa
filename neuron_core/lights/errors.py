"""What can be wrong with a light."""

from neuron_core.foundation.errors import NeuronError


class LightError(NeuronError):
    """A light that is unknown, damaged or out of range."""

    kind = "light"
