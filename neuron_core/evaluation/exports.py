"""Exports against the asset that they came from, from cameras that nothing was fitted to.

Pictures are compared sRGB-encoded over white; the asset's have four rays a pixel averaged in linear.
With a dataset its test cameras are taken, and both are also compared with its truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.datasets.contract import View, has_picture, read_encoded
from neuron_core.datasets.reader import StoredDataset
from neuron_core.evaluation.document import Document
from neuron_core.evaluation.drawn import Drawer, Picture
from neuron_core.evaluation.measure import compare, mean_of
from neuron_core.evaluation.sheet import Cells, compared
from neuron_core.evaluation.table import number
from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.progress import Reporter
from neuron_core.images import metrics
from neuron_core.images.pictures import to_bytes
from neuron_core.images.sheet import contact_sheet
from neuron_core.rendering.tracing import BakedTracer, draw, trace_centers
from neuron_core.splats.placing import viewing_dome
from neuron_core.voxels.baked import Baked

VIEWS, SIDE = 8, 256
LOWEST, HIGHEST, SEED = -20.0, 80.0, 1009  # of views that no fit has taken
SHOWN = 3  # views on the sheet
FIGURES = ("psnr", "ssim", "l1", "iou", "truth_psnr", "asset_truth_psnr")
CONVENTION = (
    "PSNR, SSIM and L1 against the asset's own pictures, sRGB-encoded over white in [0, 1], four rays a "
    "pixel (2 x 2) averaged in linear; splats and points one sample a pixel, as viewers draw them. IoU of "
    "silhouettes through pixel centers. Truth: PSNR against the dataset's pictures, of the export and of "
    "the asset."
)
TEXTS = ("material", "representation", "holds")  # the others are figures, aligned to the right

Figures = dict[str, float | None]
Row = dict[str, object]
Sheet = list[tuple[str, Cells]]


@dataclass(frozen=True, slots=True)
class Export:
    """An export, the asset that it came from, and which of its looks it shows."""

    path: Path
    drawer: Drawer
    baked: Baked
    slug: str
    dataset: StoredDataset | None = None  # with the truth

    @property
    def material(self) -> str:
        """The dataset's material that the look was trained on; empty if there is none."""
        name = str(self._details.get("material", ""))
        known = {entry.name for entry in self.dataset.materials} if self.dataset is not None else set()
        return name if name in known else ""

    def cameras(self, views: int) -> list[Camera]:
        """The first `views` test cameras of the dataset, 0 for all; or a dome of `views`, 0 for 8."""
        if self.dataset is not None:
            found = [self.dataset.cameras[name] for name in self.dataset.splits["test"]]
            return found[:views] if views else found
        box = np.array(self.baked.manifest.aabb)
        return viewing_dome(box, views or VIEWS, SIDE, LOWEST, HIGHEST, SEED, margin=1.0)

    def row(self, views: Sequence[Figures]) -> Row:
        """What the result says of it."""
        return {
            "material": str(self._details.get("material", self.slug)),
            "prompt": next(look.prompt for look in self.baked.manifest.looks if look.slug == self.slug),
            "split": "export",
            "representation": self.drawer.representation,
            "views": len(views),
            **mean_of(views, FIGURES),
            "counts": dict(self.drawer.counts),
            "bytes": size_of(self.path),
        }

    @property
    def _details(self) -> Mapping[str, object]:
        return next(look.details for look in self.baked.manifest.looks if look.slug == self.slug)


def compare_export(export: Export, cameras: Sequence[Camera], device: str, report: Reporter) -> Document:
    """Draw the export and its asset from every camera, and compare them."""
    tracer = BakedTracer.of(export.baked, [export.slug], device)
    rows: list[Figures] = []
    sheet: Sheet = []
    for index, camera in enumerate(cameras):
        stop_if_requested()
        report.progress(0.05 + 0.9 * index / len(cameras), "evaluate", f"{index + 1}/{len(cameras)}")
        wanted = Picture(draw(tracer, camera).over_white()[0], trace_centers(tracer, camera).coverage)
        found = export.drawer.picture(camera)
        rows.append(_figures(found, wanted) | _against_truth(export, camera.name, found, wanted))
        if index < SHOWN:
            shown, other = to_bytes(wanted.encoded), to_bytes(found.encoded)
            cells = [("asset", shown), *compared(export.drawer.representation, other, shown)]
            sheet.append((camera.name, cells))
    return _describe(export, rows, sheet)


def _figures(found: Picture, wanted: Picture) -> Figures:
    everywhere = np.ones(wanted.coverage.shape, bool)
    figures = compare(found.encoded, wanted.encoded, everywhere)
    return figures | {"iou": metrics.iou(found.coverage, wanted.coverage)}


def _against_truth(export: Export, camera: str, found: Picture, wanted: Picture) -> Figures:
    dataset = export.dataset
    if dataset is None or not export.material or not has_picture(dataset, View(camera, export.material)):
        return {}
    truth = read_encoded(dataset, View(camera, export.material))
    return {
        "truth_psnr": metrics.psnr(found.encoded, truth),
        "asset_truth_psnr": metrics.psnr(wanted.encoded, truth),
    }


def size_of(path: Path) -> int:
    """Bytes of an export and of what lies beside it under its name: textures, a volume."""
    beside = [path.with_suffix(".vdb")] if path.suffix.lower().startswith(".usd") else []
    textures = path.with_name(f"{path.stem}_textures")
    if textures.is_dir():
        beside += textures.iterdir()
    files = {path, *(file for file in beside if file.is_file())}
    return sum(file.stat().st_size for file in files)


def _describe(export: Export, views: Sequence[Figures], sheet: Sheet) -> Document:
    row = export.row(views)
    title = f"{export.path.name} against {export.baked.path.name}"
    content: dict[str, object] = {
        "rows": [row],
        "mean": {export.drawer.representation: {name: row[name] for name in FIGURES}},
        "baselines": {},
        "split": "export",
        "convention": CONVENTION,
    }
    return Document(content, _markdown(title, row, export.drawer.counts), contact_sheet(sheet, title))


def _markdown(title: str, row: Row, counts: Mapping[str, int]) -> str:
    cells = {
        "material": str(row["material"]),
        "representation": str(row["representation"]),
        "views": str(row["views"]),
        "PSNR dB": number(row["psnr"], 2),
        "SSIM": number(row["ssim"], 4),
        "L1": number(row["l1"], 4),
        "IoU": number(row["iou"], 4),
        "truth dB": number(row["truth_psnr"], 2),
        "asset's truth dB": number(row["asset_truth_psnr"], 2),
        "holds": ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items()),
        "MB": f"{int(str(row['bytes'])) / 1e6:.2f}",
    }
    rule = "".join("---|" if name in TEXTS else "--:|" for name in cells)
    head = f"# {title}\n\n{CONVENTION}\n\n| {' | '.join(cells)} |\n|{rule}\n"
    return f"{head}| {' | '.join(cells.values())} |\n"
