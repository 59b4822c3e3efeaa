"""Rows, means, categories and splits of an evaluation: sums add up, and order does not matter."""

import json
import random
import re

import numpy as np
import pytest

from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import open_dataset
from neuron_core.evaluation import summary, table
from neuron_core.evaluation.baselines import NEAREST
from neuron_core.evaluation.comparison import (
    Comparison,
    compare_subjects,
    depends_on,
    measure_share,
    unseen_cameras,
)
from neuron_core.evaluation.document import DATA, SHEET, TABLE, Document, measured_before, output_of
from neuron_core.evaluation.measure import FIGURES, Measured
from neuron_core.evaluation.sheet import MOST_ROWS, sheet_of
from neuron_core.evaluation.splits import NAMED, belongs, share_of
from neuron_core.evaluation.table import CONVENTION, Result, baking_loss, counts
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.images.pictures import decode_image
from tests.core.plain_samples import TEST, Known, info, write_balls

PALETTE = {
    "red": (0.6, 0.1, 0.1),
    "blue": (0.1, 0.2, 0.7),
    "gray": (0.4, 0.4, 0.4),
    "dark": (0.02, 0.03, 0.02),
    "glass": (0.5, 0.5, 0.6),
}
INFOS = [
    info("red"),
    info("blue"),
    info("glass", transmissive=True),
    info("gray", "compositional"),
    info("dark", "compositional"),
]
METAL = {"parameters": {"base_metalness": 1.0}}
RECORDS = {"red": METAL, "gray": METAL}


class Hears(Silent):
    def __init__(self):
        self.warnings, self.fractions = [], []

    def warn(self, message):
        self.warnings.append(message)

    def progress(self, fraction, stage, message="", metrics=()):
        self.fractions.append(fraction)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(write_balls(tmp_path_factory.mktemp("tables") / "balls", PALETTE, INFOS, RECORDS))


def comparison(dataset, split="test", cameras=TEST):
    return Comparison(dataset.path.with_name("ball.neuron"), dataset, split, cameras)


def one(name, l1, psnr=20.0, views=1, **changes) -> Measured:
    entry = MaterialEntry(name, name, (), {"name": name, "parameters": {}}, "compositional")
    entry = MaterialEntry(**{**{f: getattr(entry, f) for f in entry.__slots__}, **changes})
    return Measured(entry, [{"l1": l1, "psnr": psnr, "ssim": 0.5, "iou": None, "depth_error": None}] * views)


# --- splits ---


def test_every_material_is_in_exactly_one_split_of_a_subject(dataset):
    for trained in ((), ("red",), ("red", "blue", "gray"), tuple(PALETTE)):
        subject = Known(PALETTE, trained)
        for entry in dataset.materials:
            assert belongs(entry, subject, "test") != belongs(entry, subject, "compositional")
            if entry.split == "compositional":  # its pictures were held out, whoever claims to know them
                assert belongs(entry, subject, "compositional")


def test_looks_that_a_subject_lacks_are_named_and_left_out(dataset):
    report = Hears()
    palette = {name: color for name, color in PALETTE.items() if name != "blue"}
    share = share_of(Known(palette, tuple(PALETTE)), dataset.path, dataset, "test", report)
    assert [entry.name for entry in share.entries] == list(share.looks) == ["red", "glass"]
    (said,) = report.warnings
    assert "no baked look for blue " in said and "neuron bake --prompt" in said and "red" not in said


def test_what_a_subject_was_not_trained_on_is_named_where_it_would_be_missed(dataset):
    report = Hears()
    subject = Known(PALETTE, ("red",))
    share_of(subject, dataset.path, dataset, "test", report)
    (said,) = report.warnings
    assert "blue, glass." in said and "--split compositional" in said and "gray" not in said
    share_of(subject, dataset.path, dataset, "compositional", silent := Hears())
    assert silent.warnings == []


@pytest.mark.parametrize(
    ("split", "hint"), [("test", "--split compositional"), ("compositional", "neuron bake")]
)
def test_a_subject_that_shares_no_material_is_refused_with_what_there_is(dataset, split, hint):
    with pytest.raises(NeuronError, match=f"shares no {split} material") as caught:
        share_of(Known({}, ("red",)), dataset.path, dataset, split, Silent())
    assert all(name in caught.value.message for name in PALETTE) and len(PALETTE) <= NAMED
    assert hint in caught.value.hint


def test_a_few_views_are_the_first_ones(dataset):
    assert (
        unseen_cameras(dataset, 0) == list(TEST) == unseen_cameras(dataset, 2) == unseen_cameras(dataset, 9)
    )
    assert unseen_cameras(dataset, 1) == [TEST[0]]


def test_an_evaluation_follows_from_subject_split_and_cameras(dataset):
    def digest(comparison, *subjects):
        return json.dumps(depends_on(comparison, subjects))

    base = digest(comparison(dataset), Known(PALETTE))
    assert digest(comparison(dataset), Known(PALETTE)) == base
    others = [
        digest(comparison(dataset, "compositional"), Known(PALETTE)),
        digest(comparison(dataset, cameras=TEST[:1]), Known(PALETTE)),
        digest(comparison(dataset), Known(PALETTE, identity="another ball")),
        digest(comparison(dataset), Known(PALETTE, representation="inr")),
        digest(comparison(dataset), Known(PALETTE), Known(PALETTE, representation="inr")),
    ]
    assert len({base, *others}) == 6


# --- whole comparisons ---


def test_whoever_knows_the_truth_beats_whoever_does_not(dataset):
    off = {name: tuple(0.8 * part for part in color) for name, color in PALETTE.items()}
    subjects = [Known(off, tuple(PALETTE), "inr"), Known(PALETTE, tuple(PALETTE), "nvf")]
    found = compare_subjects(comparison(dataset), subjects, Silent()).content
    assert found["mean"]["nvf"]["l1"] == 0.0 < found["mean"]["inr"]["l1"]
    assert found["baking_loss"]["psnr"] < 0 < found["mean"]["nvf"]["psnr"] - found["mean"]["inr"]["psnr"]
    assert found["baking_loss"]["iou"] == 0.0 == found["baking_loss"]["depth_error"]
    assert found["baselines"] == {}


def test_glass_stays_out_of_the_mean_and_has_its_own(dataset):
    off = {**PALETTE, "glass": (0.0, 0.0, 0.0)}
    found = compare_subjects(comparison(dataset), [Known(off, tuple(PALETTE))], Silent())
    assert found.content["mean"]["nvf"]["l1"] == 0.0 < found.content["transmissive"]["nvf"]["l1"]
    assert "| glass * |" in found.table and "**mean of 2**" in found.table


def test_materials_are_measured_some_at_a_time_with_the_same_figures_and_rising_progress(dataset):
    share = share_of(Known(PALETTE, tuple(PALETTE)), dataset.path, dataset, "test", Silent())
    rows = []
    for at_once in (1, 2, 3, 16):
        report = Hears()
        rows.append(measure_share(comparison(dataset), share, report, at_once).rows())
        assert report.fractions == sorted(report.fractions) and report.fractions[-1] == 1.0
        assert 0 < report.fractions[0] and len(set(report.fractions)) == len(report.fractions)
    assert rows[1:] == rows[:-1]


def test_held_out_materials_are_compared_with_the_nearest_by_category(dataset):
    found = compare_subjects(
        comparison(dataset, "compositional"), [Known(PALETTE, ("red", "blue"))], Silent()
    )
    rows = {(row["representation"], row["category"]): row for row in found.content["categories"]}
    assert rows["nvf", "metal"]["materials"] == 1  # gray
    assert rows["nvf", "all"]["l1_mean_ratio"] == 0.0 == rows["nvf", "metal"]["l1_mean_ratio"]
    assert rows[NEAREST, "all"]["l1_mean_ratio"] == 1.0 and rows[NEAREST, "all"]["l1_mean"] > 0
    assert {name for name, _ in rows} == {"nvf", NEAREST, "mean image"}
    assert all(f"| {row['category']} | {row['representation']} |" in found.table for row in rows.values())


def test_the_sheet_has_two_views_spread_over_the_test_cameras(dataset):
    assert list(comparison(dataset, cameras=list("abcdefgh")).shown) == ["a", "e"]
    assert list(comparison(dataset, cameras=["a"]).shown) == ["a"]
    assert list(comparison(dataset, cameras=list("abc")).shown) == ["a", "b"]


# --- the table ---


def test_the_mean_is_over_materials_not_over_views():
    result = Result("inr", "test", [one("a", 0.1, views=9), one("b", 0.5, views=1)])
    assert result.mean()["l1"] == pytest.approx(0.3)
    assert result.mean()["depth_error"] is None


def test_counted_and_transmissive_and_unsupported_materials_are_all_there_are():
    entries = [
        one(f"{supported}{transmissive}", 0.1, supported=supported, transmissive=transmissive)
        for supported in (True, False)
        for transmissive in (True, False)
    ]
    assert [counts(each.entry) for each in entries] == [False, True, False, False]
    result = Result("inr", "test", entries)
    assert result.mean()["l1"] == result.apart()["l1"] == pytest.approx(0.1)
    assert Result("inr", "test", entries[2:]).mean() == {} == Result("inr", "test", entries[2:]).apart()


def test_rows_follow_the_materials_and_the_table_sorts_them():
    measured = [one(name, 0.1 * index) for index, name in enumerate("dacb")]
    texts, rows = set(), []
    for order in (measured, measured[::-1]):
        result = Result("inr", "test", order)
        rows.append(result.rows())
        texts.add(table.markdown("title", CONVENTION, [result]))
    assert rows[0] == rows[1][::-1]
    (text,) = texts
    assert re.findall(r"^\| (\w) \|", text, re.MULTILINE) == list("abcd")


def test_every_line_of_a_table_has_a_cell_for_every_head():
    results = [
        Result(name, "test", [one("a", 0.1), one("b", 0.2, transmissive=True)]) for name in ("inr", "nvf")
    ]
    lines = [line for line in table.markdown("t", "c", results).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 4 + 4 and len({line.count("|") for line in lines}) == 1


def test_a_large_evaluation_is_shown_by_its_means_alone():
    few, many = (
        Result("inr", "test", [one(f"m{index:03}", 0.25) for index in range(count)])
        for count in (table.MOST_ROWS, table.MOST_ROWS + 1)
    )
    assert "| m000 |" in table.markdown("t", "c", [few])
    text = table.markdown("t", "c", [many])
    assert "| m000 |" not in text and f"**mean of {table.MOST_ROWS + 1}**" in text and "0.2500" in text


def test_depths_are_shown_in_millimeters_and_unknown_figures_as_dashes():
    measured = one("a", 0.1)
    measured.views = [{"depth_error": 0.00123, "psnr": None}]
    (line,) = [text for text in table.markdown("t", "c", [Result("inr", "test", [measured])]).splitlines()
               if text.startswith("| a ")]  # fmt: skip
    assert line == "| a | inr | 1 | – | – | – | – | 1.23 | – |"


def test_loss_by_baking_turns_its_sign_when_the_two_change_places():
    random_ = np.random.default_rng(0)
    inr, nvf = (dict(zip(FIGURES, random_.random(5).tolist(), strict=True)) for _ in range(2))
    there, back = baking_loss({"inr": inr, "nvf": nvf}), baking_loss({"inr": nvf, "nvf": inr})
    assert set(there) == set(FIGURES)
    assert all(there[name] == -back[name] for name in FIGURES)
    assert set(baking_loss({"inr": inr, "nvf": inr}).values()) == {0.0}


# --- categories ---

KINDS = {
    "metal": {"base_metalness": 1.0},
    "translucent": {"transmission_weight": 1.0},
    "organic": {"fuzz_weight": 0.9},
    "dielectric": {},
}


def of_kind(kind, name, l1, **changes):
    return one(name, l1, record={"name": name, "parameters": KINDS[kind]}, **changes)


def many(seed):
    chosen = random.Random(seed)
    return [
        of_kind(kind, f"{kind}{n}", chosen.random()) for kind in KINDS for n in range(chosen.randrange(1, 5))
    ]


def test_the_mean_of_all_is_that_of_the_categories_weighed_by_their_materials():
    rows = {row["category"]: row for row in summary.summarize([Result("inr", "test", many(1))])}
    parts = [rows[kind] for kind in KINDS]
    assert sum(part["materials"] for part in parts) == rows["all"]["materials"]
    weights = [part["materials"] for part in parts]
    for name in ("l1_mean", "psnr_mean", "ssim_mean"):
        assert rows["all"][name] == pytest.approx(np.average([part[name] for part in parts], weights=weights))
    medians = [part["l1_median"] for part in parts]
    assert min(medians) <= rows["all"]["l1_median"] <= max(medians)


def test_categories_do_not_depend_on_the_order_of_materials():
    measured = many(2)
    shuffled = random.Random(3).sample(measured, len(measured))
    first, second = (summary.summarize([Result("inr", "test", order)]) for order in (measured, shuffled))
    for a, b in zip(first, second, strict=True):
        assert a == pytest.approx(b)


def test_the_ratio_to_the_nearest_is_the_ratio_of_the_two_errors():
    """An error twice as large in every material is a ratio of two, in every category."""
    measured = many(4)
    double = [of_kind(re.sub(r"\d", "", m.entry.name), m.entry.name, 2 * m.views[0]["l1"]) for m in measured]
    rows = summary.summarize([Result("inr", "test", double), Result(NEAREST, "test", measured)])
    for row in rows:
        wanted = 2.0 if row["representation"] == "inr" else 1.0
        assert row["l1_mean_ratio"] == pytest.approx(wanted) == row["l1_median_ratio"]
    perfect = [of_kind("metal", "m", 0.0)]
    for row in summary.summarize([Result("inr", "t", measured[:1]), Result(NEAREST, "t", perfect)]):
        assert "l1_mean_ratio" not in row  # by nothing nobody divides


def test_materials_without_a_view_or_a_category_count_where_they_belong():
    unrendered, unknown = of_kind("metal", "m", 0.5), one("u", 0.25, record={"parameters": 3})
    unrendered.views = []
    assert summary.category(unknown.entry) == ""
    (row,) = summary.summarize([Result("inr", "test", [unrendered, unknown])])
    assert (row["category"], row["materials"], row["l1_mean"]) == ("all", 1, 0.25)
    left_out = of_kind("metal", "x", 9.0, supported=False)
    (row,) = summary.summarize([Result("inr", "test", [left_out])])
    assert row["category"] == summary.UNSUPPORTED
    assert summary.summarize([]) == []
    assert len(summary.markdown([]).splitlines()) == 2


# --- sheets and files ---


def test_a_sheet_shows_at_most_sixteen_rows_and_what_there_is_of_them(dataset):
    names = [entry.name for entry in dataset.materials if entry.split == "train"]
    picture = np.zeros((16, 16, 3), np.float32)

    def heights(count):
        shown = list(TEST)[:count]
        results = [
            Result(
                "nvf", "t", [Measured(dataset.material(n), [], dict.fromkeys(shown, picture)) for n in names]
            )
        ]
        return sheet_of(dataset, results, shown, "").shape[0]

    one_view, two_views = heights(1), heights(2)
    assert 1.8 < two_views / one_view < 2.1
    assert MOST_ROWS // len(names) >= 2


def written(folder, content, settings, overwrite=False):
    document = Document({"rows": content}, "# Table\n\n", np.zeros((4, 4, 3), np.uint8))
    with output_of(folder, settings).claim(overwrite) as claim:
        return measured_before(claim) if claim.state == "done" else document.write(folder, claim)


def test_a_document_is_read_back_as_it_was_written_and_not_written_twice(tmp_path):
    first = written(tmp_path / "out", [1], {"a": 1})
    assert first["rows"] == [1] and first["summary"] == "# Table"
    assert [first[name] for name in ("table", "data", "contact_sheet")] == [
        str(tmp_path / "out" / name) for name in (TABLE, DATA, SHEET)
    ]
    assert decode_image(tmp_path / "out" / SHEET).shape == (4, 4, 3)
    assert written(tmp_path / "out", [2], {"a": 1}) == first


@pytest.mark.parametrize("lost", [TABLE, SHEET, DATA])
def test_a_document_that_lost_a_file_is_made_again(tmp_path, lost):
    written(tmp_path, [1], {"a": 1})
    (tmp_path / lost).unlink()
    assert written(tmp_path, [2], {"a": 1})["rows"] == [2]
    assert (tmp_path / lost).is_file()


def test_another_document_is_refused_and_overwriting_it_leaves_what_is_not_ours(tmp_path):
    written(tmp_path, [1], {"a": 1})
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigMismatchError, match="a 1 instead of 2"):
        written(tmp_path, [2], {"a": 2})
    assert json.loads((tmp_path / DATA).read_text())["rows"] == [1]
    assert written(tmp_path, [2], {"a": 2}, overwrite=True)["rows"] == [2]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} >= {TABLE, DATA, SHEET, "notes.txt"}


def test_a_document_without_a_claim_is_written_all_the_same(tmp_path):
    found = Document({"rows": []}, "t", np.zeros((4, 4, 3), np.uint8)).write(tmp_path)
    assert json.loads((tmp_path / DATA).read_text()) == {"rows": []} and found["rows"] == []
