"""The tables of `docs/materials.md` from the figures of the study."""

from collections.abc import Iterator, Mapping
from typing import Any

Figures = Mapping[str, Any]
Cells = tuple[str, str, str]  # what, measured, wanted
STEPS = {
    "dataset": "data",
    "pairs": "worn and dirty materials beside clean ones",
    "second encoder": "the second encoder: its pictures and its training",
    "train": "the field",
    "train blank": "the prompt-agnostic field",
    "figures": "all figures",
}


def tables(figures: Figures) -> str:
    """Markdown: errors by category beside the baselines, what else was measured, how long it took."""
    parts = (_errors(figures), _others(figures), _times(figures))
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _errors(figures: Figures) -> Iterator[str]:
    found = {(row["representation"], row["category"]): row for row in figures["categories"]}
    yield "| | materials | L1 mean | L1 median | of nearest: mean | median | PSNR dB | SSIM |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    yield _row("**field, all held-out combinations**", found["inr", "all"])
    for kind in ("metal", "dielectric", "organic", "translucent"):
        if ("inr", kind) in found:
            yield _row(f"&nbsp;&nbsp;{kind}", found["inr", kind])
    yield _row("nearest training material, true picture in hand", found["nearest material", "all"])
    yield _row("prompt-agnostic field", found["against", "all"])
    yield _row("mean image of all training materials", found["mean image", "all"])


def _row(name: str, row: Mapping[str, Any]) -> str:
    cells = (
        f"{row['materials']}",
        *(f"{row[key]:.4f}" for key in ("l1_mean", "l1_median")),
        *(f"{row[key]:.2f}" for key in ("l1_mean_ratio", "l1_median_ratio")),
        f"{row['psnr_mean']:.1f}",
        f"{row['ssim_mean']:.3f}",
    )
    return f"| {name} | {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _others(figures: Figures) -> Iterator[str]:
    yield "| what | measured | wanted |"
    yield "|---|--:|--:|"
    for cells in (*_against_others(figures), *_retrieval(figures), *_steadiness(figures)):
        yield f"| {' | '.join(cells)} |"


def _against_others(figures: Figures) -> Iterator[Cells]:
    whole = {row["representation"]: row for row in figures["categories"] if row["category"] == "all"}
    own, blank = whole["inr"], whole["against"]
    yield (
        "L1 to that of the nearest training material, mean / median",
        f"{own['l1_mean_ratio']:.2f} / {own['l1_median_ratio']:.2f}",
        "0.60 / 0.75",
    )
    yield "L1 to that of the prompt-agnostic field", f"{own['l1_mean'] / blank['l1_mean']:.2f}", "0.20"


def _retrieval(figures: Figures) -> Iterator[Cells]:
    picture, judge = figures["retrieval_by_picture"], figures["retrieval_by_second_encoder"]
    yield (
        f"nearest true picture among {picture['among']:.0f} has the right base / is the right one",
        _hits(picture, ""),
        "90 / 76 %",
    )
    yield (
        "the same by a second encoder (residual network, torus knot, another light)",
        _hits(judge, "drawn_"),
        "90 / 76 %",
    )
    yield (
        "what that encoder reaches with *true* pictures from another camera",
        _hits(judge, "true_from_camera_1_"),
        "",
    )


def _hits(found: Mapping[str, Any], whose: str) -> str:
    return " / ".join(_percent(found[f"{whose}{what}_top1"]) for what in ("base", "combination"))


def _steadiness(figures: Figures) -> Iterator[Cells]:
    """What a change of words may move, and what it may not."""
    moved, sliders = figures["paraphrases"], figures["sliders"]
    local, true = figures["locality"], figures["locality_of_truth"]
    identical = "bit for bit" if local["alphas_identical"] else "no"
    yield (
        "held-out paraphrases that move the picture by at most 10 % of the distance to the nearest other "
        "material",
        f"{_percent(moved['within_10_percent'])} (median {100 * moved['median']:.1f} %)",
        "95 %",
    )
    yield (
        "largest change of density between two looks, 100,000 points; opacities equal",
        f"{local['largest_density_change']:g}; {identical}",
        "0",
    )
    yield "PSNR outside the silhouette between two looks", f"{local['psnr_outside']:.0f} dB", "50"
    yield (
        "wear and dirt: what a low pass of 4 pixels keeps of the change, to what it takes away: field / "
        "true pictures",
        " / ".join(f"{found['low_pass_to_high_pass_median']:.2f}" for found in (local, true)),
        "0.25",
    )
    yield (
        "sliders against how far the picture is from end to end, Spearman: wear / dirt / wetness",
        " / ".join(f"{sliders[axis]:.2f}" for axis in ("wear", "dirt", "wetness")),
        "0.90",
    )
    yield "a prompt to its vector, the encoder being loaded", f"{figures['latency']['encode_ms']:.1f} ms", ""


def _times(figures: Figures) -> Iterator[str]:
    yield "| how long | |"
    yield "|---|--:|"
    for step, name in STEPS.items():
        if step in figures["seconds"]:
            yield f"| {name} | {figures['seconds'][step] / 60:.0f} min |"
