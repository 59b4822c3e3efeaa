"""The rows and means of an evaluation, as data and as a table for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuron_core.datasets.names import MaterialEntry
from neuron_core.evaluation.measure import Figures, Measured, mean_of

CONVENTION = (
    "PSNR, SSIM and L1 between sRGB-encoded images over white in [0, 1], four rays a pixel (2 x 2) averaged "
    "in linear, mean over views. IoU of silhouettes and depth error through pixel centers. Truth floor: PSNR "
    "of the truth to its own limit; path tracing leaves noise, and nobody scores above it except by chance."
)
PHOTOGRAPH_CONVENTION = (
    "PSNR, SSIM and L1 between sRGB images in [0, 1] and photographs that were held out, four rays a pixel "
    "(2 x 2), mean over views; masked pixels are left out."
)
MOST_ROWS = 120  # rows for single materials; beyond, the table has means only


@dataclass(frozen=True, slots=True)
class Result:
    """What one representation of the subject scored."""

    representation: str
    split: str
    measured: Sequence[Measured]

    def rows(self) -> list[dict[str, object]]:
        """One object a material, as the command's result has them."""
        return [
            {
                "material": one.entry.name,
                "prompt": one.entry.prompt,
                "split": self.split,
                "representation": self.representation,
                "views": len(one.views),
                **one.mean(),
                "truth_floor": one.entry.truth_floor,
                "supported": one.entry.supported,
                "transmissive": one.entry.transmissive,
            }
            for one in self.measured
        ]

    def mean(self) -> dict[str, float | None]:
        """Over materials that count in averages; empty if there is none."""
        counted = [one.mean() for one in self.measured if counts(one.entry)]
        return mean_of(counted) if counted else {}

    def apart(self) -> dict[str, float | None]:
        """Over transmissive materials, which are reported apart; empty if there is none."""
        glass = [one.mean() for one in self.measured if one.entry.transmissive and one.entry.supported]
        return mean_of(glass) if glass else {}


def counts(entry: MaterialEntry) -> bool:
    """Whether a material enters averages: the renderer could do it, and light does not pass through."""
    return entry.supported and not entry.transmissive


def baking_loss(mean: Mapping[str, Figures]) -> dict[str, float]:
    """By how much the voxels are worse than their field; empty unless both were measured."""
    field, voxels = mean.get("inr", {}), mean.get("nvf", {})
    loss = {}
    for name, sign in (("psnr", 1), ("ssim", 1), ("iou", 1), ("l1", -1), ("depth_error", -1)):
        before, after = field.get(name), voxels.get(name)
        if before is not None and after is not None:
            loss[name] = sign * (before - after)
    return loss


def markdown(title: str, convention: str, results: Sequence[Result]) -> str:
    """The table file."""
    lines = [
        f"# {title}",
        "",
        convention,
        "",
        "| material | representation | views | PSNR dB | SSIM | L1 | IoU | depth mm | truth floor dB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows = [row for result in results for row in result.rows()]
    for row in sorted(rows, key=lambda row: str(row["material"])) if len(rows) <= MOST_ROWS else ():
        name = str(row["material"]) + ("" if row["supported"] and not row["transmissive"] else " *")
        lines.append(_line(name, str(row["representation"]), str(row["views"]), row))
    for result in results:
        mean = result.mean()
        if mean:
            count = sum(counts(one.entry) for one in result.measured)
            lines.append(_line(f"**mean of {count}**", result.representation, "", mean))
        apart = result.apart()
        if apart:
            lines.append(_line("mean of transmissive *", result.representation, "", apart))
    loss = baking_loss({result.representation: result.mean() for result in results})
    if "psnr" in loss:
        lines += ["", f"Loss by baking: {loss['psnr']:.2f} dB."]
    if any(not counts(one.entry) for result in results for one in result.measured):
        lines += ["", "\\* Not in the mean: the renderer cannot do it as it is, or light passes through it."]
    return "\n".join(lines) + "\n"


def _line(name: str, representation: str, views: str, figures: Mapping[str, object]) -> str:
    depth = figures.get("depth_error")
    millimeters = depth * 1e3 if isinstance(depth, float) else None
    cells = [
        name,
        representation,
        views,
        number(figures.get("psnr"), 2),
        number(figures.get("ssim"), 4),
        number(figures.get("l1"), 4),
        number(figures.get("iou"), 4),
        number(millimeters, 2),
        number(figures.get("truth_floor"), 1),
    ]
    return f"| {' | '.join(cells)} |"


def number(value: object, digits: int) -> str:
    """A figure with so many decimals, or a dash."""
    return f"{value:.{digits}f}" if isinstance(value, float | int) else "–"
