"""Volumes come back as they were written; what is damaged or of another kind is refused."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from pxr import Usd, UsdValidation, UsdVol

from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.tasks.export.run import run
from neuron_core.tasks.inspect.config import InspectConfig
from neuron_core.tasks.inspect.run import run as inspect
from neuron_core.volumes import vdb_reading
from neuron_core.volumes.from_bricks import volume_grids, without_negatives
from neuron_core.volumes.nvdb import write_nvdb
from neuron_core.volumes.to_bricks import field_of_grids
from neuron_core.volumes.vdb import VdbGrid, vdb_bytes, write_vdb
from neuron_core.volumes.vdb_reading import read_vdb
from neuron_core.voxels.baked import read_baked
from neuron_core.voxels.nvf import VoxelError
from tests.core.baked_samples import write_ball
from tests.core.nanovdb_samples import values_at

LEAF = np.argwhere(np.ones((8, 8, 8)))
PLACE = (1.0, -2.0, 0.5)


def grids(half: bool = False) -> list[VdbGrid]:
    """Scattered voxels, a leaf of one value and a leaf of two."""
    random = np.random.default_rng(0)
    scattered = np.unique(random.integers(-60, 90, (1500, 3)), axis=0)
    voxels = np.concatenate([scattered, LEAF + [200, -8, 16], LEAF + [208, -8, 16]])
    values = random.uniform(0.1, 1, len(voxels)).astype(np.float32)
    colors = random.uniform(0.1, 1, (len(voxels), 3)).astype(np.float32)
    values[-1024:], colors[-1024:] = 7.5, (1, 2, 3)
    values[-1], colors[-1] = 7.0, (1, 2, 2.5)
    return [
        VdbGrid("density", voxels, values, 0.1, PLACE, half),
        VdbGrid("Cd", voxels, colors, 0.1, PLACE, half),
    ]


def in_order(grid: VdbGrid) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort(np.asarray(grid.voxels).T)
    return grid.voxels[order], grid.values[order]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_volumes_come_back(tmp_path, half, compress):
    written = grids(half)
    write_vdb(tmp_path / "a.vdb", written, compress=compress)
    for before, after in zip(written, read_vdb(tmp_path / "a.vdb"), strict=True):
        assert (after.name, after.half, after.translation) == (before.name, half, PLACE)
        assert after.voxel_size == pytest.approx(before.voxel_size)
        places, values = in_order(before)
        np.testing.assert_array_equal(in_order(after)[0], places)
        wanted = values.astype(np.float16).astype(np.float32) if half else values
        np.testing.assert_array_equal(in_order(after)[1], wanted)


def test_a_leaf_of_one_value_is_stored_as_a_tile():
    alike = VdbGrid("density", LEAF, np.full(512, 2.0, np.float32), 0.1)
    nearly = replace(alike, values=np.r_[alike.values[1:], 2.5].astype(np.float32))
    sizes = [len(vdb_bytes([grid], "a", False)) for grid in (alike, nearly)]
    assert sizes[1] - sizes[0] == 511 * 4 + 64 + 64 + 1  # values, both masks of the leaf, a flag


def test_tiles_are_counted_before_they_are_filled(tmp_path, monkeypatch):
    alike = VdbGrid("density", np.concatenate([LEAF, LEAF + [8, 0, 0]]), np.full(1024, 2.0, np.float32), 0.1)
    write_vdb(tmp_path / "a.vdb", [alike])
    monkeypatch.setattr(vdb_reading, "MOST_TILE_VOXELS", 1024)
    assert len(read_vdb(tmp_path / "a.vdb")[0].voxels) == 1024
    monkeypatch.setattr(vdb_reading, "MOST_TILE_VOXELS", 1023)
    with pytest.raises(VoxelError, match="tiles of 1024 voxels"):
        read_vdb(tmp_path / "a.vdb")


def test_what_is_damaged_or_of_another_kind_is_named(tmp_path):
    content = vdb_bytes(grids(), "a", True)
    tree = b"Tree_float_5_4_3"
    cases = {
        "not an OpenVDB": b"ply\n" + content[4:],
        "version 221": content[:8] + struct.pack("<I", 221) + content[12:],
        "ends early": content[: len(content) // 2],
        "Tree_doubl": content.replace(tree, b"Tree_doubl_5_4_3"),
        "transform": content.replace(b"UniformScaleTranslateMap", b"UniformScaleTranslateFoo"),
    }
    for said, wrong in cases.items():
        (tmp_path / "a.vdb").write_bytes(wrong)
        with pytest.raises(VoxelError, match=said):
            read_vdb(tmp_path / "a.vdb")


def test_any_byte_may_be_wrong_and_only_named_errors_come_of_it(tmp_path):
    content = bytearray(
        vdb_bytes(
            [replace(one, voxels=one.voxels[:40], values=one.values[:40]) for one in grids()], "a", True
        )
    )
    random = np.random.default_rng(1)
    for place in random.integers(0, min(len(content), 2000), 60):
        wrong = bytearray(content)
        wrong[place] ^= int(random.integers(1, 256))
        (tmp_path / "a.vdb").write_bytes(bytes(wrong))
        try:
            read_vdb(tmp_path / "a.vdb")
        except VoxelError:
            pass


def test_half_precision_refuses_what_it_cannot_hold(tmp_path):
    large = VdbGrid("density", LEAF, np.full(512, 1e5, np.float32), 0.1, half=True)
    with pytest.raises(VoxelError, match="values up to"):
        write_vdb(tmp_path / "a.vdb", [large])
    assert not list(tmp_path.iterdir())


def test_warp_reads_both_grids_of_a_nanovdb_file(tmp_path):
    written = grids()
    write_nvdb(tmp_path / "a.nvdb", written)
    volume = wp.Volume.load_from_nvdb((tmp_path / "a.nvdb").read_bytes(), device="cpu")
    for grid in written:
        about = volume.get_grid_info()
        assert (about.name, about.grid_count) == (grid.name, 2)
        np.testing.assert_allclose(list(about.translation), PLACE)
        content = volume.array().numpy().view(np.uint8).copy()
        np.testing.assert_array_equal(values_at(content, grid.voxels, grid.values[0].size), grid.values)
        volume = volume.load_next_grid()
    with pytest.raises(VoxelError, match="no finite"):
        write_nvdb(tmp_path / "b.nvdb", [replace(written[0], values=written[0].values * np.nan)])


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("volumes") / "ball.neuron")


def test_color_stands_wherever_density_is_interpolated(asset):
    baked = read_baked(asset)
    density, colors = volume_grids(baked, baked.slugs()[0])
    held = {tuple(place) for place in colors.voxels.tolist()}
    for step in np.argwhere(np.ones((3, 3, 3))) - 1:
        inside = density.voxels + step
        inside = inside[(inside >= 0).all(axis=1) & (inside <= 8 * np.array(baked.nvf.top.shape)).all(axis=1)]
        assert {tuple(place) for place in inside.tolist()} <= held


def test_grids_make_the_field_again(asset):
    baked = read_baked(asset)
    density, colors = volume_grids(baked, baked.slugs()[0])
    nvf, codes = field_of_grids([density, colors])
    assert nvf.density.max() == pytest.approx(density.values.max())
    assert len(codes.codes) == len(nvf.active)
    with pytest.raises(VoxelError, match="no color"):
        field_of_grids([density])
    with pytest.raises(VoxelError, match="lattices"):
        field_of_grids([density, replace(colors, voxel_size=0.5)])


@pytest.mark.parametrize("surface", [0.2, 0.5, 0.8])
def test_fog_half_absorbs_rays_where_the_field_does(surface):
    """A wall whose density crosses zero between two voxels, as a ray meets it that comes from outside."""
    size, slope = 0.01, 8000.0
    voxels = np.argwhere(np.ones((1, 1, 12)))
    density = ((voxels[:, 2] - 5 - surface) * slope).astype(np.float32)

    def met(values: np.ndarray) -> float:
        places = np.linspace(0, 11, 20_001)
        depth = np.cumsum(np.maximum(np.interp(places, voxels[:, 2], values), 0)) * size * 11 / 20_000
        return float(places[np.searchsorted(depth, np.log(2))])

    fog = without_negatives(voxels, density, size)
    wanted = met(density)
    assert (fog >= 0).all() and (fog <= np.maximum(density, 0)).all()
    assert met(fog) == pytest.approx(wanted, abs=0.02)
    assert wanted - met(np.maximum(density, 0)) > (0.1 if surface < 0.5 else 0.3)  # what is mended


def test_a_stage_names_its_volume_and_fields(asset, tmp_path):
    out = tmp_path / "ball.usda"
    body = run(ExportConfig(asset, out, form="volume"), Silent())
    assert body["kind"] == "volume" and (tmp_path / "ball.vdb").exists()
    stage = Usd.Stage.Open(str(out))
    volume = UsdVol.Volume(stage.GetPrimAtPath("/ball/volume"))
    paths = volume.GetFieldPaths()
    assert set(paths) == {"density", "Cd", "color"}
    field = UsdVol.OpenVDBAsset(stage.GetPrimAtPath(paths["Cd"]))
    assert field.GetFieldNameAttr().Get() == "Cd" and field.GetFieldDataTypeAttr().Get() == "half3"
    assert field.GetFilePathAttr().Get().resolvedPath == str(tmp_path / "ball.vdb")
    registry = UsdValidation.ValidationRegistry()
    context = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators())
    assert not context.Validate(stage)
    found = inspect(InspectConfig(tmp_path / "ball.vdb"), Silent())
    assert found["kind"] == "volume" and "density" in str(found["summary"])
    with pytest.raises(NeuronError, match="cannot hold a volume"):
        run(ExportConfig(asset, tmp_path / "a.usdz", form="volume"), Silent())
    with pytest.raises(NeuronError, match="already there"):
        run(ExportConfig(asset, tmp_path / "ball.usd", form="volume"), Silent())


def test_nanovdb_is_written_from_assets(asset, tmp_path):
    body = run(ExportConfig(asset, tmp_path / "a.nvdb"), Silent())
    volume = wp.Volume.load_from_nvdb((tmp_path / "a.nvdb").read_bytes(), device="cpu")
    assert volume.get_grid_info().name == "density" and body["voxels"] > 100
