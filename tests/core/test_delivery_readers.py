"""Readers that we did not write see in our files what we put into them.

They run as processes of their own, where `python3.11 scripts/readers_env.py` and
`python3.11 scripts/blender_env.py` were run; Mitsuba is there anyway.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from _environment.readers import python_readers, readers_folder, splat_transform
from blender_env import blender_python, why_not
from pxr import Usd, UsdGeom

from neuron_core.cameras.camera import Camera
from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.progress import Silent
from neuron_core.groundtruth.mitsuba.variants import choose_variant
from neuron_core.splats.cloud import Splats, from_shapes, rotation_matrices
from neuron_core.splats.drawing import SplatRenderer
from neuron_core.splats.files import read_splats, write_splats
from neuron_core.splats.moving import turned_upside_down
from neuron_core.tasks.export.run import run as export
from neuron_core.volumes.vdb import VdbGrid, write_vdb
from neuron_core.volumes.vdb_reading import read_vdb
from tests.core.baked_samples import write_ball
from tests.core.splat_samples import camera, random_harmonics, random_shapes

pytestmark = pytest.mark.readers

FETCH = "`python3.11 scripts/readers_env.py` fetches it."
Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # rows: from Blender's axes back to Y up


@pytest.fixture(scope="module")
def splats() -> Splats:
    harmonics = (0.5 * random_harmonics(200)).clip(-0.95, 0.95)  # what SPZ can hold
    return from_shapes(random_shapes(200), harmonics, "srgb")


def run(*words: object, path: Path | None = None) -> str:
    """What a program says. Its failure is the test's."""
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else None
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def python_reader() -> Path:
    if not (python_readers() / "plyfile.py").exists():
        pytest.skip(f"There are no readers at {python_readers()}; {FETCH}")
    return python_readers()


@pytest.fixture
def transform() -> list[str]:
    if not splat_transform():
        pytest.skip(f"There is no splat-transform in {readers_folder()}, or no Node; {FETCH}")
    return splat_transform()


@pytest.fixture(scope="module")
def blender() -> Path:
    if why_not():
        pytest.skip(why_not())
    return blender_python()


EXACT = {"positions": 1e-5, "scales": 1e-4, "opacities": 1e-4, "colors": 1e-5, "harmonics": 1e-5}
HALF = {"positions": 1e-6, "scales": 1e-3, "opacities": 1e-3, "colors": 1e-3, "harmonics": 1e-3}
QUANTIZED = {"positions": 3e-4, "scales": 0.04, "opacities": 3e-3, "colors": 0.02, "harmonics": 0.07}


def same(found: Splats, wanted: Splats, tolerance: dict[str, float]) -> None:
    """Rotations are compared up to half turns about a splat's own axes, scales by their logarithms."""

    def close(name: str, one: np.ndarray, other: np.ndarray) -> None:
        np.testing.assert_allclose(one, other, atol=tolerance[name], rtol=tolerance[name], err_msg=name)

    close("positions", found.positions, wanted.positions)
    close("scales", np.log(found.scales), np.log(wanted.scales))
    close("opacities", found.opacities, wanted.opacities)
    close("colors", found.harmonics[:, 0], wanted.harmonics[:, 0])
    close("harmonics", found.harmonics[:, 1:], wanted.harmonics[:, 1:])
    axes = [rotation_matrices(splats.rotations) for splats in (found, wanted)]
    assert np.abs(np.einsum("nij,nij->nj", *axes)).min() > 1 - 1e-4


@pytest.mark.parametrize(("ending", "tolerance"), [("ply", EXACT), ("spz", QUANTIZED)])
def test_nvidias_converter_reads_our_splats(python_reader, splats, tmp_path, ending, tolerance):
    write_splats(tmp_path / f"a.{ending}", splats)
    words = ("-m", "usd_convert_gsplat", "-i", tmp_path / f"a.{ending}", "-o", tmp_path / "a.usdc")
    run(sys.executable, *words, path=python_reader)
    same(read_splats(tmp_path / "a.usdc"), splats, tolerance)


def test_plyfile_reads_the_properties_of_the_convention(python_reader, splats, tmp_path):
    write_splats(tmp_path / "a.ply", splats)
    script = (
        "import sys, numpy, plyfile; v = plyfile.PlyData.read(sys.argv[1])['vertex'];"
        "numpy.savez(sys.argv[2], **{p.name: v[p.name] for p in v.properties})"
    )
    run(sys.executable, "-c", script, tmp_path / "a.ply", tmp_path / "a.npz", path=python_reader)
    found = np.load(tmp_path / "a.npz")
    assert len(found.files) == 62
    np.testing.assert_array_equal(found["x"], splats.positions[:, 0])
    np.testing.assert_array_equal(found["rot_3"], splats.rotations[:, 3])
    np.testing.assert_array_equal(found["f_rest_15"], splats.harmonics[:, 1, 1])  # green after all of red
    np.testing.assert_allclose(np.exp(found["scale_2"]), splats.scales[:, 2], rtol=1e-5)


def test_splat_transform_reads_our_ply_and_we_read_its_spz(transform, splats, tmp_path):
    write_splats(tmp_path / "a.ply", splats)
    run(*transform, "-w", tmp_path / "a.ply", "--spz-version", "3", tmp_path / "b.spz")
    same(turned_upside_down(read_splats(tmp_path / "b.spz")), splats, QUANTIZED)


def test_splat_transform_reads_our_spz_and_we_read_its_ply(transform, splats, tmp_path):
    write_splats(tmp_path / "a.spz", splats)
    run(*transform, "-w", tmp_path / "a.spz", tmp_path / "b.ply")
    same(turned_upside_down(read_splats(tmp_path / "b.ply")), splats, QUANTIZED)


def test_splat_transform_gives_back_our_ply(transform, splats, tmp_path):
    write_splats(tmp_path / "a.ply", splats)
    run(*transform, "-w", tmp_path / "a.ply", tmp_path / "b.ply")
    same(read_splats(tmp_path / "b.ply"), splats, EXACT)


READ_VDB = """
import sys, numpy, bpy
from pathlib import Path
home = Path(sys.prefix) / 'lib/python3.11/site-packages/bpy'
sys.path += [str(folder) for folder in home.glob('*/python/lib/python3.*/site-packages')]
import openvdb as vdb
grids, _ = vdb.readAll(sys.argv[1])
found = {}
for grid in grids:
    low, high = grid.evalActiveVoxelBoundingBox()
    shape = [b - a + 1 for a, b in zip(low, high)]
    array = numpy.zeros(shape + [3] * ('ec3' in type(grid).__name__), numpy.float32)
    grid.copyToArray(array, ijk=low)
    found[grid.name], found[grid.name + '_low'] = array, numpy.array(low)
    found[grid.name + '_count'] = numpy.array(grid.activeVoxelCount())
    found[grid.name + '_place'] = numpy.array(grid.transform.indexToWorld((1, 2, 3)))
    found[grid.name + '_class'] = numpy.array(str(grid.gridClass))
numpy.savez(sys.argv[2], **found)
"""


def compared_with_openvdb(blender: Path, file: Path, grids: list[VdbGrid]) -> None:
    """What OpenVDB finds in a file is what `grids` hold, there and nowhere else."""
    run(blender, "-c", READ_VDB, file, file.with_suffix(".npz"))
    found = np.load(file.with_suffix(".npz"))
    for grid in grids:
        array, low = found[grid.name], found[f"{grid.name}_low"]
        seen = array[tuple((grid.voxels - low).T)]
        if grid.half:
            np.testing.assert_allclose(seen, grid.values, rtol=1e-3, atol=1e-7)
        else:
            np.testing.assert_array_equal(seen, grid.values)
        assert int(found[f"{grid.name}_count"]) == len(grid.voxels)
        assert np.count_nonzero(array) == np.count_nonzero(seen)
        place = np.add(grid.translation, np.multiply(grid.voxel_size, [1, 2, 3]))
        np.testing.assert_allclose(found[f"{grid.name}_place"], place, atol=1e-9)
        assert "fog" in str(found[f"{grid.name}_class"]).lower()


@pytest.mark.parametrize(("half", "compress"), [(False, True), (True, True), (False, False), (True, False)])
def test_openvdb_reads_voxels_and_tiles_of_our_volumes(blender, tmp_path, half, compress):
    random = np.random.default_rng(0)
    tile = np.argwhere(np.ones((8, 8, 8))) + [200, -8, 16]
    voxels = np.concatenate([np.unique(random.integers(-60, 90, (4000, 3)), axis=0), tile])
    values = random.uniform(0.1, 1, len(voxels)).astype(np.float32)
    colors = random.uniform(0.1, 1, (len(voxels), 3)).astype(np.float32)
    values[-512:], colors[-512:] = 7.5, (1, 2, 3)
    place = (0.5, -1.0, 2.0)
    grids = [
        VdbGrid("density", voxels, values, 0.1, place, half),
        VdbGrid("Cd", voxels, colors, 0.1, place, half),
    ]
    write_vdb(tmp_path / "a.vdb", grids, compress=compress)
    compared_with_openvdb(blender, tmp_path / "a.vdb", grids)


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> Path:
    """A ball as a mesh, points and a volume in USD."""
    folder = tmp_path_factory.mktemp("read")
    asset = write_ball(folder / "ball.neuron")
    for form in ("mesh", "points", "volume"):
        config = ExportConfig(
            asset, folder / f"{form}.usda", form=form, triangles=800, texture_size=256, max_splats=300
        )
        export(replace(config, device="cpu"), Silent())
    return folder


def test_openvdb_reads_an_exported_field(blender, exports):
    compared_with_openvdb(blender, exports / "volume.vdb", read_vdb(exports / "volume.vdb"))


LIST_USD = """
import json, sys
import bpy
import numpy
def values(attribute, name, width):
    array = numpy.zeros(len(attribute.data) * width, numpy.float32)
    attribute.data.foreach_get(name, array)
    return array.reshape(-1, width).tolist()
found = {}
for file in sys.argv[1:]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.usd_import(filepath=file)
    bpy.context.view_layer.update()
    for one in bpy.data.objects:
        about = {'matrix': [list(row) for row in one.matrix_world]}
        if one.type == 'MESH':
            about['corners'] = values(one.data.attributes['position'], 'vector', 3)
            about['faces'] = len(one.data.polygons)
            about['uvs'] = len(one.data.uv_layers)
            about['images'] = [image.size[:] for image in bpy.data.images]
            about['colors'] = [a.name for a in one.data.color_attributes]
        elif one.type == 'POINTCLOUD':
            about['corners'] = values(one.data.attributes['position'], 'vector', 3)
            about['radii'] = values(one.data.attributes['radius'], 'value', 1)
            about['attributes'] = [a.name for a in one.data.attributes]
        elif one.type == 'VOLUME':
            one.data.grids.load()
            about['grids'] = {g.name: (g.data_type, g.channels) for g in one.data.grids}
            about['file'] = bpy.path.abspath(one.data.filepath)
            about['lattices'] = [[list(row) for row in g.matrix_object] for g in one.data.grids]
        else:
            continue
        found[one.type] = about
print('LISTED ' + json.dumps(found))
"""


@pytest.fixture(scope="module")
def listed(blender, exports):
    """What Blender imports of each form."""
    said = run(blender, "-c", LIST_USD, *(exports / f"{form}.usda" for form in ("mesh", "points", "volume")))
    line = next(line for line in said.splitlines() if line.startswith("LISTED "))
    return json.loads(line.removeprefix("LISTED "))


def placed(about) -> np.ndarray:
    """Blender's points in meters with Y up."""
    points = np.array(about["corners"]) @ np.array(about["matrix"])[:3, :3].T
    return (points + np.array(about["matrix"])[:3, 3]) @ Z_UP.T


def authored(file: Path, kind: type) -> dict[str, np.ndarray]:
    """Arrays of the one prim of a kind in a file of ours."""
    stage = Usd.Stage.Open(str(file))
    (prim,) = (prim for prim in stage.Traverse() if prim.IsA(kind))
    return {name: np.array(prim.GetAttribute(name).Get()) for name in ("points", "widths")}


def test_blender_imports_the_mesh_with_uvs_textures_and_colors(listed, exports):
    about = listed["MESH"]
    wanted = authored(exports / "mesh.usda", UsdGeom.Mesh)
    np.testing.assert_allclose(placed(about), wanted["points"], atol=1e-5)
    assert about["faces"] > 100 and about["uvs"] == 1 and [256, 256] in about["images"]
    assert "displayColor" in about["colors"]


def test_blender_imports_the_points_with_their_widths(listed, exports):
    about = listed["POINTCLOUD"]
    wanted = authored(exports / "points.usda", UsdGeom.Points)
    np.testing.assert_allclose(placed(about), wanted["points"], atol=1e-5)
    np.testing.assert_allclose(np.array(about["radii"])[:, 0], wanted["widths"] / 2, rtol=1e-5)
    assert "displayColor" in about["attributes"]


def test_blender_finds_the_grids_of_the_volume_in_their_place(listed, exports):
    about = listed["VOLUME"]
    density = read_vdb(exports / "volume.vdb")[0]
    assert set(about["grids"]) == {"density", "Cd"}
    assert Path(about["file"]).resolve() == (exports / "volume.vdb").resolve()
    for lattice in about["lattices"]:
        matrix = np.array(about["matrix"]) @ np.array(lattice)
        np.testing.assert_allclose(Z_UP @ matrix[:3, :3], density.voxel_size * np.eye(3), atol=1e-6)
        np.testing.assert_allclose(Z_UP @ matrix[:3, 3], density.translation, atol=1e-5)


def test_mitsuba_draws_our_ply_as_we_draw_it(tmp_path):
    """It intersects rays with ellipsoids; nothing is projected or widened. Splats lie side by side, as
    it takes them in the order of where rays enter them, and others in that of their centers."""
    import mitsuba

    view = replace(camera(96, 96), fl_y=camera(96, 96).fl_x, cx=48.0, cy=48.0)
    steps = np.stack(np.meshgrid(np.arange(4), np.arange(4)), axis=-1).reshape(-1, 2) * 0.4 - 0.6
    shapes = random_shapes(16)
    shapes[:, :3] = steps @ view.c2w[:3, :2].T
    shapes[:, 3:6] = np.log([0.09, 0.06, 0.05])
    shapes[:, 10] = np.abs(shapes[:, 10])
    harmonics = 0.4 * random_harmonics(16)
    harmonics[:, 0] += 0.8
    splats = from_shapes(shapes, harmonics, "srgb")
    variant = choose_variant("auto", Silent())
    if variant.startswith("scalar"):
        pytest.skip("Mitsuba draws ellipsoids with LLVM or CUDA only, and neither runs here")
    mitsuba.set_variant(variant)
    pictures = []
    for name, cloud in (("a.ply", splats), ("turned.ply", replace(splats, harmonics=harmonics[:, TURNED]))):
        write_splats(tmp_path / name, cloud)
        scene = {
            "type": "scene",
            "integrator": {"type": "volprim_rf_basic", "max_depth": 64, "srgb_primitives": False},
            "splats": {"type": "ellipsoids", "filename": str(tmp_path / name), "extent": 3.3},
            "sensor": sensor(view),
        }
        pictures.append(np.array(mitsuba.render(mitsuba.load_dict(scene), spp=16))[..., :3])
    ours = SplatRenderer(splats).draw(view, 6)[..., :3]
    decibels = [-10 * np.log10(np.mean((picture - ours) ** 2)) for picture in pictures]
    assert decibels[0] > 40 and decibels[0] > decibels[1] + 10, decibels


TURNED = [0, 3, 1, 2, *range(4, 16)]  # harmonics of the first degree, exchanged


def sensor(view: Camera):
    """The camera for Mitsuba, which looks down +Z with +X to the left."""
    import mitsuba

    return mitsuba.load_dict(
        {
            "type": "perspective",
            "fov_axis": "x",
            "fov": np.degrees(2.0 * np.arctan(view.width / (2.0 * view.fl_x))),
            "to_world": mitsuba.ScalarTransform4f(view.c2w @ np.diag([-1.0, 1.0, -1.0, 1.0])),
            "film": {
                "type": "hdrfilm",
                "width": view.width,
                "height": view.height,
                "component_format": "float32",
                "rfilter": {"type": "box"},
            },
            "sampler": {"type": "stratified", "sample_count": 16},
        }
    )
