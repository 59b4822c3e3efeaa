"""The report of a demo: one HTML file that needs nothing else, no network and no scripts."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from neuron_core.demo import charts
from neuron_core.foundation.clocks import clock_text
from neuron_core.foundation.files import read_bytes, write_bytes
from neuron_core.foundation.json_lines import whole_lines

TYPES = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}
NAMES = {"nvf": "baked voxels", "inr": "neural field", "against": "other"}


@dataclass(frozen=True, slots=True)
class Still:
    """One look in a picture."""

    slug: str
    prompt: str
    picture: Path


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the page shows."""

    name: str
    asset: Path
    turntable: Path
    stills: Sequence[Still]
    typed: Sequence[Still]  # prompts that nobody rendered
    sheet: Path
    evaluation: Mapping[str, object]  # the result of `neuron evaluate`
    losses: Mapping[str, Mapping[str, charts.Curve]]  # stage -> name -> (step, value)
    seconds: Mapping[str, float]  # of each stage
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    commands: Sequence[tuple[str, str]]  # what it does, and how
    notes: Sequence[str] = ()


def write_report(path: Path, report: Report) -> None:
    """Write the page, whole or not at all."""
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    body = "".join(
        (
            _hero(report),
            _section("Looks", _stills(report.stills)),
            _section("By prompt alone", _typed(report)),
            _section("Against the truth", _sheet(report)),
            _section("Figures", _figures(report)),
            _section("Training", _training(report)),
            _section("Time", _time(report)),
            _section("Go on", _commands(report)),
            _section("Made with", _made_with(report)),
        )
    )
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.name)} – Neuron</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
    write_bytes(path, page.encode())


def read_losses(path: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Curves by stage and name from the metrics.jsonl of a run; empty if there is none."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in whole_lines(path):
        try:
            entry = json.loads(line)
        except ValueError:  # a damaged line spoils no page
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
            continue
        stage = curves.setdefault(str(entry.get("stage")), {})
        for name, value in entry.items():
            if name not in ("stage", "step") and isinstance(value, int | float):
                stage.setdefault(name, []).append((float(entry["step"]), float(value)))
    return curves


def _hero(report: Report) -> str:
    first = report.stills[0].prompt if report.stills else report.name
    cards = "".join(
        f'<div class="card"><div class="value">{escape(value)}</div>'
        f'<div class="what">{escape(what)}</div></div>'
        for value, what in _key_figures(report)
    )
    return (
        '<header>\n<div class="turntable">'
        f"{_image(report.turntable, f'Turntable of the baked asset, {first}')}</div>\n"
        f'<div class="intro"><p class="brand">Neuron</p><h1>{escape(report.name)}</h1>'
        f"<p>One neural asset with {len(report.stills)} looks, trained from renders, steered by prompts and "
        "baked into a single file. The turntable is drawn from the baked voxels, without the shading "
        f"network it came from: <q>{escape(first)}</q>.</p>"
        f'<div class="cards">{cards}</div></div>\n</header>\n'
    )


def _key_figures(report: Report) -> list[tuple[str, str]]:
    mean = report.evaluation.get("mean", {})
    assert isinstance(mean, Mapping)
    found = []
    for representation in ("nvf", "inr"):
        figures = mean.get(representation, {})
        if figures.get("psnr") is not None:
            found.append((f"{figures['psnr']:.1f} dB", f"mean PSNR, {NAMES[representation]}"))
    if mean.get("nvf", {}).get("iou") is not None:
        found.append((f"{mean['nvf']['iou']:.3f}", "silhouette IoU"))
    found.append((f"{report.asset.stat().st_size / 1e6:.1f} MB", report.asset.name))
    found.append((clock(sum(report.seconds.values())), "whole loop"))
    return found


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}</section>\n" if content else ""


def _typed(report: Report) -> str:
    if not report.typed:
        return ""
    return (
        "<p>Drawn by the field that comes with Neuron, which learned a few hundred materials from pictures. "
        f"None of the eight that are asked for by default was rendered.</p>\n{_stills(report.typed)}"
    )


def _stills(stills: Sequence[Still]) -> str:
    figures = "".join(
        f"<figure>{_image(still.picture, f'The asset as {still.prompt}')}"
        f"<figcaption>{escape(still.prompt)}<code>{escape(still.slug)}</code></figcaption></figure>"
        for still in stills
    )
    return f'<div class="stills">{figures}</div>\n'


def _sheet(report: Report) -> str:
    alt = "For each material: the truth, the baked voxels and the field, with their differences to it"
    return (
        "<p>Views that training never saw. Differences are five times brightened; black is exact.</p>\n"
        f'<div class="sheet">{_image(report.sheet, alt)}</div>\n'
    )


def _figures(report: Report) -> str:
    rows = report.evaluation.get("rows", [])
    assert isinstance(rows, Sequence)
    heads = ("Material", "", "PSNR dB", "truth floor dB", "SSIM", "L1", "IoU", "depth mm")
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    ordered = sorted(rows, key=lambda row: str(row["material"]))
    body = "".join(_figure_row(str(row["material"]), row) for row in ordered)
    mean = report.evaluation.get("mean", {})
    assert isinstance(mean, Mapping)
    for representation in NAMES:
        if mean.get(representation):
            body += _figure_row("mean", {**mean[representation], "representation": representation}, "mean")
    convention = escape(str(report.evaluation.get("convention", "")))
    loss = report.evaluation.get("baking_loss", {})
    assert isinstance(loss, Mapping)
    change = loss.get("psnr")
    baking = "" if change is None else f"<p>Baking changes the mean PSNR by {-change:+.2f} dB.</p>\n"
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in report.notes)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'
        f'{baking}{notes}<p class="note">{convention}</p>\n'
    )


def _figure_row(name: str, row: Mapping[str, object], kind: str = "") -> str:
    depth = row.get("depth_error")
    marked = "" if row.get("supported", True) and not row.get("transmissive", False) else " (not in the mean)"
    cells = [
        _number(row.get("psnr"), 2),
        _number(row.get("truth_floor"), 1),
        _number(row.get("ssim"), 4),
        _number(row.get("l1"), 4),
        _number(row.get("iou"), 4),
        _number(depth * 1e3 if isinstance(depth, float) else None, 2),
    ]
    representation = str(row.get("representation", ""))
    figures = "".join(f"<td>{cell}</td>" for cell in cells)
    return (
        f'<tr class="{kind}"><th scope="row">{escape(name)}{marked}</th>'
        f"<td>{escape(NAMES.get(representation, representation))}</td>{figures}</tr>"
    )


def _number(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float | int) else "–"


def _training(report: Report) -> str:
    panels = []
    for stage, curves in report.losses.items():
        losses = {name: curve for name, curve in curves.items() if name != "psnr"}
        chart = charts.curves(f"Losses of the stage {stage}", losses, "step")
        if chart:
            panels.append(f"<figure>{chart}<figcaption>{escape(stage)}</figcaption></figure>")
    return f'<div class="charts">{"".join(panels)}</div>\n' if panels else ""


def _time(report: Report) -> str:
    chart = charts.bars("Seconds of each stage", report.seconds, "s")
    return f'<div class="charts"><figure>{chart}</figure></div>\n' if chart else ""


def _commands(report: Report) -> str:
    items = "".join(
        f"<li>{escape(what)}<pre><code>{escape(command)}</code></pre></li>"
        for what, command in report.commands
    )
    return f'<ul class="commands">{items}</ul>\n' if items else ""


def _made_with(report: Report) -> str:
    columns = []
    for title, values in (("Machine", report.machine), ("Versions", report.versions)):
        pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in values.items())
        columns.append(f"<div><h3>{title}</h3><dl>{pairs}</dl></div>")
    return f'<div class="columns">{"".join(columns)}</div>\n'


def _image(path: Path, alt: str) -> str:
    """The picture itself, inside the page."""
    content = base64.b64encode(read_bytes(path)).decode()
    return f'<img src="data:{TYPES[path.suffix]};base64,{content}" alt="{escape(alt)}">'


def clock(seconds: float) -> str:
    """1:02 min above a minute, 41 s below."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{clock_text(seconds)} min"
