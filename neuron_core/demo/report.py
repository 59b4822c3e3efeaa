"""The report of a demo: one HTML file that needs nothing else, no network and no scripts."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from neuron_core.demo import charts
from neuron_core.foundation.clocks import clock_text
from neuron_core.foundation.files import read_bytes, write_bytes
from neuron_core.foundation.json_lines import whole_lines

TEMPLATE = Path(__file__).parent / "report.html.j2"
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
    page = (
        _pages()
        .get_template(TEMPLATE.name)
        .render(
            report=report,
            style=Markup((TEMPLATE.parent / "report.css").read_text(encoding="utf-8")),
            first=report.stills[0].prompt if report.stills else report.name,
            cards=_key_figures(report),
            rows=_rows(report),
            means=_means(report),
            change=_change_by_baking(report),
            training=_training(report),
            time=charts.bars("Seconds of each stage", report.seconds, "s"),
            names=NAMES,
            counts=_counts,
        )
    )
    write_bytes(path, page.encode())


def _pages() -> Environment:
    """Every value that a template puts in is escaped, and a name that it does not have is an error."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters.update(number=_number, embedded=_embedded)
    return pages


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


def _key_figures(report: Report) -> list[tuple[str, str]]:
    mean = _mapping(report.evaluation, "mean")
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


def _rows(report: Report) -> list[Mapping[str, object]]:
    rows = report.evaluation.get("rows", [])
    assert isinstance(rows, Sequence)
    return sorted(rows, key=lambda row: str(row["material"]))


def _means(report: Report) -> list[Mapping[str, object]]:
    mean = _mapping(report.evaluation, "mean")
    return [{**mean[name], "representation": name} for name in NAMES if mean.get(name)]


def _change_by_baking(report: Report) -> float | None:
    """Of the mean PSNR, in dB."""
    loss = _mapping(report.evaluation, "baking_loss").get("psnr")
    return None if loss is None else -loss


def _training(report: Report) -> list[tuple[str, Markup]]:
    """The stages that have a curve, and their charts."""
    panels = []
    for stage, named in report.losses.items():
        losses = {name: curve for name, curve in named.items() if name != "psnr"}
        panels.append((stage, charts.curves(f"Losses of the stage {stage}", losses, "step")))
    return [(stage, chart) for stage, chart in panels if chart]


def _mapping(content: Mapping[str, object], name: str) -> Mapping[str, Any]:
    found = content.get(name, {})
    assert isinstance(found, Mapping)
    return found


def _counts(row: Mapping[str, object]) -> bool:
    """Whether a row enters means."""
    return bool(row.get("supported", True)) and not row.get("transmissive", False)


def _number(value: object, digits: int, times: float = 1.0) -> str:
    """A figure with so many decimals, or a dash where there is none."""
    return f"{value * times:.{digits}f}" if isinstance(value, float | int) else "–"


def _embedded(path: Path) -> str:
    """The picture itself, as a URL."""
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(read_bytes(path)).decode()}"


def clock(seconds: float) -> str:
    """1:02 min above a minute, 41 s below."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{clock_text(seconds)} min"
