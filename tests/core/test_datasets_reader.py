import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cameras.camera import save_cameras
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.datasets import layout
from neuron_core.datasets.cache import LayerCache
from neuron_core.datasets.channels import GBuffer, to_layers
from neuron_core.datasets.contract import View, has_picture, read_encoded, read_gbuffer, read_picture
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import DatasetManifest, GeometryInfo, MaterialInfo, RendererInfo
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation.colors import linear_to_srgb, over_white
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import sha256_of, write_json
from neuron_core.foundation.records import to_plain
from neuron_core.images.exr import write_exr

WIDTH, HEIGHT = 8, 6
GEOMETRY = GeometryInfo("shaderball", "d" * 64, (), (0.0, 0.0, 0.0), ((-1.0, -1.0, -1.0), (1.0, 1.5, 1.0)))


def a_picture(seed: int) -> np.ndarray:
    rgba = np.random.default_rng(seed).random((HEIGHT, WIDTH, 4)).astype(np.float16).astype(np.float32)
    rgba[..., :3] *= 4  # highlights
    return rgba


def a_gbuffer(seed: int) -> GBuffer:
    rng = np.random.default_rng(seed)
    arrays = [rng.random((HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(3)]
    ids = rng.integers(0, 5, (HEIGHT, WIDTH)).astype(np.int32)
    return GBuffer(arrays[0][..., 0], arrays[1], arrays[2], arrays[0][..., 1], ids)


def a_dataset(folder: Path) -> DatasetManifest:
    """Write what a finished task leaves: two materials from three cameras, one of them held out."""
    cameras = fibonacci_dome(3, (0, 0, 0), 4.0, width=WIDTH, height=HEIGHT)
    splits = {"train": ["view_000", "view_001"], "val": [], "test": ["view_002"]}
    materials = (
        MaterialInfo("gold", "polished gold", ("shiny gold",), "train", True, False, (), {"test": 41.5}),
        MaterialInfo("worn_copper", "worn copper", (), "compositional", True, False, ("coat",)),
    )
    save_cameras(folder / layout.CAMERAS, cameras, splits)
    records = [{"name": info.name, "parameters": {}} for info in materials]
    write_json(folder / layout.MATERIALS, {"version": 1, "materials": records})
    for index, camera in enumerate(cameras):
        write_exr(folder / layout.gbuffer_path(View(camera.name)), to_layers(a_gbuffer(index).channels()))
        write_exr(
            folder / layout.beauty_path(View(camera.name, "gold")),
            layout.beauty_channels(a_picture(index)),
            True,
        )
    copper = folder / layout.beauty_path(View("view_002", "worn_copper"))
    write_exr(copper, layout.beauty_channels(a_picture(9)), half=True)
    manifest = DatasetManifest(
        geometry=GEOMETRY,
        renderer=RendererInfo("mitsuba", "3.9", "scalar_rgb", {"spp": 16}),
        resolution=(WIDTH, HEIGHT),
        materials=materials,
        splits={split: tuple(names) for split, names in splits.items()},
        files={path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*.*"))},
        config={"views": 3},
        fingerprint="f" * 64,
        mask_rectangle=(6, 4, 8, 6),
    )
    write_json(folder / layout.MANIFEST, manifest.to_json())
    return manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    a_dataset(tmp_path / "ball")
    return tmp_path / "ball"


def rewrite_manifest(folder: Path, **changes: object) -> None:
    content = json.loads((folder / layout.MANIFEST).read_text())
    (folder / layout.MANIFEST).write_text(json.dumps({**content, **changes}))


def test_what_was_written_is_what_is_read(folder):
    dataset = open_dataset(folder)
    assert (dataset.kind, dataset.background) == ("rendered", "transparent")
    found = {split: names for split, names in dataset.splits.items() if names}
    assert found == {"train": ["view_000", "view_001"], "test": ["view_002"]}
    assert list(dataset.cameras) == ["view_000", "view_001", "view_002"]
    np.testing.assert_array_equal(dataset.aabb, np.array(GEOMETRY.aabb, np.float32))
    np.testing.assert_array_equal(read_picture(dataset, View("view_001", "gold")), a_picture(1))
    buffers, expected = read_gbuffer(dataset, View("view_002")), a_gbuffer(2)
    assert buffers is not None
    for name in ("depth", "position", "normal", "coverage", "shape_id"):
        np.testing.assert_array_equal(getattr(buffers, name), getattr(expected, name))
        assert getattr(buffers, name).dtype == getattr(expected, name).dtype


def test_materials_come_with_what_the_manifest_and_the_records_say(folder):
    gold, copper = open_dataset(folder).materials
    assert (gold.prompt, gold.prompts, gold.split, gold.truth_floor) == (
        "polished gold",
        ("shiny gold",),
        "train",
        41.5,
    )
    assert (copper.split, copper.truth_floor, copper.dropped) == ("compositional", None, ("coat",))
    assert copper.record == {"name": "worn_copper", "parameters": {}}


def test_renders_are_composited_in_linear_and_then_encoded(folder):
    np.testing.assert_array_equal(
        read_encoded(open_dataset(folder), View("view_000", "gold")), linear_to_srgb(over_white(a_picture(0)))
    )


def test_a_caller_cannot_change_what_the_next_one_reads(folder):
    dataset = open_dataset(folder)
    read_picture(dataset, View("view_000", "gold"))[:] = 7
    np.testing.assert_array_equal(read_picture(dataset, View("view_000", "gold")), a_picture(0))


def test_the_manifest_itself_can_be_named(folder):
    assert len(open_dataset(folder / layout.MANIFEST).materials) == 2


def test_a_manifest_survives_json(tmp_path):
    manifest = a_dataset(tmp_path)
    assert DatasetManifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest
    bare = replace(manifest, mask_rectangle=None, materials=(), files={}, notes=("a",), licences=("CC0",))
    assert DatasetManifest.from_json(bare.to_json()) == bare


def test_held_out_materials_are_seen_from_the_test_cameras_only(folder):
    dataset = open_dataset(folder)
    assert has_picture(dataset, View("view_002", "worn_copper"))
    assert not has_picture(dataset, View("view_000", "worn_copper"))
    with pytest.raises(DatasetError, match="no picture of worn_copper from view_000"):
        read_picture(dataset, View("view_000", "worn_copper"))


def test_the_watermark_of_the_manifest_is_masked_unless_told_otherwise(folder):
    valid = open_dataset(folder).valid(View("view_000"))
    assert (~valid).sum() == 4 and not valid[4:, 6:].any()
    assert open_dataset(folder, mask=[0, 0, 1, 1]).valid(View("view_000")).sum() == WIDTH * HEIGHT - 1


def test_unknown_names_come_with_near_ones(folder):
    dataset = open_dataset(folder)
    with pytest.raises(DatasetError, match="no material 'golf'") as caught:
        read_picture(dataset, View("view_000", "golf"))
    assert "gold" in caught.value.hint
    with pytest.raises(DatasetError, match="no camera 'view_01'") as caught:
        read_gbuffer(dataset, View("view_01"))
    assert "view_001" in caught.value.hint


def test_a_whole_dataset_verifies_and_any_changed_or_missing_file_is_named(folder):
    open_dataset(folder).verify()
    path = folder / layout.beauty_path(View("view_001", "gold"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"gold/view_001\.exr .*checksum"):
        open_dataset(folder).verify()
    path.unlink()
    with pytest.raises(DatasetError, match=r"gold/view_001\.exr is missing"):
        open_dataset(folder).verify()


def test_changed_cameras_are_noticed_when_opening(folder):
    (folder / layout.CAMERAS).write_text(
        (folder / layout.CAMERAS).read_text().replace("view_001", "view_007")
    )
    with pytest.raises(DatasetError, match=r"cameras\.json .*checksum"):
        open_dataset(folder)


def test_a_stopped_dataset_is_unfinished_and_says_how_to_go_on(folder):
    (folder / layout.MANIFEST).unlink()
    with pytest.raises(DatasetError, match="unfinished") as caught:
        open_dataset(folder)
    assert "same `neuron dataset` command" in caught.value.hint


def test_what_is_not_a_dataset_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no dataset at"):
        open_dataset(tmp_path / "none")
    with pytest.raises(DatasetError, match="holds no dataset"):
        open_dataset(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(DatasetError, match=r"a\.txt is not a dataset"):
        open_dataset(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": 3}, "version 3; this Neuron reads versions up to 2"),
        ({"version": True}, "dataset.json.version is True, not an integer"),
        ({"version": 2}, "dataset.json has no field channels"),
        ({"surprise": 1}, "dataset.json has the unknown field 'surprise'"),
        ({"materials": [{}]}, r"materials\[0\] has no field name"),
        ({"materials": [{"name": "../gold"}]}, r"materials\[0\].name is '../gold', not a name"),
        ({"resolution": [8]}, "resolution is a list of 1, not a list of 2"),
        ({"resolution": [0, 6]}, r"resolution\[0\] is 0, not between"),
        ({"resolution": [9, 6]}, "8 x 6"),
        ({"splits": {"train": ["view_000"]}}, "differ"),
        ({"splits": {"train": "view_000"}}, "splits.train is 'view_000', not a list"),
        ({"files": {"../a": "0" * 64}}, "files lists a file outside"),
        ({"files": {"a": "0"}}, "files.a is '0', not a SHA-256"),
        ({"files": {}}, "does not list cameras.json"),
        ({"mask_rectangle": [4, 4, 4, 8]}, "mask_rectangle is .* x0 < x1"),
        ({"geometry": 3}, "geometry is 3, not an object"),
        ({"geometry": {**to_plain(GEOMETRY), "aabb": [[0, 0, 0], [0, 1, 1]]}}, "aabb is an empty box"),
    ],
)
def test_a_damaged_manifest_names_the_field(folder, changes, told):
    rewrite_manifest(folder, **changes)
    with pytest.raises(DatasetError, match=told) as caught:
        open_dataset(folder)
    assert str(folder) in caught.value.message


def test_a_manifest_that_is_no_json_is_told(folder):
    (folder / layout.MANIFEST).write_text("{")
    with pytest.raises(NeuronError, match="JSON"):
        open_dataset(folder)


def replace_picture(folder: Path, name: str, channels: dict[str, np.ndarray]) -> StoredDataset:
    """Write another picture and make the manifest agree."""
    write_exr(folder / name, channels)
    content = json.loads((folder / layout.MANIFEST).read_text())
    rewrite_manifest(folder, files={**content["files"], name: sha256_of(folder / name)})
    return open_dataset(folder)


def test_values_that_are_no_numbers_are_named(folder):
    rgba = a_picture(0)
    rgba[2, 3, 1] = np.nan
    dataset = replace_picture(folder, "beauty/gold/view_000.exr", layout.beauty_channels(rgba))
    with pytest.raises(
        DatasetError,
        match=r"view_000\.exr is damaged: .* beauty of gold from view_000 under studio has 1 values that are",
    ):
        read_picture(dataset, View("view_000", "gold"))


def test_a_picture_of_another_size_is_named(folder):
    dataset = replace_picture(folder, "beauty/gold/view_000.exr", layout.beauty_channels(np.zeros((4, 4, 4))))
    with pytest.raises(DatasetError, match=r"view_000\.exr is an image of the wrong size: 4 x 4"):
        read_picture(dataset, View("view_000", "gold"))


def test_missing_channels_are_named(folder):
    dataset = replace_picture(folder, "gbuffer/view_000.exr", {"depth": np.zeros((HEIGHT, WIDTH))})
    with pytest.raises(DatasetError, match=r"view_000\.exr lacks the channels P\.X"):
        read_gbuffer(dataset, View("view_000"))


def test_a_rendered_dataset_is_not_scaled_down(folder):
    with pytest.raises(DatasetError, match="scaled down by 2"):
        open_dataset(folder, downscale=2)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "a b", "x" * 200])
def test_names_that_are_no_file_names_make_no_paths(name):
    with pytest.raises(DatasetError, match="name of a file"):
        layout.gbuffer_path(View(name))
    with pytest.raises(DatasetError, match="name of a file"):
        layout.beauty_path(View(name, "gold"))


def test_the_digest_changes_with_the_content(folder, tmp_path):
    a_dataset(tmp_path / "again")
    assert open_dataset(folder).digest() == open_dataset(tmp_path / "again").digest()
    rewrite_manifest(folder, notes=["changed"])
    assert open_dataset(folder).digest() != open_dataset(tmp_path / "again").digest()


def test_the_cache_forgets_what_was_used_longest_ago():
    cache = LayerCache(limit=3 * 8)
    reads: list[str] = []

    def get(name: str) -> None:
        def read() -> dict[str, np.ndarray]:
            reads.append(name)
            return {"R": np.zeros(1, np.float32), "G": np.zeros(1, np.float32)}

        cache.get(name, read)

    for name in "abcabdab":
        get(name)
    assert reads == ["a", "b", "c", "d"]  # c made room for d
    get("c")
    assert reads[-1] == "c"


def test_threads_read_what_one_reads_alone(folder):
    dataset = open_dataset(folder)
    found: dict[int, np.ndarray] = {}

    def read(index: int) -> None:
        found[index] = read_picture(dataset, View(f"view_{index % 3:03d}", "gold"))

    threads = [threading.Thread(target=read, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(12):
        np.testing.assert_array_equal(found[index], a_picture(index % 3))
