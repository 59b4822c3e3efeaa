"""The tensors of a look in a `.neuron` file: its codes, and those that it has without its edits.

Names here are without the look's slug. While edits cover a look, what it is without them stays in
the file as `base_codes` and `base_range`.
"""

from collections.abc import Mapping

import numpy as np

from neuron_core.voxels.nvf import LookCodes

BASE = "base_"
Tensors = dict[str, np.ndarray]


def own_tensors(tensors: Mapping[str, np.ndarray], slug: str) -> Tensors:
    """Those of one look."""
    prefix = f"looks.{slug}."
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def with_own_tensors(tensors: Mapping[str, np.ndarray], slug: str, own: Tensors) -> Tensors:
    """All tensors of an asset, those of one look replaced."""
    rest = {name: array for name, array in tensors.items() if not name.startswith(f"looks.{slug}.")}
    return {**rest, **{f"looks.{slug}.{name}": array for name, array in own.items()}}


def stored(codes: LookCodes, base: LookCodes | None = None) -> Tensors:
    """What a look keeps: its codes, and `base` where edits cover that."""
    kept = _named("", codes)
    return kept if base is None else {**kept, **_named(BASE, base)}


def base_codes(own: Mapping[str, np.ndarray]) -> LookCodes | None:
    """The codes without edits; None for a look that has no tensors yet."""
    if not own:
        return None
    prefix = BASE if f"{BASE}codes" in own else ""
    low, high = own[f"{prefix}range"]
    return LookCodes(own[f"{prefix}codes"], low, high)


def _named(prefix: str, codes: LookCodes) -> Tensors:
    return {f"{prefix}codes": codes.codes, f"{prefix}range": np.stack([codes.low, codes.high])}
