"""Figures in README and docs come from one file, docs/figures.json.

A page quotes it in three ways, all invisible where Markdown is rendered:

* a table of a group, between `<!-- figures: speed -->` and `<!-- end of figures -->`; it is written here;
* a table with columns of its own, between `<!-- table: frame_scaling -->` and the same end;
* a number in a sentence, followed by a comment with the figure's name: `59 frames/s<!--nvf_512_fps-->`.
  It may have fewer digits than the file, never others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import read_json, write_bytes

END = "<!-- end of figures -->"
_BLOCK = re.compile(rf"<!-- (figures|table): (\w+) -->\n.*?{END}", re.DOTALL)
_QUOTED = re.compile(
    r"(?<![\d.,])(?P<number>-?\d[\d,]*(?:\.\d+)?)(?P<unit>[^\d|<>\n]{0,24}?)<!--(?P<name>\w+)-->"
)
_TAG = re.compile(r"<!--(\w+)-->")


class FiguresError(NeuronError):
    """A page that quotes a figure that the file does not hold."""

    kind = "figures"


@dataclass(frozen=True, slots=True)
class Figures:
    """What docs/figures.json holds."""

    by_name: Mapping[str, Mapping[str, Any]]  # in the order of the file
    tables: Mapping[str, Sequence[Sequence[str]]]  # rows of cells, the first one of titles


def read_figures(path: Path) -> Figures:
    """The figures of docs/figures.json. Raises FiguresError if two have the same name."""
    content: Any = read_json(path)
    by_name = {figure["name"]: figure for figure in content["figures"]}
    if len(by_name) != len(content["figures"]):
        raise FiguresError(f"{path} has two figures with the same name.", "Give each a name of its own.")
    return Figures(by_name, content["tables"])


def filled(page: str, figures: Figures) -> str:
    """The page with every table of figures written anew. Raises FiguresError for unknown names."""

    def block(match: re.Match[str]) -> str:
        kind, name = match.groups()
        rows = _columns(figures.tables, name) if kind == "table" else _group(figures.by_name, name)
        return "\n".join([f"<!-- {kind}: {name} -->", *rows, END])

    return _BLOCK.sub(block, page)


def _columns(tables: Mapping[str, Sequence[Sequence[str]]], name: str) -> Iterator[str]:
    if name not in tables:
        raise FiguresError(f"The file of figures has no table {name!r}.", "Look into docs/figures.json.")
    titles, *rows = tables[name]
    yield f"| {' | '.join(titles)} |"
    yield "|---|" + "--:|" * (len(titles) - 1)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _group(by_name: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[str]:
    figures = [figure for figure in by_name.values() if figure["group"] == name]
    if not figures:
        raise FiguresError(f"The file of figures has no group {name!r}.", "Look into docs/figures.json.")
    wanted = any("target" in figure for figure in figures)
    yield "| figure | measured |" + (" target |" if wanted else "")
    yield "|---|--:|" + ("--:|" if wanted else "")
    for figure in figures:
        yield f"| {figure['label']} | {shown(figure)} |" + (
            f" {figure.get('target', '')} |" if wanted else ""
        )


def shown(figure: Mapping[str, Any]) -> str:
    """A figure as tables print it: `35.8 frames/s`."""
    return f"{figure['value']:,.{figure['decimals']}f} {figure['unit']}".rstrip()


def misquoted(page: str, figures: Figures) -> list[str]:
    """What a page says of figures that the file does not: one sentence each."""
    found: list[str] = []
    quoted = {match.end(): match for match in _QUOTED.finditer(page)}
    for tag in _TAG.finditer(page):
        name, match = tag[1], quoted.get(tag.end())
        if name not in figures.by_name:
            found.append(f"{name} is not in the file of figures")
        elif match is None:
            found.append(f"{name} follows no number")
        elif not _agrees(match["number"], figures.by_name[name]["value"]):
            found.append(
                f"{name} is quoted as {match['number']}, the file has {figures.by_name[name]['value']}"
            )
    return found


def _agrees(number: str, value: float | int) -> bool:
    text = number.replace(",", "")
    digits = len(text.partition(".")[2])
    return float(text) == float(f"{value:.{digits}f}")


def outside_blocks(page: str) -> str:
    """The page without its generated tables."""
    return _BLOCK.sub("", page)


def write_pages(root: Path) -> tuple[list[Path], list[str]]:
    """Write the tables of README and docs below `root` from its docs/figures.json.

    Returns the pages that changed, and sentences about figures that a page misquotes.
    """
    figures = read_figures(root / "docs" / "figures.json")
    written: list[Path] = []
    wrong: list[str] = []
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        before = page.read_text(encoding="utf-8")
        after = filled(before, figures)
        if after != before:
            write_bytes(page, after.encode())
            written.append(page)
        wrong += [f"{page.relative_to(root)}: {sentence}" for sentence in misquoted(after, figures)]
    return written, wrong
