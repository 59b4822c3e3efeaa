"""Pairs of views that differ in one thing: what moved, the camera, the light or the material alone."""

import numpy as np

from neuron_core.datasets.contract import Axis, Dataset, View
from neuron_core.foundation.seeds import seed_of


def paired(dataset: Dataset, vary: Axis, seed: int, split: str = "train") -> list[tuple[View, View]]:
    """Pairs of pictures of a split that differ on the axis `vary` and agree on all others.

    Every picture that has a partner is first in one pair and second in one; who is whose follows the
    seed. Empty where nothing varies on that axis.
    """
    groups: dict[tuple[object, ...], list[View]] = {}
    for view in dataset.views(split):
        groups.setdefault(_without(view, vary), []).append(view)
    pairs: list[tuple[View, View]] = []
    for alike, views in groups.items():
        if len(views) > 1:
            random = np.random.default_rng(seed_of(seed, "pairs", vary, *alike))
            ring = [views[index] for index in random.permutation(len(views))]
            pairs += zip(ring, [*ring[1:], ring[0]], strict=True)
    return pairs


def _without(view: View, axis: Axis) -> tuple[object, ...]:
    """What a view has on all other axes."""
    return tuple(name for known, name in zip(View._fields, view, strict=True) if known != axis)
