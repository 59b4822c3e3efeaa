"""What cannot be exported is refused by name before anything is written, and leaves no part of a file."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.assets import read_asset, write_asset
from neuron_core.delivery.assets import FORMS
from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.errors import ConfigMismatchError, FileError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.splats.cloud import SplatError
from neuron_core.splats.files import read_splats, write_splats
from neuron_core.splats.spz import packed
from neuron_core.tasks.export.run import run
from neuron_core.volumes.nvdb import write_nvdb
from neuron_core.volumes.vdb import MOST_VOXELS, VdbGrid, write_vdb
from neuron_core.voxels.nvf import VoxelError
from tests.core.baked_samples import write_ball
from tests.core.test_splats_files import cloud

TARGETS = [(ending, form) for ending, forms in FORMS.items() for form in forms]


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("refused") / "ball.neuron")


def changed(asset: Path, path: Path, name: str, value: float) -> Path:
    """The asset with one value all over a tensor, and the right digest."""
    whole = read_asset(asset)
    tensors = {key: np.array(tensor) for key, tensor in whole.tensors.items()}
    tensors[name][:] = value
    write_asset(path, whole.manifest, tensors)
    return path


def exported(asset: Path, out: Path, form: str = "auto", **options) -> dict[str, object]:
    options = {
        "max_splats": 300,
        "steps": 0,
        "triangles": 400,
        "texture_size": 128,
        "device": "cpu",
        **options,
    }
    return run(ExportConfig(asset, out, form=form, **options), Silent())


@pytest.mark.parametrize(("ending", "form"), TARGETS)
def test_looks_that_are_missing_and_targets_that_cannot_be_written_leave_nothing(
    asset, tmp_path, ending, form
):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NeuronError, match="no look"):
        exported(asset, tmp_path / f"a{ending}", form, prompt="chocolate")
    with pytest.raises(FileError, match="Cannot write"):
        exported(asset, tmp_path / "file" / f"a{ending}", form)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("ending", [".ply", ".usda", ".vdb"])
def test_a_folder_is_not_replaced_by_a_file(asset, tmp_path, ending):
    (tmp_path / f"a{ending}").mkdir()
    with pytest.raises(ConfigMismatchError, match="already there"):
        exported(asset, tmp_path / f"a{ending}")
    with pytest.raises(FileError, match="Cannot write"):
        exported(asset, tmp_path / f"a{ending}", overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"a{ending}"]


@pytest.mark.parametrize(("ending", "form"), TARGETS)
def test_a_field_that_shows_nothing_has_nothing_to_export(asset, tmp_path_factory, tmp_path, ending, form):
    empty = changed(asset, tmp_path_factory.mktemp("empty") / "empty.neuron", "nvf.density", -1.0)
    with pytest.raises(NeuronError, match="no surface|no density"):
        exported(empty, tmp_path / f"a{ending}", form)
    assert not list(tmp_path.iterdir())


def test_a_field_that_is_not_finite_is_not_read(asset, tmp_path):
    with pytest.raises(NeuronError, match="finite|NaN"):
        exported(changed(asset, tmp_path / "nan.neuron", "nvf.density", np.nan), tmp_path / "a.ply")
    assert not (tmp_path / "a.ply").exists()


@pytest.mark.parametrize("ending", ["ply", "spz", "npz", "usdc"])
@pytest.mark.parametrize("field", ["positions", "rotations", "scales", "opacities", "harmonics"])
def test_splats_that_are_not_finite_are_not_written(tmp_path, ending, field):
    splats = cloud()
    wrong = getattr(splats, field).copy()
    wrong[3] = np.nan
    with pytest.raises(SplatError, match=f"{field} of 1 splats are not finite"):
        write_splats(tmp_path / f"a.{ending}", replace(splats, **{field: wrong}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [write_vdb, write_nvdb])
def test_more_voxels_than_a_grid_can_count_are_refused(tmp_path, write):
    many = np.broadcast_to(np.zeros((1, 3), np.int32), (MOST_VOXELS, 3))  # takes no memory
    grid = VdbGrid("density", many, np.broadcast_to(np.ones(1, np.float32), MOST_VOXELS), 0.1)
    with pytest.raises(VoxelError, match="2147483648 voxels"):
        write(tmp_path / "a.vdb", [grid])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.obj", "a", "a.splat", "a.vdb.gz"])
def test_endings_that_nothing_is_written_for_are_refused_before_anything_is_read(tmp_path, name):
    with pytest.raises(NeuronError, match="no ending"):
        exported(tmp_path / "none.neuron", tmp_path / name)


@pytest.mark.parametrize("ending", ["usda", "usdc", "usdz"])
def test_usd_files_that_end_early_are_named(tmp_path, ending):
    write_splats(tmp_path / f"a.{ending}", cloud())
    content = (tmp_path / f"a.{ending}").read_bytes()
    for length in (0, 3, len(content) // 2):
        (tmp_path / f"b.{ending}").write_bytes(content[:length])
        with pytest.raises(NeuronError, match="b.usd"):
            read_splats(tmp_path / f"b.{ending}")


@pytest.mark.parametrize("version", [0, 1, 4, 5])
def test_spz_files_of_other_versions_are_named_by_their_version(tmp_path, version):
    content = packed(cloud())
    (tmp_path / "a.spz").write_bytes(gzip.compress(content[:4] + bytes([version]) + content[5:]))
    with pytest.raises(SplatError, match=f"version {version}"):
        read_splats(tmp_path / "a.spz")


def test_a_file_that_is_refused_as_a_source_leaves_no_target(tmp_path):
    write_splats(tmp_path / "a.ply", cloud())
    whole = (tmp_path / "a.ply").read_bytes()
    wrong = {
        "ascii": whole.replace(b"binary_little_endian", b"ascii"),
        "big": whole.replace(b"binary_little_endian", b"binary_big_endian"),
        "short": whole[:-1],
        "without": whole.replace(b"rot_2", b"rut_2"),
        "nan": whole[:-4] + np.float32(np.nan).tobytes(),
    }
    for name, content in wrong.items():
        (tmp_path / f"{name}.ply").write_bytes(content)
        with pytest.raises(SplatError, match=f"{name}.ply"):
            exported(tmp_path / f"{name}.ply", tmp_path / "out.usdc")
    assert not (tmp_path / "out.usdc").exists()
