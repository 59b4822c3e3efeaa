"""Means and medians by category of material, each beside the nearest training material's."""

from collections.abc import Mapping, Sequence

import numpy as np

from neuron_core.datasets.names import MaterialEntry
from neuron_core.evaluation.baselines import NEAREST
from neuron_core.evaluation.table import Result, number
from neuron_core.materials.grammar import category_of
from neuron_core.materials.grammar_tables import CATEGORIES
from neuron_core.materials.record import Material, MaterialError

ALL = "all"
UNSUPPORTED = "not rendered as it is"  # stays out of `all`
FIGURES = ("l1", "psnr", "ssim")
Row = Mapping[str, object]


def category(entry: MaterialEntry) -> str:
    """The category of a dataset's material; "" where its record says nothing."""
    if not entry.supported:
        return UNSUPPORTED
    try:
        return category_of(Material.from_json(dict(entry.record)))
    except MaterialError:
        return ""


def summarize(results: Sequence[Result]) -> list[Row]:
    """One row for each representation and category: mean and median L1, PSNR and SSIM over materials,
    and L1 as a part of the nearest material's. Transmissive materials count here."""
    rows: list[dict[str, object]] = []
    for result in results:
        for name in (ALL, *CATEGORIES, UNSUPPORTED):
            chosen = [
                one.mean()
                for one in result.measured
                if one.views and (category(one.entry) == name or (name == ALL and one.entry.supported))
            ]
            if chosen:
                rows.append({"representation": result.representation, "category": name, **_figures(chosen)})
    return [_with_ratio(row, rows) for row in rows]


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    lines = [
        "| category | representation | materials | L1 mean | L1 median | of nearest: mean | median | "
        "PSNR dB mean | median | SSIM |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in sorted(rows, key=lambda row: _order(str(row["category"]))):
        cells = [
            str(row["category"]), str(row["representation"]), str(row["materials"]),
            number(row["l1_mean"], 4), number(row["l1_median"], 4),
            number(row.get("l1_mean_ratio"), 2), number(row.get("l1_median_ratio"), 2),
            number(row["psnr_mean"], 2), number(row["psnr_median"], 2), number(row["ssim_mean"], 4),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _figures(chosen: Sequence[Mapping[str, float | None]]) -> dict[str, object]:
    found: dict[str, object] = {"materials": len(chosen)}
    for name in FIGURES:
        values = [value for one in chosen if (value := one.get(name)) is not None]
        found[f"{name}_mean"] = float(np.mean(values)) if values else None
        found[f"{name}_median"] = float(np.median(values)) if values else None
    return found


def _with_ratio(row: dict[str, object], rows: Sequence[Row]) -> Row:
    reference = next(
        (r for r in rows if r["representation"] == NEAREST and r["category"] == row["category"]), None
    )
    ratios = {}
    for name in ("l1_mean", "l1_median"):
        own, other = row[name], reference[name] if reference else None
        if isinstance(own, float) and isinstance(other, float) and other > 0:
            ratios[f"{name}_ratio"] = own / other
    return {**row, **ratios}


def _order(name: str) -> int:
    return [ALL, *CATEGORIES, UNSUPPORTED].index(name)
