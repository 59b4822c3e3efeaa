"""The C++ headers of baked fields with the constants that they need."""

from typing import Any

from neuron_core.kernels.assembly import compiled_with, constants_of
from neuron_core.kernels.baked import layout


def native(*headers: str, fused: bool = False) -> dict[str, Any]:
    """Options of a Warp module whose native functions use `headers`: see `assembly.assemble`."""
    constants = {name: getattr(layout, name) for name in sorted(constants_of(headers))}
    return compiled_with(headers, constants, fused)
