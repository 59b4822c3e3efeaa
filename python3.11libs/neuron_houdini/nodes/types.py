"""What our node types are called."""

NAMESPACE, VERSION = "neuron", "1.0"


def operator(name: str) -> str:
    """The full name of a type: `neuron::train::1.0`."""
    return f"{NAMESPACE}::{name}::{VERSION}"
