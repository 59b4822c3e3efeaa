"""Figures as a page that a person reads."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuron_core.foundation.files import write_bytes


def write_table(path: Path, body: Mapping[str, Any]) -> None:
    """Write machine, figures and the tables behind them as Markdown."""
    write_bytes(path, "\n".join(_lines(body)).encode())


def _lines(body: Mapping[str, Any]) -> Iterator[str]:
    machine, versions = body["machine"], body["versions"]
    yield ", ".join(f"{name} {value}" for name, value in machine.items()) + "."
    yield ""
    yield ", ".join(f"{name} {value}" for name, value in versions.items()) + "."
    yield ""
    yield from _table(("figure", "value", "spread", "target", "peer", "how"), map(_row, body["figures"]))
    for figure in body["figures"]:
        if figure["table"]:
            yield ""
            yield f"{figure['name']}:"
            yield ""
            yield from _table(figure["table"][0], figure["table"][1:])
    yield ""


def _row(figure: Mapping[str, Any]) -> tuple[str, ...]:
    value = "not measured" if figure["value"] is None else f"{figure['value']:g} {figure['unit']}"
    spread = "" if figure["spread"] is None else "{:g} to {:g}".format(*figure["spread"])
    return figure["name"], value, spread, figure["target"], figure["peer"], figure["detail"]


def _table(titles: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
