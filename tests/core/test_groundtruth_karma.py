"""What Karma renders becomes the dataset that Mitsuba would have made of the same scene."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cameras.camera import resized
from neuron_core.datasets import layout
from neuron_core.datasets.channels import GBuffer
from neuron_core.datasets.contract import View, read_gbuffer
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import RendererInfo
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.files import read_json
from neuron_core.foundation.progress import Silent
from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.karma.pictures import layer, read_beauty, read_layers
from neuron_core.groundtruth.karma.request import Request, read_request, write_request
from neuron_core.groundtruth.karma.surfaces import to_gbuffer
from neuron_core.groundtruth.mitsuba.renderer import MitsubaRenderer
from neuron_core.groundtruth.plan import make_plan
from neuron_core.images.exr import read_exr
from neuron_core.lights.studio import studio_environment
from neuron_core.materials import read_library
from neuron_core.tasks.dataset.run import run as run_dataset
from neuron_core.tasks.karma.config import KarmaConfig
from neuron_core.tasks.karma.run import run
from tests.core.karma_samples import karma_layers, spelled, write_parts, write_windowed

SCENE = """#usda 1.0
(
    upAxis = "Y"
    metersPerUnit = 1
    defaultPrim = "Set"
)
def Xform "Set"
{
    def Cube "Plate"
    {
        double size = 1
        float3 xformOp:scale = (2, 0.2, 2)
        uniform token[] xformOpOrder = ["xformOp:scale"]
    }
    def Sphere "Ball"
    {
        double radius = 0.6
        double3 xformOp:translate = (0, 0.7, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
}
"""
FACTOR = 6
RENDERER = RendererInfo("karma", "21.0.631", "cpu", {"samples": 16})


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    scene = tmp_path_factory.mktemp("karma") / "set.usda"
    scene.write_text(SCENE)
    return DatasetConfig(
        out=scene.parent / "mitsuba",
        geometry=str(scene),
        materials="polished-gold,blue-plastic",
        views=2,
        val_views=1,
        test_views=1,
        surface_views=0,
        resolution=32,
        spp=4,
        truth_db=20.0,
        truth_spp=4,
        variant="scalar",
    )


@pytest.fixture(scope="module")
def truth(config):
    run_dataset(config, Silent())
    return open_dataset(config.out)


@pytest.fixture(scope="module")
def request_(config):
    return request_of(config)


@pytest.fixture(scope="module")
def fine(config, request_):
    """Exact G-buffers by camera, FACTOR times as fine."""
    renderer = MitsubaRenderer("scalar_rgb", resolution=config.resolution)
    renderer.prepare(load_geometry(config.geometry, ()), studio_environment())
    side = FACTOR * config.resolution
    return {camera.name: renderer.gbuffer(resized(camera, side, side)) for camera in request_.cameras}


def request_of(config, matrix=None) -> Request:
    geometry = load_geometry(config.geometry, config.assign)
    materials = read_library(config.materials).materials
    plan = make_plan(config, geometry, materials)
    return Request(
        geometry=config.geometry,
        assign=config.assign,
        geometry_digest=geometry.digest(),
        materials=tuple(materials),
        held_out=tuple(plan.held_out),
        cameras=plan.cameras,
        splits=plan.splits,
        renderer=RENDERER,
        dataset_from_stage=np.eye(4) if matrix is None else matrix,
    )


def render(folder: Path, request: Request, truth, fine, write=None) -> None:
    """Put pictures where Karma would, of the same samples as Mitsuba's."""
    write_request(folder, request)
    plan = request.plan(load_geometry(request.geometry, ()))
    stage_from_dataset = np.linalg.inv(request.dataset_from_stage)
    for unit in plan.units():
        if unit.kind == "gbuffer":
            layers = karma_layers(moved(fine[unit.camera], stage_from_dataset), FACTOR)
        else:
            found = read_exr(truth.path / unit.path)
            layers = {"C": np.stack([found[name] for name in "RGBA"], axis=-1)}
        path = folder / request.raw_path(unit)
        (write or (lambda path, layers: write_parts(path, {"": spelled(layers)})))(path, layers)


def moved(buffer: GBuffer, matrix: np.ndarray) -> GBuffer:
    """The same in another world."""
    scale = np.cbrt(np.linalg.det(matrix[:3, :3]))
    hit = buffer.coverage[..., None] > 0
    position = np.where(hit, buffer.position @ matrix[:3, :3].T + matrix[:3, 3], 0.0)
    return replace(
        buffer,
        position=position,
        normal=buffer.normal @ matrix[:3, :3].T / scale,
        depth=buffer.depth * scale,
    )


def likeness(found: GBuffer, wanted: GBuffer) -> dict[str, float]:
    """Shares of pixels that are the same."""
    both = (found.coverage > 0) & (wanted.coverage > 0)
    depth = np.abs(found.depth - wanted.depth)[both] / wanted.depth[both]
    cosine = (found.normal * wanted.normal).sum(axis=-1)[both]
    return {
        "coverage": float((found.coverage == wanted.coverage).mean()),
        "depth": float((depth < 0.02).mean()),
        "normal": float((cosine > np.cos(np.radians(10.0))).mean()),
        "ids": float((found.shape_id == wanted.shape_id)[both].mean()),
    }


def test_the_folder_is_that_of_mitsuba(config, request_, truth, fine, tmp_path):
    render(tmp_path, request_, truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    made = open_dataset(tmp_path)
    made.verify()
    ours, theirs = made.manifest, truth.manifest
    assert set(ours.files) == set(theirs.files)
    same = [path for path in theirs.files if not path.startswith("gbuffer/")]
    for path in (path for path in same if path != "preview.png" and not path.endswith(".exr")):
        assert (tmp_path / path).read_bytes() == (truth.path / path).read_bytes(), path
    for path in (path for path in same if path.endswith(".exr")):
        assert (tmp_path / path).read_bytes() == (truth.path / path).read_bytes(), path
    for key in ("geometry", "resolution", "splits", "kind", "version"):
        assert getattr(ours, key) == getattr(theirs, key), key
    # Mitsuba drops inputs that Karma has.
    alike = [[replace(info, truth_floor={}, dropped=()) for info in one.materials] for one in (ours, theirs)]
    assert alike[0] == alike[1]
    for camera in made.cameras:
        shares = likeness(read_gbuffer(made, View(camera)), read_gbuffer(truth, View(camera)))
        assert min(shares.values()) > 0.9, (camera, shares)


def test_pixels_of_one_surface_are_hit_under_their_centers(truth, fine, request_):
    for camera in request_.cameras:
        wanted = read_gbuffer(truth, View(camera.name))
        found = converted(request_, camera, karma_layers(fine[camera.name], FACTOR))
        calm = interior(wanted)
        assert calm.sum() > 50
        np.testing.assert_allclose(found.position[calm], wanted.position[calm], atol=0.01)  # of pixels of 0.1
        np.testing.assert_array_equal(found.shape_id[calm], wanted.shape_id[calm])


def interior(buffer: GBuffer) -> np.ndarray:
    """Pixels whose neighbors show the same part and nearly the same way up."""
    calm = buffer.coverage > 0
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        there = np.roll(buffer.shape_id, shift, (0, 1)) == buffer.shape_id
        calm &= there & ((np.roll(buffer.normal, shift, (0, 1)) * buffer.normal).sum(axis=-1) > 0.9)
    return calm


def converted(request: Request, camera, layers, **changes) -> GBuffer:
    geometry = load_geometry(request.geometry, ())
    channels = changes.pop("channels", None) or spelled(layers)
    return to_gbuffer(Path("a.exr"), channels, camera, geometry, request.dataset_from_stage)[0]


def test_unfiltered_layers_come_back_as_they_are(truth, request_, fine):
    camera = request_.cameras[0]
    wanted = read_gbuffer(truth, View(camera.name))
    layers = karma_layers(fine[camera.name], FACTOR)
    layers |= {"P": wanted.position, "N": wanted.normal, "depth": wanted.depth}
    layers["shape_id"] = wanted.shape_id * 3.0
    found = converted(request_, camera, layers)
    np.testing.assert_array_equal(found.coverage, wanted.coverage)
    np.testing.assert_array_equal(found.shape_id, wanted.shape_id)
    np.testing.assert_allclose(found.position, wanted.position, atol=2e-3)


def test_layers_without_misses_averaged_in_give_the_same(request_, fine):
    camera = request_.cameras[0]
    layers = karma_layers(fine[camera.name], FACTOR)
    alpha = layers["C"][..., 3:]
    over = {name: layers[name] / np.maximum(alpha, 1e-6) for name in ("P", "N")}
    one, other = (converted(request_, camera, found) for found in (layers, {**layers, **over}))
    assert np.isclose(one.depth, other.depth, atol=1e-3).mean() > 0.98  # edges are a matter of a hair
    np.testing.assert_array_equal(one.coverage, other.coverage)


def test_distances_along_the_axis_and_positions_of_the_camera_are_understood(request_, fine):
    camera = request_.cameras[0]
    layers = karma_layers(fine[camera.name], FACTOR)
    expected = converted(request_, camera, layers)
    flat = karma_layers(fine[camera.name], FACTOR, "z", camera.forward, camera.position)
    np.testing.assert_array_equal(converted(request_, camera, flat).depth, expected.depth)
    buffer = fine[camera.name]
    hit = buffer.coverage[..., None] > 0
    local = np.where(hit, (buffer.position - camera.position) @ camera.c2w[:3, :3], 0.0)
    seen = karma_layers(replace(buffer, position=local), FACTOR)
    assert np.isclose(converted(request_, camera, seen).depth, expected.depth, atol=1e-3).mean() > 0.97


@pytest.mark.parametrize("spelling", ["RGBA", "xyzw", "XYZW"])
def test_the_spelling_of_layers_does_not_matter(request_, fine, spelling):
    camera = request_.cameras[0]
    layers = karma_layers(fine[camera.name], FACTOR)
    expected = converted(request_, camera, layers)
    plain = {key.removeprefix("C."): item for key, item in spelled({"C": layers.pop("C")}).items()}
    found = converted(request_, camera, None, channels={**plain, **spelled(layers, spelling)})
    np.testing.assert_array_equal(found.depth, expected.depth)


@pytest.mark.parametrize("form", ["parts", "window"])
def test_parts_and_data_windows_give_the_same_layers(request_, fine, tmp_path, form):
    layers = karma_layers(fine[request_.cameras[0].name], FACTOR)
    path = tmp_path / "a.exr"
    if form == "parts":
        parts = {
            name: {letter: values[..., index] for index, letter in enumerate("RGBA"[: values.shape[-1]])}
            if values.ndim == 3
            else {"Z": values}
            for name, values in layers.items()
        }
        write_parts(path, parts)
    else:
        write_windowed(path, spelled(layers))
    found = read_layers(path)
    for name, count in (("C", 4), ("P", 3), ("N", 3)):
        np.testing.assert_allclose(layer(found, name, count), np.float32(layers[name]))
    single = layer(found, "depth", 1)
    assert single is not None
    np.testing.assert_allclose(single[..., 0], np.float32(layers["depth"]))


@pytest.mark.parametrize("name", ["N", "P", "C", "shape_id"])
def test_missing_layers_are_named(request_, fine, name):
    camera = request_.cameras[0]
    layers = karma_layers(fine[camera.name], FACTOR)
    del layers[name]
    with pytest.raises(DatasetError, match=f"lacks the layer {name}"):
        converted(request_, camera, layers)


def test_positions_of_another_camera_and_wrong_distances_are_errors(request_, fine):
    camera, other = request_.cameras[:2]
    layers = karma_layers(fine[camera.name], FACTOR)
    with pytest.raises(DatasetError, match="beside their own pixels"):
        converted(request_, other, layers)
    with pytest.raises(DatasetError, match="depth is neither"):
        converted(request_, camera, {**layers, "depth": layers["depth"] * 1.5})


def test_a_light_behind_the_object_is_an_error(tmp_path):
    pixels = np.zeros((4, 4, 4), np.float32)
    pixels[..., :3] = 0.5
    channels = spelled({"C": pixels})
    with pytest.raises(DatasetError, match="light behind"):
        read_beauty(tmp_path / "a.exr", channels)
    pixels[0, 0, 0] = np.nan
    with pytest.raises(DatasetError, match="not finite"):
        read_beauty(tmp_path / "a.exr", spelled({"C": pixels}))


def test_a_stage_in_other_units_and_axes_becomes_the_same_dataset(config, request_, truth, fine, tmp_path):
    matrix = np.eye(4)
    matrix[:3, :3] = 0.01 * np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # centimeters, Z up
    matrix[:3, 3] = (0.3, -0.2, 0.1)
    render(tmp_path, request_of(config, matrix), truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    made = open_dataset(tmp_path)
    for camera in made.cameras:
        assert (
            min(likeness(read_gbuffer(made, View(camera)), read_gbuffer(truth, View(camera))).values()) > 0.9
        )


def test_it_goes_on_where_pictures_were_missing(request_, truth, fine, tmp_path):
    render(tmp_path, request_, truth, fine)
    raw = sorted((tmp_path / "karma" / "raw").glob("blue-plastic.*.exr"))
    kept = {path: path.read_bytes() for path in raw}
    for path in raw:
        path.unlink()
    with pytest.raises(DatasetError, match=f"{len(raw)} of") as caught:
        run(KarmaConfig(tmp_path), Silent())
    assert "blue-plastic.0001" in caught.value.message and not (tmp_path / layout.MANIFEST).exists()
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("gbuffer/*.exr")}
    for path, content in kept.items():
        path.write_bytes(content)
    first = run(KarmaConfig(tmp_path), Silent())
    assert {path: path.stat().st_mtime_ns for path in done} == done
    manifest = (tmp_path / layout.MANIFEST).read_bytes()
    assert run(KarmaConfig(tmp_path), Silent()) == first
    assert (tmp_path / layout.MANIFEST).read_bytes() == manifest


def test_another_request_is_not_mixed_in(request_, truth, fine, tmp_path):
    render(tmp_path, request_, truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    other = replace(request_, mask_rectangle=(20, 28, 32, 32))
    write_request(tmp_path, other)
    with pytest.raises(ConfigMismatchError):
        run(KarmaConfig(tmp_path), Silent())
    run(KarmaConfig(tmp_path, overwrite=True), Silent())
    assert read_json(tmp_path / layout.MANIFEST)["mask_rectangle"] == [20, 28, 32, 32]
    assert not open_dataset(tmp_path).valid(View(request_.cameras[0].name))[30, 25:].any()


def test_materials_whose_layers_are_lost_stay_out_of_averages(request_, truth, fine, tmp_path):
    render(tmp_path, replace(request_, layered=False), truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    assert not any(entry.supported for entry in open_dataset(tmp_path).materials)


def test_requests_survive_writing_and_damaged_ones_are_refused(request_, tmp_path):
    write_request(tmp_path, request_)
    found = read_request(tmp_path)
    assert found.to_json() == request_.to_json()
    path = tmp_path / "karma" / "request.json"
    content = json.loads(path.read_text())
    for change in (
        {"version": 2},
        {"cameras": []},
        {"dataset_from_stage": [[1]]},
        {"splits": {"train": ["x"]}},
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(DatasetError):
            read_request(tmp_path)
    for key, wrong in (  # each of them would pass where values are only converted
        ("geometry", 3),
        ("assign", "/World"),
        ("layered", "false"),
        ("held_out", [1]),
        ("mask_rectangle", [0, 0, 8]),
        ("renderer", {**content["renderer"], "speed": 1}),
    ):
        path.write_text(json.dumps({**content, key: wrong}))
        with pytest.raises(DatasetError, match=re.escape(f"{path}: {key}")) as caught:
            read_request(tmp_path)
        assert caught.value.hint == "Render again from Houdini."
        path.write_text(json.dumps({name: value for name, value in content.items() if name != key}))
        with pytest.raises(DatasetError, match=f"has no field {key}"):
            read_request(tmp_path)
    with pytest.raises(DatasetError, match="no request"):
        read_request(tmp_path / "elsewhere")
