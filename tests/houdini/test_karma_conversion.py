"""Karma's pictures in every form that they may come in: each becomes the folder that Mitsuba makes."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.datasets.contract import View, read_gbuffer
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.progress import Silent
from neuron_core.geometry import load_geometry
from neuron_core.images.exr import read_exr
from neuron_core.tasks.karma.config import KarmaConfig
from neuron_core.tasks.karma.run import run
from tests.core import test_groundtruth_karma as scene
from tests.core.karma_samples import averaged, karma_layers, spelled, write_parts, write_windowed

config, truth, request_, fine = scene.config, scene.truth, scene.request_, scene.fine  # fixtures


def one_part(path, layers):
    write_parts(path, {"": spelled(layers)})


def many_parts(path, layers):
    """A part for each layer, as with one product for each."""
    letters = {2: ["Z"], 3: "RGBA"}
    write_parts(
        path,
        {
            name: {
                letter: values[..., index] if values.ndim == 3 else values
                for index, letter in enumerate(
                    letters[values.ndim][: values.shape[2] if values.ndim > 2 else 1]
                )
            }
            for name, values in layers.items()
        },
    )


def data_window(path, layers):
    """Only the pixels that are not empty are in the file."""
    write_windowed(path, spelled(layers))


def without(*names):
    """A writer that leaves layers out."""

    def write(path, layers):
        one_part(path, {name: values for name, values in layers.items() if name not in names})

    return write


def without_prefix(path, layers):
    """Color as plain R, G, B, A."""
    color = {"": layers["C"]} if "C" in layers else {}
    rest = {name: values for name, values in layers.items() if name != "C"}
    plain = {name.lstrip("."): values for name, values in spelled(color).items()}
    write_parts(path, {"": {**plain, **spelled(rest)}})


def half_positions(path, layers):
    """Layers in the precision of a half."""
    rough = {name: np.float32(np.float16(values)) for name, values in layers.items() if name != "C"}
    one_part(path, {**layers, **rough})


# How a form is written, how much of the shape is the same (share of pixels), what the notes have to say.
FORMS = {
    "filtered": (one_part, 0.9, ""),
    "many parts": (many_parts, 0.9, ""),
    "data window": (data_window, 0.9, ""),
    "no prefix": (without_prefix, 0.9, ""),
    "half floats": (half_positions, 0.9, ""),
    "no positions": (without("P"), 1.0, "lacks P; the engine traced"),
    "no distances": (without("depth"), 0.9, ""),
    "no ids": (without("shape_id"), 1.0, "lacks shape_id; the engine traced"),
    "no normals": (without("N"), 1.0, "lacks N; the engine traced"),
    "color alone": (without("N", "P", "depth", "shape_id"), 1.0, "lacks P, N, shape_id; the engine traced"),
}


def is_as_mitsubas(folder, truth, least):
    """The same files, the same colors to the bit, the same shape in at least so many pixels."""
    made = open_dataset(folder)
    made.verify()
    assert set(made.manifest.files) == set(truth.manifest.files)
    colors = [path for path in truth.manifest.files if path.startswith("beauty/")]
    assert colors
    for path in colors:
        assert (folder / path).read_bytes() == (truth.path / path).read_bytes(), path
    for camera in made.cameras:
        shares = scene.likeness(read_gbuffer(made, View(camera)), read_gbuffer(truth, View(camera)))
        assert min(shares.values()) >= least, (camera, shares)
    return made


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_folder_of_mitsuba(request_, truth, fine, tmp_path, form):
    write, least, note = FORMS[form]
    scene.render(tmp_path, request_, truth, fine, write)
    run(KarmaConfig(tmp_path), Silent())
    made = is_as_mitsubas(tmp_path, truth, least)
    notes = " ".join(made.manifest.notes)
    assert note in notes and (note or "lacks" not in notes)


@pytest.mark.parametrize("kind", ["distance", "z"])
@pytest.mark.parametrize("places", ["world", "camera"])
def test_distances_of_both_kinds_and_positions_of_both_worlds_do(
    request_, truth, fine, tmp_path, monkeypatch, kind, places
):
    cameras = iter(request_.cameras)
    real = scene.karma_layers

    def layers(buffer, factor):
        camera = next(cameras)
        made = real(buffer, factor, kind, camera.forward, camera.position)
        if places == "camera":
            hit = buffer.coverage[..., None] > 0
            local = np.where(hit, (buffer.position - camera.position) @ camera.c2w[:3, :3], 0.0)
            made["P"] = averaged(local, factor)
        return made

    monkeypatch.setattr(scene, "karma_layers", layers)
    scene.render(tmp_path, request_, truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    is_as_mitsubas(tmp_path, truth, 0.9)


def test_silhouettes_have_the_surface_that_most_samples_saw_and_never_a_mean(request_, truth, fine, tmp_path):
    """Filtered positions, normals and ids there lie on nothing; what is converted lies on the object."""
    scene.render(tmp_path, request_, truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    made = open_dataset(tmp_path)
    low, high = load_geometry(request_.geometry, ()).aabb()
    off = []
    for camera in request_.cameras:
        layers = karma_layers(fine[camera.name], scene.FACTOR)
        partial = (layers["C"][..., 3] > 0) & (layers["C"][..., 3] < 1)
        found, wanted = read_gbuffer(made, View(camera.name)), read_gbuffer(truth, View(camera.name))
        np.testing.assert_allclose(np.linalg.norm(found.normal, axis=-1)[found.coverage > 0], 1.0, atol=1e-4)
        assert set(np.unique(found.shape_id)) <= set(np.unique(wanted.shape_id)) | {0}
        both = partial & (found.coverage > 0) & (wanted.coverage > 0)
        off += list(np.abs(found.depth - wanted.depth)[both] / wanted.depth[both])
        places = found.position[partial & (found.coverage > 0)]
        assert (places > low - 0.15).all() and (places < high + 0.15).all(), "on the object, to a pixel"
    assert len(off) > 40 and (np.array(off) < 0.05).mean() > 0.85


def test_color_stays_premultiplied(request_, truth, fine, tmp_path):
    """A pixel that is half empty is half as bright, and divides back to the surface."""
    scene.render(tmp_path, request_, truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    name = request_.materials[0].name
    made, seen = open_dataset(tmp_path), 0
    for camera in request_.splits["train"]:
        path = next(path for path in truth.manifest.files if name in path and camera in path)
        (ours, theirs) = (
            np.stack([read_exr(folder / path)[key] for key in "RGBA"], axis=-1)
            for folder in (made.path, truth.path)
        )
        partial = (ours[..., 3] > 0.05) & (ours[..., 3] < 0.95)
        seen += int(partial.sum())
        np.testing.assert_array_equal(ours, theirs)
        assert ours[..., :3][ours[..., 3] == 0].max(initial=0.0) <= 1e-3
    assert seen > 10


def test_the_corner_of_apprentice_is_not_learned_from(request_, truth, fine, tmp_path):
    marked = replace(request_, mask_rectangle=(22, 28, 32, 32))
    scene.render(tmp_path, marked, truth, fine)
    run(KarmaConfig(tmp_path), Silent())
    for camera in request_.cameras:
        valid = open_dataset(tmp_path).valid(View(camera.name))
        assert not valid[28:, 22:].any() and valid[:28].all() and valid[:, :22].all()
