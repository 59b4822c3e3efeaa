"""Baked assets in memory: looks are found by name or prompt, files without voxels are refused."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.assets import AssetError, Look, read_asset, write_asset
from neuron_core.foundation.errors import FileError
from neuron_core.voxels.baked import read_baked
from neuron_core.voxels.nvf import VoxelError, brick_coordinates, sample_positions
from tests.core.baked_samples import write_ball


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("baked") / "ball.neuron", ("white-ceramic", "worn-copper"))


@pytest.fixture(scope="module")
def baked(asset):
    return read_baked(asset)


def changed(asset, path, *, tensors=None, **manifest):
    """A copy of the asset with other tensors or another manifest."""
    whole = read_asset(asset)
    write_asset(path, replace(whole.manifest, **manifest), tensors or whole.tensors)
    return path


def test_looks_are_those_of_the_manifest_each_with_codes_for_every_active_sample(baked):
    assert baked.slugs() == ("white_ceramic", "worn_copper") == tuple(baked.looks)
    for look in baked.looks.values():
        assert look.codes.shape == (len(baked.nvf.active), 8)
        decoded = look.decoded()
        assert (decoded >= look.low - 1e-5).all() and (decoded <= look.high + 1e-5).all()


@pytest.mark.parametrize("wanted", ["worn_copper", "worn-copper", " WORN_COPPER ", "worn copper"])
def test_a_look_is_found_by_its_name_or_prompt_however_it_is_written(baked, wanted):
    assert baked.look_of(wanted) == "worn_copper"


def test_an_unknown_look_is_refused_with_those_there_are(baked):
    with pytest.raises(AssetError, match="no look 'gold'") as caught:
        baked.look_of("gold")
    assert "white_ceramic" in caught.value.hint and "worn_copper" in caught.value.hint


def test_every_brick_lies_in_the_box_of_the_field(baked):
    nvf = baked.nvf
    bricks = brick_coordinates(nvf.top)
    assert len(bricks) == len(nvf.density) and (bricks < nvf.top.shape).all()
    positions = sample_positions(nvf)
    assert (positions >= nvf.aabb[0] - 1e-6).all() and (positions <= nvf.aabb[1] + 1e-5).all()


def test_a_file_that_is_not_there_or_holds_no_voxels_is_refused(asset, tmp_path):
    with pytest.raises(FileError):
        read_baked(tmp_path / "none.neuron")
    whole = read_asset(asset)
    kept = {name: value for name, value in whole.tensors.items() if not name.startswith(("nvf.", "looks."))}
    only_field = {"inr": whole.manifest.architecture["inr"]}
    path = changed(asset, tmp_path / "a.neuron", tensors=kept, architecture=only_field, looks=())
    with pytest.raises(AssetError, match="no baked voxels"):
        read_baked(path)


def test_a_shader_that_the_manifest_does_not_describe_is_refused(asset, tmp_path):
    path = changed(asset, tmp_path / "a.neuron", settings={})
    with pytest.raises(VoxelError, match="no usable shader"):
        read_baked(path)


def test_a_renamed_look_keeps_its_codes(asset, baked, tmp_path):
    whole = read_asset(asset)
    tensors = dict(whole.tensors)
    for part in ("codes", "range"):
        tensors[f"looks.patina.{part}"] = tensors.pop(f"looks.worn_copper.{part}")
    looks = (whole.manifest.looks[0], Look("patina", "worn copper"))
    found = read_baked(changed(asset, tmp_path / "a.neuron", tensors=tensors, looks=looks))
    np.testing.assert_array_equal(found.looks["patina"].codes, baked.looks["worn_copper"].codes)
