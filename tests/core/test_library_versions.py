"""Publishing: versions never change, shots follow or stay, weights are stored once, hosts find stand-ins."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from neuron_core.assets import AssetError, read_header
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.library.index import index_of, read_library, versions_of
from neuron_core.library.publishing import Submission, publish
from neuron_core.library.version import Version
from neuron_core.usd import read_stage
from neuron_core.usd.published import LibraryError, home_of, locate
from neuron_core.usd.validate import validate
from tests.core.asset_samples import png
from tests.core.scene_samples import LOOKS, publish_ball, reference_prim, write_ball, write_stage


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_published_asset_passes_every_validator(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    for layer in ("ball.usd", "v001/ball.usd", "v001/payload/mesh.usdc"):
        assert not validate(read_stage(tmp_path / "lib" / "ball" / layer), deep=True)


@pytest.mark.parametrize("layer", ["ball.usd", "v001/ball.usd"])
def test_the_layer_is_laid_out_as_a_component(layer, tmp_path):
    version = publish_ball(tmp_path, tmp_path / "lib")
    stage = Usd.Stage.Open(str(tmp_path / "lib" / "ball" / layer))
    root = stage.GetDefaultPrim()
    model = Usd.ModelAPI(root)
    assert (root.GetName(), root.GetTypeName(), model.GetKind()) == ("ball", "Xform", "component")
    assert (model.GetAssetName(), model.GetAssetVersion()) == ("ball", "v001")
    assert model.GetAssetIdentifier().path == "./ball.usd"
    assert root.GetAttribute("neuron:digest").Get() == version.digest
    assert Path(root.GetAttribute("neuron:file").Get().resolvedPath).samefile(tmp_path / "lib" / version.file)
    assert set(root.GetVariantSet("look").GetVariantNames()) == {look.slug for look in LOOKS}
    assert set(root.GetVariantSet("representation").GetVariantNames()) == {"mesh", "proxy", "box"}
    assert [str(path) for path in root.GetInherits().GetAllDirectInherits()] == ["/__class__/ball"]
    assert (UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage)) == (1.0, "Y")
    assert root.GetAssetInfoByKey("previews:thumbnails:default:defaultImage").resolvedPath
    assert root.GetAttribute("authorship:bake:usageTerms").Get() == "CC0-1.0"
    assert (tmp_path / "lib" / version.preview).read_bytes() == png()


def test_every_look_is_a_variant_with_its_prompt_as_data(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    stage = Usd.Stage.Open(str(tmp_path / "lib/ball/ball.usd"))
    root = stage.GetDefaultPrim()
    for look in LOOKS:
        root.GetVariantSet("look").SetVariantSelection(look.slug)
        assert root.GetAttribute("neuron:look").Get() == look.slug
        assert root.GetCustomDataByKey("prompt") == look.prompt


SHOWN = {"mesh": ({"geo/render/mesh"}, {"geo/proxy/hull"}), "proxy": ({"geo/proxy/hull"}, {"geo/proxy/hull"}),
         "box": ({"geo/proxy/box"}, {"geo/proxy/box"})}  # fmt: skip


@pytest.mark.parametrize("representation", SHOWN)
def test_a_representation_decides_what_hosts_draw(representation, tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    stage = Usd.Stage.Open(str(tmp_path / "lib/ball/ball.usd"))
    stage.GetDefaultPrim().GetVariantSet("representation").SetVariantSelection(representation)
    for purposes, expected in zip(
        (("default", "render"), ("default", "proxy")), SHOWN[representation], strict=True
    ):
        shown = {
            str(prim.GetPath()).removeprefix("/ball/")
            for prim in stage.Traverse()
            if prim.IsA(UsdGeom.Mesh)
            if UsdGeom.Imageable(prim).ComputeVisibility() != "invisible"
            if UsdGeom.Imageable(prim).ComputePurpose() in purposes
        }
        assert shown == expected


def test_unloaded_assets_still_have_their_grey_box(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    stage = Usd.Stage.Open(str(tmp_path / "lib/ball/ball.usd"), Usd.Stage.LoadNone)
    assert stage.GetPrimAtPath("/ball/geo/proxy/hull").IsA(UsdGeom.Mesh)
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), ["default"], True)
    box = cache.ComputeWorldBound(stage.GetDefaultPrim()).ComputeAlignedRange()
    np.testing.assert_allclose([box.GetMin(), box.GetMax()], [[-0.3, 0, -0.3], [0.3, 0.6, 0.3]], atol=0.03)


def test_paths_in_layers_are_relative_so_that_a_library_can_move(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    write_stage(tmp_path / "shot.usda", reference_prim("b", "@./lib/ball/ball.usd@"))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "lib").rename(moved / "lib")
    (tmp_path / "shot.usda").rename(moved / "shot.usda")
    snapshot = read_stage(moved / "shot.usda").snapshot()
    assert snapshot.assets[0].file == moved / "lib/ball/v001/ball.neuron" and not snapshot.problems
    for path in moved.rglob("*.usd*"):
        layer = Sdf.Layer.FindOrOpen(str(path))
        assert str(tmp_path) not in layer.ExportToString()


def test_a_new_version_changes_every_unpinned_shot_and_no_pinned_one(tmp_path):
    first = publish_ball(tmp_path, tmp_path / "lib")
    body = reference_prim("latest", "@./lib/ball/ball.usd@") + reference_prim(
        "pinned", "@./lib/ball/v001/ball.usd@"
    )
    write_stage(tmp_path / "shot.usda", body)
    second = publish_ball(tmp_path, tmp_path / "lib", version=2)
    assert (first.label, second.label) == ("v001", "v002") and first.digest != second.digest
    nodes = {node.path: node for node in read_stage(tmp_path / "shot.usda").snapshot().assets}
    assert nodes["/latest"].digest == second.digest and nodes["/pinned"].digest == first.digest


def test_published_versions_never_change(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    before = contents(tmp_path / "lib/ball/v001")
    publish_ball(tmp_path, tmp_path / "lib", version=2)
    write_ball(tmp_path / "third.neuron", version=3)
    for number in (1, 2):
        with pytest.raises(LibraryError, match="never change"):
            publish(Submission(tmp_path / "third.neuron", tmp_path / "lib", "ball", number))
    assert contents(tmp_path / "lib/ball/v001") == before
    for path in (tmp_path / "lib/ball/v001").rglob("*"):
        assert path.is_dir() or not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    assert [version.number for version in versions_of(tmp_path / "lib", "ball")] == [1, 2]


def test_the_same_asset_is_not_published_twice_in_a_row(tmp_path):
    write_ball(tmp_path / "a.neuron")
    write_ball(tmp_path / "b.neuron", version=2)
    results = [publish(Submission(tmp_path / f"{name}.neuron", tmp_path / "lib", "x")) for name in "aaba"]
    assert [(version.number, new) for version, new in results] == [
        (1, True),
        (1, False),
        (2, True),
        (3, True),
    ]


def test_a_number_may_be_chosen_and_the_next_one_follows(tmp_path):
    write_ball(tmp_path / "a.neuron")
    assert publish(Submission(tmp_path / "a.neuron", tmp_path / "lib", "x", 7))[0].label == "v007"
    write_ball(tmp_path / "a.neuron", version=2)
    assert publish(Submission(tmp_path / "a.neuron", tmp_path / "lib", "x"))[0].label == "v008"


def test_weights_are_stored_once_however_often_they_are_used(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    for number in range(3):
        body = "".join(
            reference_prim(f"b{n}", "@./lib/ball/ball.usd@", "instanceable = true") for n in range(20)
        )
        write_stage(tmp_path / f"shot{number}.usda", body)
    stored = [path for path in tmp_path.rglob("*.neuron") if path.is_relative_to(tmp_path / "lib")]
    assert len(stored) == 1
    nodes = [node for n in range(3) for node in read_stage(tmp_path / f"shot{n}.usda").snapshot().assets]
    assert len(nodes) == 60 and {node.file for node in nodes} == set(stored)


def test_what_is_published_at_once_gets_different_numbers(tmp_path):
    for number in range(3):
        write_ball(tmp_path / f"{number}.neuron", version=number + 1)
    wanted = [Submission(tmp_path / f"{number}.neuron", tmp_path / "lib", "x") for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        published = [version for version, _ in pool.map(publish, wanted)]
    assert sorted(version.number for version in published) == [1, 2, 3]
    for version in published:
        assert read_header(tmp_path / "lib" / version.file).manifest.digest == version.digest


def test_the_same_asset_gives_the_same_bytes(tmp_path):
    write_ball(tmp_path / "a.neuron")
    for name in ("one", "two"):
        publish(Submission(tmp_path / "a.neuron", tmp_path / name, "x", colors={"gold": (0.5, 0.25, 0.125)}))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_nothing_is_left_of_what_could_not_be_published(tmp_path, monkeypatch):
    from neuron_core.usd import asset_layers

    write_ball(tmp_path / "a.neuron")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(asset_layers, "write_asset_layer", full)
    with pytest.raises(FileError, match="No space left"):
        publish(Submission(tmp_path / "a.neuron", tmp_path / "lib", "x"))
    assert not list((tmp_path / "lib").rglob("*.*"))


def submission(name: str = "x", number: int = 0, source: str = "a.neuron", **attached: str) -> Submission:
    paths = {representation: Path(path) for representation, path in attached.items()}
    return Submission(Path(source), Path("lib"), name, number, paths)


REFUSED = {
    "an invalid name": (submission("My Oak!"), LibraryError, "cannot name"),
    "a path as a name": (submission("../x"), LibraryError, "cannot name"),
    "a missing file": (submission(source="gone.neuron"), FileError, "gone.neuron"),
    "a broken file": (submission(source="broken.neuron"), AssetError, "broken.neuron"),
    "a number below zero": (submission(number=-1), LibraryError, "-1"),
    "a missing attachment": (submission(splat="gone.usda"), LibraryError, "gone.usda"),
    "an attachment that is not a USD": (submission(splat="a.neuron"), LibraryError, "USD file"),
    "an attachment without a default prim": (submission(splat="none.usda"), LibraryError, "default prim"),
    "an attachment in centimeters": (submission(splat="cm.usda"), LibraryError, "0.01"),
    "an attachment that takes a name": (submission(proxy="good.usda"), LibraryError, "proxy"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_published_is_named_and_nothing_is_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ball(Path("a.neuron"))
    Path("broken.neuron").write_bytes(b"x" * 100)
    Path("none.usda").write_text('#usda 1.0\n(\nmetersPerUnit = 1\nupAxis = "Y"\n)\n')
    write_stage(Path("cm.usda"), 'def Xform "World"\n{\n}\n', 0.01)
    write_stage(Path("good.usda"), 'def Xform "World"\n{\n}\n')
    wanted, error, said = REFUSED[name]
    with pytest.raises(error, match=said):
        publish(wanted)
    assert not Path("lib").exists()


def test_an_asset_without_voxels_is_refused(tmp_path):
    from tests.core.test_usd_snapshot import write_unbaked

    write_unbaked(tmp_path / "u.neuron")
    with pytest.raises(LibraryError, match="no baked voxels"):
        publish(Submission(tmp_path / "u.neuron", tmp_path / "lib", "x"))


def test_attached_layers_are_offered_first_and_load(tmp_path):
    write_ball(tmp_path / "a.neuron")
    write_stage(tmp_path / "pieces.usda", 'def Xform "World"\n{\ndef Cube "cube"\n{\n}\n}\n')
    attached = {"points": tmp_path / "pieces.usda"}
    version, _ = publish(Submission(tmp_path / "a.neuron", tmp_path / "lib", "x", attached=attached))
    assert version.representations == ("points", "mesh", "proxy", "box")
    stage = Usd.Stage.Open(str(tmp_path / "lib" / version.layer))
    assert stage.GetPrimAtPath("/x/geo/render/points/cube").GetTypeName() == "Cube"
    assert publish(Submission(tmp_path / "a.neuron", tmp_path / "lib", "x", attached=attached))[1] is False
    assert publish(Submission(tmp_path / "a.neuron", tmp_path / "lib", "x"))[1] is True


def test_the_index_says_what_is_there_and_can_be_made_again(tmp_path):
    for name in ("oak", "elm"):
        publish_ball(tmp_path, tmp_path / "lib", name)
    publish_ball(tmp_path, tmp_path / "lib", "oak", version=2)
    index = json.loads((tmp_path / "lib/library.json").read_text())
    assert index == json.loads(json.dumps(index_of(tmp_path / "lib")))
    assert {name: asset["latest"] for name, asset in index["assets"].items()} == {
        "elm": "v001",
        "oak": "v002",
    }
    (tmp_path / "lib/library.json").unlink()
    library = read_library(tmp_path / "lib")
    assert [version.label for version in library["oak"]] == ["v001", "v002"]
    for version in library["oak"]:
        assert Version.from_json(version.to_json(), Path("x")) == version
        assert (tmp_path / "lib" / version.preview).is_file()


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"version": 99}', '{"version": 1, "name": 3}'],
    ids=["list", "empty", "later", "types"],
)
def test_damaged_records_are_named(content, tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    record = tmp_path / "lib/ball/v001/publish.json"
    record.chmod(0o644)
    record.write_text(content)
    with pytest.raises(LibraryError, match=r"publish\.json"):
        read_library(tmp_path / "lib")


def test_an_asset_is_found_by_its_folder_its_version_or_its_file(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    home = tmp_path / "lib/ball"
    assert locate(home) == home / "ball.usd"
    assert locate(home / "v001") == home / "v001/ball.usd"
    assert locate(home / "v001/ball.neuron") == home / "v001/ball.neuron"
    assert home_of(home / "ball.usd") == home_of(home / "v001/ball.usd") == home
    assert home_of(home / "v001/payload/mesh.usdc") is None
    for wrong in ("v009", "../elm", "../../lib"):
        with pytest.raises(NeuronError):
            locate(home / wrong)
