"""The tables of `docs/materials.md` from the figures of the study."""

from collections.abc import Iterator, Mapping
from typing import Any

Figures = Mapping[str, Any]
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
    whole = {row["representation"]: row for row in figures["categories"] if row["category"] == "all"}
    own, picture = whole["inr"], figures["retrieval_by_picture"]
    judge, moved = figures["retrieval_by_second_encoder"], figures["paraphrases"]
    local, sliders = figures["locality"], figures["sliders"]
    identical = "bit for bit" if local["alphas_identical"] else "no"
    rows = (
        (
            "L1 to that of the nearest training material, mean / median",
            f"{own['l1_mean_ratio']:.2f} / {own['l1_median_ratio']:.2f}",
            "0.60 / 0.75",
        ),
        (
            "L1 to that of the prompt-agnostic field",
            f"{own['l1_mean'] / whole['against']['l1_mean']:.2f}",
            "0.20",
        ),
        (
            f"nearest true picture among {picture['among']:.0f} has the right base / is the right one",
            f"{_percent(picture['base_top1'])} / {_percent(picture['combination_top1'])}",
            "90 / 76 %",
        ),
        (
            "the same by a second encoder (residual network, torus knot, another light)",
            f"{_percent(judge['drawn_base_top1'])} / {_percent(judge['drawn_combination_top1'])}",
            "90 / 76 %",
        ),
        (
            "what that encoder reaches with *true* pictures from another camera",
            " / ".join(
                f"{_percent(judge[f'true_from_camera_1_{what}_top1'])}" for what in ("base", "combination")
            ),
            "",
        ),
        (
            "held-out paraphrases that move the picture by at most 10 % of the distance to the nearest other "
            "material",
            f"{_percent(moved['within_10_percent'])} (median {100 * moved['median']:.1f} %)",
            "95 %",
        ),
        (
            "largest change of density between two looks, 100,000 points; opacities equal",
            f"{local['largest_density_change']:g}; {identical}",
            "0",
        ),
        ("PSNR outside the silhouette between two looks", f"{local['psnr_outside']:.0f} dB", "50"),
        (
            "wear and dirt: what a low pass of 4 pixels keeps of the change, to what it takes away: field / "
            "true pictures",
            f"{local['low_pass_to_high_pass_median']:.2f} / "
            f"{figures['locality_of_truth']['low_pass_to_high_pass_median']:.2f}",
            "0.25",
        ),
        (
            "sliders against how far the picture is from end to end, Spearman: wear / dirt / wetness",
            " / ".join(f"{sliders[axis]:.2f}" for axis in ("wear", "dirt", "wetness")),
            "0.90",
        ),
        ("a prompt to its vector, the encoder being loaded", f"{figures['latency']['encode_ms']:.1f} ms", ""),
    )
    yield "| what | measured | wanted |"
    yield "|---|--:|--:|"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"


def _times(figures: Figures) -> Iterator[str]:
    yield "| how long | |"
    yield "|---|--:|"
    for step, name in STEPS.items():
        if step in figures["seconds"]:
            yield f"| {name} | {figures['seconds'][step] / 60:.0f} min |"
