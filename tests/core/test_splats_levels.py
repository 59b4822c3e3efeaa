"""Coarser splats: fewer, where the others were, covering what they covered."""

from dataclasses import replace

import numpy as np

from neuron_core.splats.cloud import checked, from_shapes
from neuron_core.splats.levels import levels_of, merged
from tests.core.splat_samples import random_harmonics, random_shapes


def cloud(count: int = 600):
    return from_shapes(random_shapes(count), random_harmonics(count), "srgb")


def test_each_level_has_at_most_a_quarter_and_the_first_is_the_cloud():
    splats = cloud()
    levels = levels_of(splats, 3)
    assert levels[0] is splats and len(levels) == 3
    for finer, coarser in zip(levels, levels[1:], strict=False):
        assert 0 < len(coarser) <= len(finer) // 4
        checked(coarser, "level")
    assert len(levels_of(cloud(40), 4)) == 1  # too few to merge


def test_merging_into_one_keeps_mean_and_spread():
    splats = cloud(50)
    one = merged(splats, 1)
    assert len(one) <= 3  # one for each side that splats look to
    low, high = splats.box()
    assert (one.positions >= low).all() and (one.positions <= high).all()
    assert one.scales.max() > splats.positions.std()


def test_splats_alone_in_their_cells_stay_what_they_are():
    lattice = np.argwhere(np.ones((4, 4, 4))).astype(np.float32)
    splats = replace(cloud(64), positions=lattice)
    same = merged(splats, 64)
    assert len(same) == 64
    order, other = np.lexsort(splats.positions.T), np.lexsort(same.positions.round(3).T)
    np.testing.assert_allclose(same.positions[other], splats.positions[order], atol=1e-5)
    np.testing.assert_allclose(same.harmonics[other], splats.harmonics[order], atol=1e-4)
    np.testing.assert_allclose(
        np.sort(same.scales[other], axis=1), np.sort(splats.scales[order], axis=1), rtol=1e-3
    )
