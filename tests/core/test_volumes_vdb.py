"""OpenVDB files: the bytes that OpenVDB itself reads, and a slow reader of our own."""

import hashlib

import numpy as np
import pytest

from neuron_core.volumes.vdb import VdbGrid, vdb_bytes, write_vdb
from neuron_core.voxels.nvf import VoxelError

VOXELS = np.array([[1, 2, 3], [-1, 0, 0]])


def test_the_bytes_are_those_that_openvdb_was_seen_to_read():
    grid = VdbGrid("density", VOXELS, np.float32([0.5, 2.0]), 0.1)
    content = vdb_bytes([grid], "neuron lab", True)
    assert len(content) == 19_375
    expected = "aee9e9985c04271daf054cf13ea8f7f408116e92cc46d385a11acbe830086ff9"
    assert hashlib.sha256(content).hexdigest() == expected


@pytest.mark.parametrize(("half", "compress", "size"), [(0, 0, 19_321), (1, 1, 19_349), (1, 0, 19_327)])
def test_other_ways_to_store_have_the_sizes_that_openvdb_reads(half, compress, size):
    grid = VdbGrid("density", VOXELS, np.float32([0.5, 2.0]), 0.1, half=bool(half))
    assert len(vdb_bytes([grid], "neuron lab", bool(compress))) == size


def test_the_order_of_voxels_does_not_matter():
    random = np.random.default_rng(0)
    voxels = np.unique(random.integers(-200, 200, (3000, 3)), axis=0)
    values = random.uniform(size=(len(voxels), 3)).astype(np.float32)
    turned = random.permutation(len(voxels))
    one = vdb_bytes([VdbGrid("Cd", voxels, values, 0.2, (1.0, 0.0, 0.0), True)], "a", True)
    other = vdb_bytes([VdbGrid("Cd", voxels[turned], values[turned], 0.2, (1.0, 0.0, 0.0), True)], "a", True)
    assert one == other


def test_what_is_no_volume_is_refused(tmp_path):
    nan = VdbGrid("density", VOXELS, np.float32([np.nan, 1]), 0.1)
    none = VdbGrid("density", VOXELS[:0], np.zeros(0, np.float32), 0.1)
    far = VdbGrid("density", VOXELS * (1 << 21), np.float32([1, 1]), 0.1)
    for grid, said in ((nan, "not finite"), (none, "0 voxels"), (far, "a million")):
        with pytest.raises(VoxelError, match=said):
            write_vdb(tmp_path / "a.vdb", [grid])
    assert not list(tmp_path.iterdir())
