"""What is broken in a scene, as the command line tells it: the rest is drawn, or nothing is written."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.assets import read_asset, write_asset
from neuron_core.cli import main
from neuron_core.images.pictures import decode_image
from neuron_core.prompts import EncoderId
from tests.core.baked_samples import write_ball
from tests.core.stage_samples import asset_prim, camera_prim, moved, write_stage

SINGULAR = "( (1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1) )"
PROMPT = 'string neuron:prompt = "worn oak"'
STRANGER = f'uniform string neuron:digest = "{"0" * 64}"'


def reference(layer: str, arc: str = "references") -> str:
    return f'def Xform "broken" (prepend {arc} = {layer})\n{{\n}}\n'


# The prim, what is said about it, and options of the commands.
BROKEN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "missing file": (asset_prim("broken", "./nothing.neuron"), "nothing.neuron", ()),
    "damaged file": (asset_prim("broken", "./damaged.neuron"), "damaged.neuron", ()),
    "digest mismatch": (asset_prim("broken", "./ball.neuron", extra=STRANGER), "digest", ()),
    "wrong encoder": (asset_prim("broken", "./strange.neuron", extra=PROMPT), "encoder", ()),
    "cyclic reference": (reference("@./{stage}@</broken>"), "ycle", ()),
    "cyclic payload": (reference("@./{stage}@</broken>", "payload"), "ycle", ()),
    "unresolvable reference": (reference("@./gone.usda@"), "gone.usda", ()),
    "unresolvable prim": (reference("@./{stage}@</no>"), "Unresolved", ()),
    "outside the library": (asset_prim("broken", "../ball.neuron"), "library", ("--library", "lib")),
    "scale of 1e-30": (asset_prim("broken", "./ball.neuron", moved(0, 0, 0, 1e-30)), "scale", ()),
    "scale of 1e30": (asset_prim("broken", "./ball.neuron", moved(0, 0, 0, 1e30)), "scale", ()),
    "singular matrix": (asset_prim("broken", "./ball.neuron", SINGULAR), "singular", ()),
    "look that is not there": (asset_prim("broken", "./ball.neuron", look="velvet"), "velvet", ()),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Stages in a library, and a file beside it."""
    folder = tmp_path_factory.mktemp("broken")
    library = folder / "lib"
    library.mkdir()
    for place in (folder, library):
        write_ball(place / "ball.neuron")
    whole = read_asset(library / "ball.neuron")
    strange = replace(whole.manifest, encoder=EncoderId(whole.manifest.encoder.name, "0" * 64), digest="")
    write_asset(library / "strange.neuron", strange, whole.tensors)
    (library / "damaged.neuron").write_bytes((library / "ball.neuron").read_bytes()[:-1000])
    for kind, (prim, _, _) in BROKEN.items():
        name = f"{kind.replace(' ', '_')}.usda"
        write_stage(
            library / name,
            asset_prim("ball", "./ball.neuron"),
            prim.replace("{stage}", name),
            camera_prim(),
        )
    return folder


def told(capfd, *words: object) -> tuple[int, dict, str]:
    """The exit code, the result or the error, and everything that was said on the way."""
    code = main([*map(str, words), "--json"])
    said = capfd.readouterr()
    last = json.loads(said.out.splitlines()[-1])
    assert last["event"] == ("result" if code == 0 else "error")
    return code, last, f"{last.get('message', '')}\n{said.err}"


def common(home: Path, kind: str, monkeypatch) -> tuple[str, str, tuple[str, ...]]:
    monkeypatch.chdir(home)
    _, said, options = BROKEN[kind]
    return f"lib/{kind.replace(' ', '_')}.usda", said, options


def names_the_prim(result: dict, said: str) -> bool:
    problems = [one for one in result["problems"] if said in one["message"]]
    return (
        bool(problems) and {one["path"] for one in result["problems"]} == {"/broken"} and problems[0]["hint"]
    )


@pytest.mark.parametrize("kind", BROKEN)
def test_a_frame_with_a_broken_prim_shows_the_rest_and_says_so(kind, home, tmp_path, monkeypatch, capfd):
    stage, said, options = common(home, kind, monkeypatch)
    where = ("--frames", "1", "--size", "16", "--device", "cpu", *options)
    code, result, _ = told(capfd, "render", stage, tmp_path / "f", "--cameras", "/shot", *where)
    assert code == 0 and names_the_prim(result, said)
    assert any("/broken" in line for line in result["warnings"])
    picture = decode_image(Path(result["frames"][0]))
    assert picture[..., 3].max() > 250 and list(result["ids"]) == ["/ball"]
    code, result, _ = told(capfd, "anchor", stage, tmp_path / "a", "--camera", "/shot", *where)
    assert code == 0 and names_the_prim(result, said)


@pytest.mark.parametrize("kind", BROKEN)
def test_checks_name_the_prim_and_validation_ends_with_code_2(kind, home, monkeypatch, capfd):
    stage, said, options = common(home, kind, monkeypatch)
    code, error, out = told(capfd, "scene", "validate", stage, *options)
    assert code == 2 and error["kind"] and error["hint"]
    assert any("/broken" in line and said in line for line in out.splitlines())
    if not options:
        code, result, _ = told(capfd, "inspect", stage, "--verify")
        problems = result["details"]["problems"]
        assert code == 0 and any(one["path"] == "/broken" and said in one["message"] for one in problems)


def test_people_are_told_in_words(home, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(home)
    words = ["render", "lib/missing_file.usda", str(tmp_path / "f"), "--cameras", "/shot", "--frames", "1"]
    assert main([*words, "--size", "16", "--device", "cpu"]) == 0
    said = capfd.readouterr()
    assert "/broken" in said.err and "nothing.neuron" in said.err and "1 problem" in said.out
    assert main(["scene", "validate", "lib/missing_file.usda"]) == 2
    assert "/broken" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("render", "S", "OUT", "--cameras", "/gone", "--frames", "1"), "/gone"),
        (("render", "S", "OUT", "--cameras", "/ball", "--frames", "1"), "/ball"),
        (("render", "S", "OUT", "--cameras", "/shot", "--frames", "5-1"), "5-1"),
        (("render", "S", "OUT", "--cameras", "/shot", "--frames", ","), "','"),
        (("anchor", "S", "OUT", "--camera", "/gone", "--frames", "1"), "/gone"),
        (("anchor", "S", "OUT", "--camera", "/shot", "--frames", "5-1"), "5-1"),
        (("scene", "new", "OUT.usda", "--frames", "5-1"), "5-1"),
        (("render", "gone.usda", "OUT", "--cameras", "/shot"), "gone.usda"),
        (("anchor", "gone.usda", "OUT", "--frames", "1"), "gone.usda"),
        (("scene", "add", "S", "lib/gone.usda"), "gone.usda"),
        (("scene", "set", "S", "/gone", "--at", "0,0,0"), "/gone"),
        (("scene", "set", "S", "/ball", "--look", "velvet"), "velvet"),
        (("publish", "gone.neuron", "OUT"), "gone.neuron"),
        (("publish", "lib/damaged.neuron", "OUT"), "damaged.neuron"),
    ],
)
def test_what_cannot_be_done_ends_with_code_2_and_leaves_nothing(
    words, said, home, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(home)
    stage = home / "lib" / "missing_file.usda"
    before = stage.read_bytes()
    places = {"S": str(stage), "OUT": str(tmp_path / "out"), "OUT.usda": str(tmp_path / "out.usda")}
    code, error, _ = told(capfd, *(places.get(word, word) for word in words))
    assert code == 2 and error["kind"] and said in error["message"]
    assert not list(tmp_path.iterdir()) and stage.read_bytes() == before


def test_a_published_version_is_never_overwritten(home, tmp_path, capfd):
    words = ("publish", home / "ball.neuron", tmp_path / "lib", "--name", "oak", "--number", "3")
    assert told(capfd, *words)[0] == 0
    files = [path for path in (tmp_path / "lib" / "oak" / "v003").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    code, error, _ = told(capfd, *words)
    assert code == 2 and "v003 is published" in error["message"] and "v004" in error["hint"]
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not np.any([path.stat().st_mode & 0o222 for path in files])


def test_a_new_users_path_works_as_the_documentation_has_it(tmp_path, monkeypatch, capfd):
    """Word by word, but for the assets, which are small, and the size of pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    write_ball(tmp_path / "demo" / "shaderball.neuron")
    velvet = read_asset(write_ball(tmp_path / "velvet.neuron", ("purple-velvet-worn", "rough-brass-aged")))
    named = replace(velvet.manifest, name="velvet", digest="")
    write_asset(tmp_path / "velvet.neuron", named, velvet.tensors)
    page = (Path(__file__).resolve().parents[2] / "docs" / "scenes.md").read_text(encoding="utf-8")
    section = page.partition("## From two assets to a shot")[2].partition("###")[0]
    commands = [shlex.split(line)[1:] for line in section.splitlines() if line.startswith("neuron ")]
    assert [words[0] for words in commands if words[0] != "scene"] == [
        "bake", "publish", "publish", "render", "anchor"]  # fmt: skip
    for words in commands[1:]:
        small = ("--size", "16", "--device", "cpu") if words[0] in ("render", "anchor") else ()
        code, result, _ = told(capfd, *words, *small)
        assert code == 0, result
    assert len(list(Path("frames").glob("camera_*.png"))) == 24
    first, last = (decode_image(Path(f"frames/camera_{frame:04d}.png"))[..., 3] for frame in (1, 24))
    assert first.any() and last.any() and not np.array_equal(first, last)
    anchors = json.loads(Path("anchors/anchors.json").read_text(encoding="utf-8"))
    assert [one["frame"] for one in anchors["anchors"]] == [1, 12, 24] and anchors["complete"]
