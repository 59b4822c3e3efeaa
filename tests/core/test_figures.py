"""README and docs quote one file of figures, and nothing else."""

import re
from pathlib import Path

import pytest

from neuron_core.bench.pages import (
    FiguresError,
    filled,
    misquoted,
    outside_blocks,
    read_figures,
    shown,
    write_pages,
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FIGURES = read_figures(ROOT / "docs" / "figures.json")
MEASURED = re.compile(r"\d[\d.,]* ?(dB|frames/s|rays/s|fps|ms|× (as|its))(?!\w)")
SPECIFIED = {"40 dB", "0.3 dB"}  # what truth is sampled to; a difference that a decision explains


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text, FIGURES) == text, "write them with: python scripts/figures.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_quote_what_was_measured(page: Path) -> None:
    assert misquoted(page.read_text(encoding="utf-8"), FIGURES) == []


def test_no_figure_of_the_readme_comes_from_elsewhere() -> None:
    prose = outside_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    loose = [
        match[0]
        for match in MEASURED.finditer(prose)
        if match[0] not in SPECIFIED and not prose.startswith("<!--", match.end())
    ]
    assert not loose


def test_every_figure_has_a_number_a_label_and_a_day() -> None:
    for figure in FIGURES.by_name.values():
        assert isinstance(figure["value"], int | float) and figure["label"] and figure["group"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", figure["date"])
        assert len(figure.get("spread", [0, 0])) == 2


SAMPLE = "<!-- figures: speed -->\nold\n<!-- end of figures -->\nIt draws 58.9 frames/s<!--nvf_512_fps-->."


def test_a_table_is_written_from_its_group() -> None:
    written = filled(SAMPLE, FIGURES)
    assert "old" not in written and shown(FIGURES.by_name["nvf_512_fps"]) in written
    assert filled(written, FIGURES) == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("59 frames/s<!--nvf_512_fps-->", ""),
        ("58.9<!--nvf_512_fps-->", ""),
        ("169,500 rays/s<!--train_rays_per_s-->", ""),
        ("58 frames/s<!--nvf_512_fps-->", "quoted as 58"),
        ("58.8 frames/s<!--nvf_512_fps-->", "quoted as 58.8"),
        ("fast<!--nvf_512_fps-->", "follows no number"),
        ("60 frames/s<!--nvf_2048_fps-->", "not in the file"),
    ],
)
def test_a_quoted_number_may_have_fewer_digits_and_never_others(text: str, said: str) -> None:
    found = misquoted(text, FIGURES)
    assert (found == []) if not said else (len(found) == 1 and said in found[0])


@pytest.mark.parametrize("kind", ["figures", "table"])
def test_an_unknown_table_is_refused(kind: str) -> None:
    with pytest.raises(FiguresError, match="'nothing'"):
        filled(f"<!-- {kind}: nothing -->\n<!-- end of figures -->", FIGURES)


def test_pages_are_written_once_and_misquotes_are_named(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    figures = (ROOT / "docs" / "figures.json").read_text(encoding="utf-8")
    (tmp_path / "docs" / "figures.json").write_text(figures, encoding="utf-8")
    readme = tmp_path / "README.md"
    readme.write_text(SAMPLE.replace("58.9", "57"), encoding="utf-8")
    written, wrong = write_pages(tmp_path)
    assert written == [readme] and len(wrong) == 1 and "README.md" in wrong[0] and "57" in wrong[0]
    assert write_pages(tmp_path)[0] == []
