"""Inspection says what is in a file by its content: whatever its name, however much of it is there."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.assets import Look, write_asset
from neuron_core.cameras.camera import save_cameras
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import write_json
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import encode_png
from neuron_core.inspection import stages
from neuron_core.inspection.findings import Findings, box_size, byte_size, figures
from neuron_core.inspection.paths import inspect_path
from neuron_core.materials import builtin_materials, library_to_json
from neuron_core.splats.cloud import Splats
from neuron_core.splats.files import write_splats
from neuron_core.volumes.vdb import VdbGrid, write_vdb
from tests.core import asset_samples
from tests.core.plain_samples import cameras, info, write_balls


def splats(count=5):
    random = np.random.default_rng(0)
    turned = random.normal(size=(count, 4)).astype(np.float32)
    return Splats(
        random.normal(size=(count, 3)).astype(np.float32),
        turned / np.linalg.norm(turned, axis=1, keepdims=True),
        np.exp(random.normal(size=(count, 3))).astype(np.float32),
        np.linspace(0.001, 0.9, count).astype(np.float32),
        random.normal(size=(count, 4, 3)).astype(np.float32),
    )


def a_volume(path):
    voxels = np.array([[0, 0, 0], [2, 3, 4], [-1, 0, 1]])
    density = VdbGrid("density", voxels, np.array([1.0, 2.0, 0.5], np.float32), 0.25, (1.0, 2.0, 3.0))
    write_vdb(path, [density, VdbGrid("Cd", voxels, np.ones((3, 3), np.float32), 0.25, half=True)])


def a_stage(path, meshes=2):
    tent = "int[] faceVertexCounts = [3]\nint[] faceVertexIndices = [0, 1, 2]\n"
    tent += "point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]\n"
    parts = "".join(f'def Mesh "m{number}" {{\n{tent}}}\n' for number in range(meshes))
    path.write_text(f'#usda 1.0\n(defaultPrim = "w"\nupAxis = "Y")\ndef Xform "w" {{\n{parts}}}\n')


PIXELS = np.random.default_rng(0).integers(0, 255, (9, 7, 4), np.uint8)
WRITERS = {
    "a.neuron": lambda path: write_asset(path, asset_samples.MANIFEST, asset_samples.tensors()),
    "a.exr": lambda path: write_exr(path, {"R": np.random.default_rng(0).random((9, 7)).astype(np.float32)}),
    "a.png": lambda path: path.write_bytes(encode_png(PIXELS)),
    "a.ply": lambda path: write_splats(path, splats()),
    "a.spz": lambda path: write_splats(path, splats()),
    "a.vdb": a_volume,
    "a.usda": a_stage,
    "a.json": lambda path: write_json(path, library_to_json(list(builtin_materials().values())[:2])),
    "cameras.json": lambda path: save_cameras(path, cameras(), {"test": ["view_000"]}),
}  # fmt: skip
WHOLE = ("a.neuron", "a.exr", "a.png", "a.ply", "a.spz", "a.vdb", "a.usda", "a.json", "cameras.json")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspected")
    for name, write in WRITERS.items():
        write(folder / name)
    return folder


def told(path, verify=False):
    found = inspect_path(path, verify)
    result = found.to_result(path)
    assert json.loads(json.dumps(result, allow_nan=False))["kind"] == found.kind
    return found


def test_looking_changes_nothing(files):
    def digests():
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files.iterdir())}

    before = digests()
    for name in WRITERS:
        for verify in (False, True):
            told(files / name, verify)
    assert digests() == before


def test_a_file_is_told_the_same_wherever_it_lies_and_whatever_it_is_called(files, tmp_path):
    for name in WRITERS:
        ending = name.rpartition(".")[2]
        copy = tmp_path / "größe" / f"b c.{ending.upper()}"
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(files / name, copy)
        one, other = told(files / name), told(copy)
        assert one.kind == other.kind, name
        for text in (one.details, other.details):
            text.pop("problems", None)  # which name the file
        assert one.details == other.details, name
    for name, ending in (("a.exr", "png"), ("a.png", "exr"), ("a.png", "txt")):  # the content decides
        shutil.copy(files / name, tmp_path / f"other.{ending}")
        assert told(tmp_path / f"other.{ending}").details == told(files / name).details


@pytest.mark.parametrize("name", WHOLE)
def test_a_part_of_a_file_is_never_told_as_the_whole(files, tmp_path, name):
    content = (files / name).read_bytes()
    whole = told(files / name).details
    part = tmp_path / name
    for share in (0.0, 0.01, 0.1, 0.5, 0.9, 1.0):
        part.write_bytes(content[: min(int(share * len(content)), len(content) - 24)])
        try:
            found = inspect_path(part, False)
        except NeuronError as error:
            assert str(part) in error.message or name in error.message
            continue
        assert found.details != whole, share


def test_splats_are_told_with_the_box_of_three_deviations_and_what_is_too_faint(files):
    details, made = told(files / "a.ply").details, splats()
    assert (details["splats"], details["degree"], details["encoding"]) == (5, 1, "srgb")
    w, x, y, z = made.rotations.astype(float).T
    turned = np.array([  # the rows of a rotation by a quaternion
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    reach = 3 * np.sqrt(((turned * made.scales.T) ** 2).sum(axis=1)).T
    np.testing.assert_allclose(details["box"][0], (made.positions - reach).min(axis=0), rtol=1e-4)
    np.testing.assert_allclose(details["box"][1], (made.positions + reach).max(axis=0), rtol=1e-4)
    assert details["faint"] == 1 and details["opacities"] == pytest.approx([0.001, 0.9], abs=1e-4)


def test_volumes_are_told_from_the_outsides_of_their_voxels(files):
    density, color = told(files / "a.vdb").details["grids"]
    assert (density["name"], density["type"], density["voxels"]) == ("density", "float", 3)
    assert (color["name"], color["type"]) == ("Cd", "half3")
    np.testing.assert_allclose(density["box"][0], [1 - 1.5 * 0.25, 2 - 0.5 * 0.25, 3 - 0.5 * 0.25])
    np.testing.assert_allclose(density["box"][1], [1 + 2.5 * 0.25, 2 + 3.5 * 0.25, 3 + 4.5 * 0.25])
    size = np.subtract(*density["box"][::-1])
    np.testing.assert_allclose(np.subtract(*color["box"][::-1]), size)


@pytest.mark.parametrize("meshes", [0, 1, 16, 20])
def test_prims_of_a_stage_are_counted_and_sixteen_of_them_shown(tmp_path, meshes):
    a_stage(tmp_path / "a.usda", meshes)
    found = told(tmp_path / "a.usda")
    assert found.details["prims"] == {"Xform": 1, **({"Mesh": meshes} if meshes else {})}
    assert len(found.details["meshes"]) == meshes and found.details["complete"]
    text = "\n".join(found.lines)
    assert f"meshes: {meshes} with {3 * meshes} points and {meshes} faces" in text
    assert text.count("3 points, 1 faces") == min(meshes, 16) and ("and 4 more" in text) == (meshes == 20)


def test_a_stage_of_too_many_prims_says_that_it_was_not_looked_at_whole(tmp_path, monkeypatch):
    a_stage(tmp_path / "a.usda", 9)
    monkeypatch.setattr(stages, "MOST_PRIMS", 5)
    found = told(tmp_path / "a.usda")
    assert not found.details["complete"] and sum(found.details["prims"].values()) < 10
    assert "only the first 5 prims were looked at" in found.lines


def test_a_part_of_a_stage_counts_what_is_below_it(files):
    whole = told(files / "a.usda")
    part = inspect_path(files / "a.usda@/w/m1", False)
    assert len(whole.details["meshes"]) == 2 and [one["path"] for one in part.details["meshes"]] == ["/w/m1"]


def test_long_lists_are_shown_by_their_beginning_and_kept_whole(tmp_path):
    looks = tuple(Look(f"look_{number:02}", f"prompt {number}") for number in range(19))
    given = asset_samples.tensors()
    first = asset_samples.MANIFEST.looks[0].slug
    own = {name: value for name, value in given.items() if name.startswith(f"looks.{first}.")}
    tensors = {name: value for name, value in given.items() if not name.startswith("looks.")}
    for look in looks:
        tensors |= {name.replace(first, look.slug): value for name, value in own.items()}
    write_asset(tmp_path / "a.neuron", replace(asset_samples.MANIFEST, looks=looks), tensors)
    found = told(tmp_path / "a.neuron")
    assert sum(line.startswith("  look_") for line in found.lines) == 16 and "  and 3 more" in found.lines
    assert len(found.details["manifest"]["looks"]) == 19
    everything = list(builtin_materials().values())
    write_json(tmp_path / "m.json", library_to_json((everything * 3)[: len(everything)]))
    materials = told(tmp_path / "m.json")
    assert [item["name"] for item in materials.details["materials"]] == [item.name for item in everything]


def test_a_dataset_is_told_by_any_file_that_describes_it(tmp_path):
    palette = {"gold": (0.8, 0.6, 0.2), "dark": (0.1, 0.1, 0.1)}
    folder = write_balls(tmp_path / "balls", palette, [info("gold"), info("dark", "compositional", False)])
    one, other = told(folder, True), told(folder / "dataset.json", True)
    assert one.kind == "dataset" and one.details == other.details
    text = "\n".join(one.lines)
    assert "1 of them held out" in text and "not possible in this renderer: dark" in text
    assert one.details["files"] == len(list(folder.rglob("*.*"))) - 1  # all but the manifest itself


# --- how numbers and texts read ---


EDGES = st.builds(lambda power, beside: 1000**power + beside, st.integers(1, 4), st.integers(-20, 20))


@given(st.integers(0, 10**15) | EDGES)
def test_sizes_read_back_within_their_digits(count):
    number, unit = byte_size(count).split()
    factor = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert float(number) * factor == pytest.approx(count, rel=5.1e-3)
    assert unit == "TB" or float(number) <= 1000


@given(st.tuples(*[st.floats(-50, 50)] * 3), st.tuples(*[st.floats(0.1, 50)] * 3))
def test_the_size_of_a_box_does_not_depend_on_where_it_is(low, size):
    def sides(at):
        text = box_size(at, [a + b for a, b in zip(at, size, strict=True)])
        return [float(side) for side in text.removesuffix(" m").split(" x ")]

    assert sides(low) == pytest.approx(size, rel=1e-3) == sides([-part for part in low])


def test_figures_are_found_at_any_depth_and_nothing_else_is():
    values = {"a": {"b": {"c": 1.5}, "d": True}, "e": "text", "f": None, "g": 2, "h": [3]}
    assert figures(values) == "a.b.c 1.5, g 2"
    assert figures({}) == figures({"a": {}}) == figures({"a": "b"})
    many = figures({f"n{number}": number for number in range(20)})
    assert "n11 11" in many and "n12" not in many and "8 more" in many


@given(st.text(max_size=30))
def test_no_text_of_a_file_controls_the_terminal_or_makes_a_line(text):
    found = Findings("kind", text, ["first", "", text], {})
    rows = found.to_result(Path("a"))["summary"].split("\n")
    assert len(rows) == (3 if text else 2) and rows[1] == "  first"
    assert all(row.isprintable() or "\ufffd" in row or not row.strip() for row in rows)
