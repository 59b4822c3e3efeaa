"""Laws of the generator of digital assets: what is written is read back, and what is damaged is refused."""

import gzip
import json
import re
import string
import struct
from pathlib import Path

import pytest
from houdini_assets import binary, dialog_script, help_card, network, tree
from houdini_assets.description import Folder, Menu, Multi, NodeType, Parm
from houdini_assets.nodes import NODES
from hypothesis import given
from hypothesis import strategies as st

EACH = pytest.mark.parametrize("node", NODES, ids=[node.name for node in NODES])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
NAMES = st.text(string.ascii_letters + "_/", min_size=1, max_size=12)
OPTIONS = st.dictionaries(
    NAMES, st.one_of(st.booleans(), TEXTS, st.lists(st.integers(-(2**62), 2**62), max_size=4)), max_size=5
)

# Everything that a description can say, once.
KITCHEN = NodeType(
    table="Lop",
    name="kitchen",
    label='Neuron "Kitchen"',
    items=(
        Parm("plain", "Plain", help="Said plainly."),
        Folder(
            "tab",
            "A Tab",
            (
                Parm("v", "Vector", "vector", ("1", "2", "3"), "Three numbers.", range="0! 5"),
                Folder("inner", "Inner", (Parm("t", "Toggle", "toggle", ("1",), "On or off."),), "simple"),
            ),
            hide_when='{ plain == "x" }',
        ),
        Folder("more", "More", (Parm("h", "Hidden", invisible=True, help=""),), "collapsible", opened=True),
        Multi(
            "rows",
            "Rows",
            (Parm("row#", "Row", "file", ("$HIP/a.exr",), "A file.", tags=(("filechooser_mode", "read"),)),),
            help="As many as wanted.",
            default=2,
        ),
        Parm(
            "kind",
            "Kind",
            default=("b",),
            help="Which.",
            menu=Menu((("a", "First"), ("b", 'The "second"')), kind="menureplace"),
            join=True,
            no_label=True,
        ),
        Parm("go", "Go", "button", ("0",), "Goes.", callback="go", disable_when='{ t == 0 kind != "a" }'),
    ),
    summary="Has everything.",
    module="def go(kwargs):\n    pass\n",
    related=("lop/neuron--asset--1.0",),
)


def statements(node: NodeType) -> dict[str, dialog_script.Statement]:
    parsed = dialog_script.parse(dialog_script.write(node))
    return {found.value("name"): found for found in dialog_script.parm_statements(parsed)}


# --- files ---


@EACH
def test_writing_again_touches_nothing(node, tmp_path):
    """A checkout whose assets are up to date stays as it is, times of files included."""
    folder = tree.write_tree(node, tmp_path)
    assert tree.read_tree(folder) == tree.files_of(node)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert tree.write_tree(node, tmp_path) == folder
    assert times == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_what_does_not_belong_is_removed_and_what_is_damaged_is_written_again(tmp_path):
    node = NODES[0]
    folder = tree.write_tree(node, tmp_path)
    stale = folder / "neuron_8_8Driver_1old_8_81.0" / "Contents.dir"
    stale.mkdir(parents=True)
    (stale / "Contents.mime").write_text("old")
    beside = tmp_path / "other.hda"
    beside.mkdir()
    (beside / "mine").write_text("kept")
    name = next(iter(tree.files_of(node)))
    (folder / name).write_bytes(b"damaged")
    tree.write_tree(node, tmp_path)
    assert tree.read_tree(folder) == tree.files_of(node)
    assert not stale.parent.exists() and (beside / "mine").read_text() == "kept"


@pytest.mark.parametrize("name", ["a_b", "_", "x_2", "end_"])
def test_a_lone_underscore_is_not_a_name_on_disk(name):
    with pytest.raises(ValueError, match="lone underscore"):
        tree.decode(name)


# --- packed forms ---


@given(OPTIONS)
def test_options_survive_packing(options):
    text = tree.options_text(options)
    assert binary.unpack_options(binary.pack_options(text)) == text
    assert {name: entry["value"] for name, entry in json.loads(text).items()} == options


@given(OPTIONS.filter(bool), st.data())
def test_options_that_end_too_early_are_refused(options, data):
    whole = binary.pack_options(tree.options_text(options))
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises((ValueError, UnicodeDecodeError)):
        binary.unpack_options(whole[:end])


def test_options_of_another_type_are_refused_both_ways():
    with pytest.raises(ValueError, match="'float'"):
        binary.pack_options('{"a":{"type":"float","value":1.5}}')
    with pytest.raises(ValueError, match="type 99"):
        binary.unpack_options(struct.pack(">IH", 1, 1) + b"a" + struct.pack(">I", 99))


@EACH
def test_an_inner_network_is_gzip_that_any_program_opens(node):
    """The length of the archive is in front of it, and each part has its name and its own length."""
    if not node.network:
        return
    text = network.write(node)
    packed = binary.pack_contents(text)
    archive = gzip.decompress(packed)
    assert packed.startswith(binary.GZIP_HEADER)
    assert struct.unpack("<I", archive[:4])[0] == len(archive) - 4
    assert binary.unpack_contents(packed) == text
    for name, _ in network.parse(text):
        assert archive.count(name.encode() + b"\0") >= 1, name
    wrong = struct.pack("<I", len(archive)) + archive[4:]
    with pytest.raises(ValueError, match="another length"):
        binary.unpack_contents(gzip.compress(wrong))
    with pytest.raises(ValueError, match="no entry"):
        binary.unpack_contents(gzip.compress(struct.pack("<I", 100) + b"x" * 100))


@EACH
def test_no_part_of_a_packed_asset_is_taken_for_the_whole(node):
    content = binary.pack(tree.files_of(node))
    for end in range(0, len(content), max(1, len(content) // 40)):
        with pytest.raises(ValueError):
            binary.unpack(content[:end])


# --- dialog scripts ---


@given(TEXTS)
def test_a_quoted_text_is_one_word_that_means_the_text(text):
    word = dialog_script.quoted(text)
    assert list(dialog_script.tokens(word)) == [word]
    assert dialog_script.plain(word) == text


def test_everything_that_is_described_is_in_the_interface():
    found = statements(KITCHEN)
    assert list(found) == ["plain", "v", "t", "h", "rows", "row#", "kind", "go"]
    for parm in KITCHEN.parms():
        shown = found[parm.name]
        assert shown.value("label") == parm.label and shown.value("type") == parm.type
        default = shown.first("default")
        assert default is not None and default.block is not None
        assert tuple(map(dialog_script.plain, default.block[0].words)) == parm.default
    assert found["v"].value("size") == "3"
    assert found["rows"].first("default").words == ["default", "2"]
    assert found["h"].first("invisible") and not found["plain"].first("invisible")
    assert found["kind"].first("joinnext") and found["kind"].first("nolabel")
    menu = found["kind"].first("menureplace")
    assert menu is not None and menu.block is not None
    assert [tuple(map(dialog_script.plain, row.words)) for row in menu.block] == list(
        KITCHEN.items[-2].menu.items  # type: ignore[union-attr]
    )
    text = dialog_script.write(KITCHEN)
    assert text.count('"group_default" "1"') == 1 and text.count('"multistartoffset" "1"') == 1
    for condition in ('{ plain == "x" }', '{ t == 0 kind != "a" }'):
        assert dialog_script.quoted(condition) in text


COMPARISONS = st.tuples(
    st.text(string.ascii_lowercase, min_size=1, max_size=6),
    st.sampled_from(["==", "!=", "<", ">", "<=", ">=", "=~"]),
    st.one_of(st.integers(0, 9).map(str), st.text(string.ascii_letters + " ", max_size=5).map('"{}"'.format)),
)


@given(st.lists(st.lists(COMPARISONS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_condition_asks_about_the_names_on_the_left(groups):
    text = " ".join("{ " + " ".join(" ".join(one) for one in group) + " }" for group in groups)
    assert dialog_script.condition_names(text) == {name for group in groups for name, _, _ in group}


@pytest.mark.parametrize(
    "text", ["", "a == 1", "{ a }", "{ a = 1 }", "{ a == 1 } b", "{ a == }", "{ }", "{ a == 1 b }"]
)
def test_what_is_not_a_condition_is_refused(text):
    with pytest.raises(dialog_script.DialogScriptError):
        dialog_script.condition_names(text)


def test_a_block_without_a_keyword_and_an_unreadable_place_are_named():
    with pytest.raises(dialog_script.DialogScriptError, match="without a keyword"):
        dialog_script.parse("{ { a } }")
    with pytest.raises(dialog_script.DialogScriptError, match="line 3"):
        dialog_script.parse('{\n a b\n c "open\n}')


# --- help cards ---


def test_a_card_has_headings_of_folders_and_an_entry_for_lists():
    card = help_card.write(KITCHEN)
    assert card.index("== A Tab ==") < card.index("#id: v") < card.index("== Inner ==") < card.index("#id: t")
    assert "#id: rows" in card and "#id: row#" in card and "#id: h" not in card
    assert card.endswith("@related\n\n* [Node:lop/neuron--asset--1.0]\n")


@EACH
def test_cards_link_to_nodes_that_exist_and_fit_a_page(node):
    known = {f"{help_card.CONTEXTS[other.table]}/{other.operator.replace('::', '--')}" for other in NODES}
    card = help_card.write(node)
    assert set(re.findall(r"\[Node:([^\]]+)\]", card)) <= known
    entries = [line for line in card.splitlines() if line.startswith("    ")]
    assert max(map(len, entries)) <= 96


@EACH
def test_an_icon_is_square_and_drawn_within_its_plate(node):
    """Numbers of the drawing lie within the 64 x 64 of the plate."""
    (box,) = re.findall(r'viewBox="([^"]+)"', node.icon)
    (path,) = re.findall(r'<path d="([^"]+)"', node.icon)
    assert box == "0 0 64 64"
    assert all(0 <= float(number) <= 64 for number in re.findall(r"\d+(?:\.\d+)?", path))


def test_icons_named_by_shelf_menu_and_panel_exist():
    project = Path(__file__).resolve().parents[2]
    texts = [
        path.read_text(encoding="utf-8") for path in (*project.glob("toolbar/*"), *project.glob("*.xml"))
    ]
    texts += [path.read_text(encoding="utf-8") for path in project.glob("python_panels/*")]
    named = {name for text in texts for name in re.findall(r"\$NEURON/(icons/[\w.]+)", text)}
    assert named and all((project / name).is_file() for name in named)
