import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.assets import AssetError, write_asset
from neuron_core.datasets.layout import DatasetError
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import write_json
from neuron_core.foundation.progress import Silent
from neuron_core.foundation.wording import listed
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import encode_png
from neuron_core.inspection.findings import byte_size, figures
from neuron_core.materials import builtin_materials, library_to_json
from neuron_core.tasks.inspect.config import InspectConfig
from neuron_core.tasks.inspect.run import run
from tests.core import asset_samples, dataset_samples, foreign_scenes
from tests.core.test_datasets_reader import a_dataset

ROOT = Path(__file__).parents[2]

STAGE = """#usda 1.0
(
    defaultPrim = "world"
    metersPerUnit = 0.01
    upAxis = "Z"
)
def Xform "world"
{
    def Mesh "tent"
    {
        int[] faceVertexCounts = [3, 3]
        int[] faceVertexIndices = [0, 1, 2, 0, 2, 3]
        point3f[] points = [(0, 0, 0), (100, 0, 0), (100, 0, 200), (0, 100, 0)]
        uniform token subdivisionScheme = "none"
    }
    def Xform "oak" (prepend apiSchemas = ["NeuronAssetAPI"])
    {
        asset neuron:file = @./oak.neuron@
    }
    def Mesh "odd"
    {
        int points = 3
    }
    def "missing" (references = @./nowhere.usda@)
    {
    }
}
"""

RUN = {
    "version": 1,
    "config": {"dataset": "ball", "preset": "cpu"},
    "fingerprint": "00",
    "encoder": {"name": "embedded", "digest": "00"},
    "looks": [{"name": "gold", "prompt": "polished gold"}, {"name": "rubber"}],
    "finished": True,
    "metrics": {"psnr": 31.234567},
}


def found(path: Path, verify: bool = False) -> dict:
    result = run(InspectConfig(path, verify), Silent())
    assert result["path"] == str(path) and str(result["summary"]).startswith(f"{path}: ")
    json.dumps(result, allow_nan=False)  # goes through the process contract as it is
    return result


def refused(path: Path, match: str, verify: bool = False) -> NeuronError:
    with pytest.raises(NeuronError, match=match) as caught:
        run(InspectConfig(path, verify), Silent())
    assert caught.value.hint
    return caught.value


def test_an_asset_is_told_with_its_looks_prompts_and_figures(tmp_path):
    path = tmp_path / "ball.neuron"
    written = write_asset(path, asset_samples.MANIFEST, asset_samples.tensors())
    result = found(path)
    assert result["kind"] == "asset"
    for text in (
        "neural asset 'Shader ball', version 1, format 1",
        "2 x 2 x 2 m",
        "copper_worn: brushed copper, worn",
        "Milchkaffee",
        "openclip:tiny/none",
        "2 bricks, 5 active samples",
        "psnr 31.25",
        "CC0-1.0",
        written.asset_id,
    ):
        assert text in result["summary"]
    details = result["details"]
    assert details["manifest"] == written.to_json()
    assert {tensor["name"] for tensor in details["tensors"]} == set(asset_samples.tensors())
    assert details["group_bytes"]["nvf"] == sum(
        array.nbytes for name, array in asset_samples.tensors().items() if name.startswith("nvf.")
    )


def test_a_damaged_asset_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "ball.neuron"
    write_asset(path, asset_samples.MANIFEST, asset_samples.tensors())
    path.write_bytes(path.read_bytes()[:-1])
    assert isinstance(refused(path, "ends at byte"), AssetError)


@pytest.mark.parametrize("verify", [False, True])
def test_a_dataset_is_told_from_its_folder_or_its_manifest(tmp_path, verify):
    a_dataset(tmp_path / "ball")
    result = found(tmp_path / "ball", verify)
    assert result["kind"] == "dataset"
    assert result["details"]["splits"] == {"train": 2, "val": 0, "test": 1}
    assert [material["name"] for material in result["details"]["materials"]] == ["gold", "worn_copper"]
    assert "8x6 pixels" in result["summary"] and "polished gold, worn copper" in result["summary"]
    assert ("every checksum is right" in result["summary"]) == verify
    by_manifest = found(tmp_path / "ball" / "dataset.json", verify)
    assert by_manifest["details"] == result["details"]


def test_lights_poses_and_frames_of_a_dataset_are_listed(tmp_path):
    dataset_samples.write_sample(tmp_path / "set")
    result = found(tmp_path / "set", True)
    for text in ("3 lights: sunset, even, lamp", "3 poses: rest, wave, bow", "2 frames: 0, 12", "right"):
        assert text in result["summary"]
    assert {name: result["details"][name] for name in ("lights", "poses", "frames")} == {
        "lights": ["sunset", "even", "lamp"],
        "poses": ["rest", "wave", "bow"],
        "frames": ["0", "12"],
    }


def test_missing_files_of_a_dataset_are_named_and_changed_ones_with_verify(tmp_path):
    a_dataset(tmp_path / "ball")
    picture = tmp_path / "ball" / "gbuffer" / "view_000.exr"
    shutil.copy(tmp_path / "ball" / "gbuffer" / "view_001.exr", picture)
    found(tmp_path / "ball")
    refused(tmp_path / "ball", "checksum differs", verify=True)
    picture.unlink()
    refused(tmp_path / "ball", "lacks 1 of the .* gbuffer/view_000.exr")


def test_an_unfinished_dataset_says_how_to_go_on(tmp_path):
    a_dataset(tmp_path)
    (tmp_path / "dataset.json").unlink()
    assert isinstance(refused(tmp_path, "unfinished"), DatasetError)


@pytest.mark.parametrize("verify", [False, True])
def test_photographs_are_told_with_their_cameras(tmp_path, verify):
    foreign_scenes.write_ngp(tmp_path, foreign_scenes.scene_cameras(9))
    result = found(tmp_path, verify)
    assert result["kind"] == "photographs"
    assert sum(result["details"]["splits"].values()) == 9
    assert found(tmp_path / "transforms.json")["kind"] == "photographs"


def test_a_training_run_is_told_without_torch(tmp_path):
    write_json(tmp_path / "run.json", RUN)
    refused(tmp_path, "finished, but has no field.safetensors")
    (tmp_path / "field.safetensors").touch()
    result = found(tmp_path)
    assert result["kind"] == "run" and result["details"]["finished"]
    assert "2 looks: polished gold, rubber" in result["summary"] and "psnr 31.23" in result["summary"]
    assert found(tmp_path / "run.json")["details"] == result["details"]
    write_json(tmp_path / "run.json", RUN | {"finished": False, "metrics": None})
    assert "not finished" in found(tmp_path)["summary"]
    write_json(tmp_path / "run.json", [1])
    refused(tmp_path, "does not describe a training run")


def test_an_exr_is_told_with_its_channels_and_what_is_not_finite(tmp_path):
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_exr(tmp_path / "a.exr", {"R": pixels, "depth.Z": pixels / 2})
    result = found(tmp_path / "a.exr")
    assert result["kind"] == "exr"
    assert (result["details"]["width"], result["details"]["height"]) == (4, 3)
    assert result["details"]["channels"] == {
        "R": {"min": 0.0, "max": 11.0},
        "depth.Z": {"min": 0.0, "max": 5.5},
    }
    write_exr(tmp_path / "b.exr", {"R": np.full((2, 2), np.nan, np.float32)})
    result = found(tmp_path / "b.exr")
    assert result["details"]["not_finite"] == 4 and "4 values are not finite" in result["summary"]


def test_pictures_are_told_by_their_content_whatever_their_name(tmp_path):
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((2, 3, 4), np.uint8)))
    (tmp_path / "b").write_bytes(foreign_scenes.encode_jpeg(np.zeros((2, 3, 3), np.uint8)))
    png, jpeg = found(tmp_path / "a.png"), found(tmp_path / "b")
    assert png["kind"] == jpeg["kind"] == "picture"
    assert (png["details"]["encoding"], jpeg["details"]["encoding"]) == ("PNG", "JPEG")
    assert "3 x 2 pixels, with transparency" in png["summary"]
    assert "3 x 2 pixels, without transparency" in jpeg["summary"]


def test_a_usd_stage_is_told_with_its_meshes_and_neural_assets(tmp_path):
    path = tmp_path / "tent.usda"
    path.write_text(STAGE)
    result = found(path)
    details = result["details"]
    assert result["kind"] == "usd"
    assert (details["meters_per_unit"], details["up_axis"], details["default_prim"]) == (0.01, "Z", "/world")
    assert details["meshes"][0] == {"path": "/world/tent", "points": 4, "faces": 2, "subdivision": "none"}
    assert details["assets"] == [{"path": "/world/oak", "file": "./oak.neuron", "found": False}]
    assert any("nowhere.usda" in warning for warning in details["warnings"])
    part = found(Path(f"{path}@/world/tent"), verify=True)
    assert len(part["details"]["meshes"]) == 1
    assert part["details"]["surfaces"]["triangles"] == 2
    np.testing.assert_allclose(np.ptp(part["details"]["surfaces"]["aabb"], axis=0), [1, 2, 1], atol=1e-6)
    refused(Path(f"{path}@/world/nothing"), "no prim /world/nothing")


def test_a_damaged_usd_file_is_refused(tmp_path):
    path = tmp_path / "a.usda"
    path.write_text("#usda 1.0\ndef Xform {{{")
    refused(path, "cannot be read as USD")


def test_material_libraries_and_cameras_are_told(tmp_path):
    materials = list(builtin_materials().values())[:2]
    write_json(tmp_path / "library.json", library_to_json(materials))
    result = found(tmp_path / "library.json")
    assert result["kind"] == "materials"
    assert [item["name"] for item in result["details"]["materials"]] == [item.name for item in materials]
    a_dataset(tmp_path / "ball")
    cameras = found(tmp_path / "ball" / "cameras.json")
    assert cameras["kind"] == "cameras" and cameras["details"]["cameras"] == [f"view_00{n}" for n in range(3)]
    document = '<materialx version="1.39"><open_pbr_surface name="s" type="surfaceshader"/></materialx>'
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "a.mtlx").write_text(document)
    assert found(tmp_path / "looks")["kind"] == found(tmp_path / "looks" / "a.mtlx")["kind"] == "materials"


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.txt", b"hello", r"nothing that Neuron knows: a \.txt file of 5 bytes"),
        ("a", b"", "nothing that Neuron knows: a file of 0 bytes"),
        ("a.png", b"hello", "does not hold what its name says"),
        ("a.exr", b"", "does not hold what its name says"),
        ("a.json", b"{}", "is JSON, but nothing that Neuron knows"),
        ("a.json", b"{", "not readable as JSON"),
        ("a.exr", b"\x76\x2f\x31\x01", "not a readable EXR"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "not a readable PNG"),
    ],
)
def test_what_is_unknown_or_not_what_it_says_is_told_clearly(tmp_path, name, content, match):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NeuronError, match=match):
        run(InspectConfig(path), Silent())


def test_missing_paths_and_empty_folders_are_told(tmp_path):
    refused(tmp_path / "nothing", "nothing at .* that could be read")
    refused(tmp_path, "folder that holds nothing Neuron knows")


@given(
    content=st.binary(max_size=64), suffix=st.sampled_from([".neuron", ".exr", ".png", ".json", ".mtlx", ""])
)
def test_any_bytes_under_any_name_are_told_or_refused(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    for start in (b"", b"\x76\x2f\x31\x01", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"{"):
        path.write_bytes(start + content)
        try:
            found(path)
        except NeuronError:
            pass


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path):
    write_json(tmp_path / "run.json", RUN | {"looks": [{"prompt": "\x1b[2Jgold\nx"}], "finished": False})
    summary = found(tmp_path)["summary"]
    assert "\x1b" not in summary and "[2Jgold\ufffdx" in summary


def test_inspecting_an_asset_imports_neither_torch_nor_warp(tmp_path):
    path = tmp_path / "ball.neuron"
    write_asset(path, asset_samples.MANIFEST, asset_samples.tensors())
    code = (
        "import sys; from pathlib import Path; from neuron_core.foundation.progress import Silent\n"
        "from neuron_core.tasks.inspect.config import InspectConfig\n"
        "from neuron_core.tasks.inspect.run import run\n"
        "run(InspectConfig(Path(sys.argv[1])), Silent())\n"
        "print(sorted({'torch', 'warp', 'pxr', 'mitsuba', 'OpenEXR', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_sizes_lists_and_figures_read_well():
    assert [byte_size(count) for count in (0, 999, 1000, 12_345_678)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "12.3 MB",
    ]
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert figures({"a": {"b": 1.23456, "c": True}, "d": 2}) == "a.b 1.235, d 2"
