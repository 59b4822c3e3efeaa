"""What the panel knows without Qt or Houdini: the library's index, search, figures, what is remembered."""

import itertools
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuron_core.library.version import Version
from neuron_core.usd.published import INDEX, LibraryError
from tests.core.scene_samples import publish_ball


@pytest.fixture
def library(hou, monkeypatch, tmp_path):
    """The module, with preferences of its own."""
    monkeypatch.setenv("HOUDINI_USER_PREF_DIR", str(tmp_path / "preferences"))
    monkeypatch.delenv("NEURON_LIBRARY", raising=False)
    from neuron_houdini.panel import library

    return library


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A library with two assets, one of them in two versions."""
    folder = tmp_path_factory.mktemp("library")
    for name, number in (("oak", 1), ("oak", 2), ("kettle", 1)):
        publish_ball(folder, folder / "lib", name, number)
    return folder / "lib"


def test_the_latest_version_of_every_asset_is_listed_by_name(library, published):
    entries = library.entries_of(published)
    assert [(entry.name, entry.version.number, entry.count) for entry in entries] == [
        ("kettle", 1, 1),
        ("oak", 2, 2),
    ]
    for entry in entries:
        assert entry.file.is_file() and entry.place == published / entry.name
        rows = dict(library.figures_of(entry))
        assert rows["Version"] == ("v002 of 2" if entry.name == "oak" else "v001")
        assert rows["File"].startswith(entry.file.name) and rows["Size"].count(" x ") == 2


@pytest.mark.parametrize("part", ["latest", "versions", "name", "file"])
def test_an_index_that_lacks_a_part_is_refused_with_what_mends_it(library, published, tmp_path, part):
    content = json.loads((published / INDEX).read_text(encoding="utf-8"))
    oak = content["assets"]["oak"]
    damaged = oak if part in oak else oak["versions"][oak["latest"]]
    del damaged[part]
    (tmp_path / INDEX).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(LibraryError) as caught:
        library.entries_of(tmp_path)
    assert INDEX in caught.value.message and "ublish" in caught.value.hint


@pytest.mark.parametrize("text", ["[]", "null", '{"assets": []}', '{"assets": {"a": null}}', "{"])
def test_another_file_is_not_an_index(library, tmp_path, text):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(LibraryError):
        library.entries_of(tmp_path)


def entry_of(library, name, prompts=(), shown=("points",)):
    looks = tuple(SimpleNamespace(slug=f"look-{i}", prompt=prompt) for i, prompt in enumerate(prompts))
    version = SimpleNamespace(name=name, looks=looks, representations=shown)
    return library.Entry(Path("/lib"), version, 1)


def test_a_search_asks_for_every_word_in_any_order_and_case(library):
    entries = [
        entry_of(library, "oak_table", ["worn Oak, waxed", "black lacquer"]),
        entry_of(library, "kettle", ["brushed copper"], ("splat", "points")),
        entry_of(library, "chair"),
    ]
    names = [entry.name for entry in entries]
    assert [entry.name for entry in library.matching(entries, "")] == names
    assert [entry.name for entry in library.matching(entries, "  ")] == names
    for words in itertools.permutations(["WAXED", "oak", "lacq"]):
        assert [entry.name for entry in library.matching(entries, " ".join(words))] == ["oak_table"]
    assert [entry.name for entry in library.matching(entries, "splat copper")] == ["kettle"]
    assert library.matching(entries, "oak copper") == []
    for one, two in itertools.product(["oak", "look-0", "points", "x"], repeat=2):  # more words, fewer hits
        both = library.matching(entries, f"{one} {two}")
        assert both == [entry for entry in library.matching(entries, one) if library.matches(entry, two)]


def test_figures_are_those_of_the_manifest_flattened_and_not_too_many(library, monkeypatch, tmp_path):
    (tmp_path / "a.neuron").write_bytes(b"x" * 2_500_000)
    metrics = {"psnr": 31.23456, "test": {"iou": 0.9, "deep": {"note": "fine"}}, "list": [1, 2], "none": None}
    header = SimpleNamespace(manifest=SimpleNamespace(aabb=((-1, 0, 0), (1, 0.5, 0.25)), metrics=metrics))
    monkeypatch.setattr(library, "header_of", lambda path: header)
    version = SimpleNamespace(
        label="v003", file="a.neuron", representations=("mesh", "box"), encoder="", licence="CC0"
    )
    rows = library.figures_of(library.Entry(tmp_path, version, 3))
    assert rows == [
        ("Version", "v003 of 3"),
        ("File", "a.neuron, 2.5 MB"),
        ("Size", "2 x 0.5 x 0.25 m"),
        ("Representations", "mesh, box"),
        ("Prompts", "none: no look can be added"),
        ("PSNR", "31.23"),
        ("Test iou", "0.9"),
        ("Test deep note", "fine"),
        ("Licence", "CC0"),
    ]
    metrics.update({f"m{index}": index for index in range(50)})
    rows = library.figures_of(library.Entry(tmp_path, version, 3))
    assert len(rows) == 5 + library.SHOWN_FIGURES + 1 and rows[-1] == ("Licence", "CC0")


def test_the_variable_counts_before_what_was_shown_and_that_before_the_scene(library, monkeypatch, tmp_path):
    assert library.last_library(tmp_path) == tmp_path / "neuron" / "library"
    library.remember_library(tmp_path / "größe shown")
    assert library.last_library(tmp_path) == tmp_path / "größe shown"
    monkeypatch.setenv("NEURON_LIBRARY", f"  {tmp_path / 'studio'} ")
    assert library.last_library(tmp_path) == tmp_path / "studio"
    monkeypatch.setenv("NEURON_LIBRARY", " ")
    assert library.last_library(tmp_path) == tmp_path / "größe shown"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"library": 3}', '{"library": ""}', '{"other": "/x"}'])
def test_damaged_preferences_are_no_preferences(library, tmp_path, text):
    folder = tmp_path / "preferences" / "neuron"
    folder.mkdir(parents=True)
    (folder / library.CHOICE).write_text(text)
    assert library.last_library(tmp_path) == tmp_path / "neuron" / "library"
    library.remember_library(tmp_path / "mine")
    assert library.last_library(tmp_path) == tmp_path / "mine"
    assert [path.name for path in folder.iterdir()] == [library.CHOICE], "nothing half-written is left"


def test_outside_of_houdini_nothing_is_remembered(library, monkeypatch, tmp_path):
    monkeypatch.delenv("HOUDINI_USER_PREF_DIR")
    monkeypatch.chdir(tmp_path)
    library.remember_library(tmp_path / "mine")
    assert library.last_library(tmp_path) == tmp_path / "neuron" / "library"
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_a_version_survives_json(published):
    index = json.loads((published / INDEX).read_text(encoding="utf-8"))
    for asset in index["assets"].values():
        for record in asset["versions"].values():
            assert Version.from_json(record, Path("x")).to_json() == record


# --- Karma from beginning to end ---


@pytest.mark.parametrize("counts", [(1,), (3, 1), (5, 2, 7), ()])
def test_every_frame_of_karma_counts_alike_and_the_conversion_is_the_rest(hou, monkeypatch, counts):
    from neuron_houdini.engine import karma

    begun, seen = [], []

    def rendering(words, item):
        return SimpleNamespace(wait=lambda tell: [tell(part / 4) for part in range(5)], name=item.name)

    def conversion(words, python):
        def wait(progress):
            for part in range(3):
                progress(part / 2, "convert", "")
            return "answer"

        return SimpleNamespace(wait=wait, name="conversion")

    monkeypatch.setattr(karma.husk, "Process", rendering)
    monkeypatch.setattr(karma.process, "Process", conversion)
    items = tuple((SimpleNamespace(name=f"m{i}", count=count), ["husk"]) for i, count in enumerate(counts))
    order = karma.Order(items, ["karma", "/out"])
    answer = karma.carry_out(
        order, Path("python"), lambda part, text: seen.append((part, text)), begun.append
    )
    assert answer == "answer" and [one.name for one in begun] == [*(i.name for i, _ in items), "conversion"]
    parts = [part for part, _ in seen]
    assert parts == sorted(parts) and parts[-1] == pytest.approx(1.0)
    for index, (item, _) in enumerate(items):
        own = [part for part, text in seen if text == f"husk {item.name}"]
        before = sum(counts[:index])
        assert own[0] == pytest.approx(karma.RENDERED * before / sum(counts))
        assert own[-1] == pytest.approx(karma.RENDERED * (before + item.count) / sum(counts))


# --- Pythons ---


def test_pythons_come_once_the_supported_ones_alone_and_houdinis_own_last(hou, monkeypatch, tmp_path):
    """Whatever the order in which they are found."""
    from neuron_houdini.engine import interpreters

    home = tmp_path / "hfs"
    versions = {
        tmp_path / "a/python3.12": (3, 12),
        tmp_path / "a/python3.11": (3, 11),
        tmp_path / "a/python3.10": (3, 10),
        tmp_path / "a/python3.15": (3, 15),
        tmp_path / "a/python": None,
        home / "python/bin/python3.11": (3, 11),
    }
    for path in versions:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "a/python3").symlink_to(tmp_path / "a/python3.12")  # the same program again
    versions[tmp_path / "a/python3"] = (3, 12)
    paths = list(versions)
    monkeypatch.setattr(interpreters, "version_of", lambda path, variables: versions[path])
    monkeypatch.setattr(interpreters, "_of_houdini", lambda home: [])
    for seed in range(6):
        random.Random(seed).shuffle(paths)
        monkeypatch.setattr(interpreters, "_on_path", lambda folders: list(paths))
        found = interpreters.find_pythons({"HFS": str(home)})
        assert [(python.version, python.of_houdini) for python in found] == [
            ((3, 11), False),
            ((3, 12), False),
            ((3, 11), True),
        ]
        assert ["own" in python.label for python in found] == [False, False, True]
