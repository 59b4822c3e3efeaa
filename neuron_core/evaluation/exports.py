"""Exports against the asset that they came from, from cameras that nothing was fitted to.

Pictures are compared sRGB-encoded over white; the asset's have four rays a pixel averaged in linear.
With a dataset its test cameras are taken, and both are also compared with its truth.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.datasets.reader import Dataset, open_dataset
from neuron_core.evaluation.drawers import open_export
from neuron_core.evaluation.drawn import Drawer
from neuron_core.evaluation.measure import compare
from neuron_core.evaluation.table import number
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.files import write_bytes, write_json
from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.progress import Reporter
from neuron_core.images import metrics
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.images.sheet import contact_sheet, difference
from neuron_core.rendering.tracing import BakedTracer, draw, trace_centers, warp_device
from neuron_core.splats.placing import viewing_dome
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.voxels.baked import Baked, read_baked

TABLE, DATA, SHEET = "table.md", "table.json", "contact_sheet.png"
VIEWS, SIDE = 8, 256
LOWEST, HIGHEST, SEED = -20.0, 80.0, 1009  # of views that no fit has taken
SHOWN, GAIN = 3, 5
FIGURES = ("psnr", "ssim", "l1", "iou", "truth_psnr", "asset_truth_psnr")
CONVENTION = (
    "PSNR, SSIM and L1 against the asset's own pictures, sRGB-encoded over white in [0, 1], four rays a "
    "pixel (2 x 2) averaged in linear; splats and points one sample a pixel, as viewers draw them. IoU of "
    "silhouettes through pixel centres. Truth: PSNR against the dataset's pictures, of the export and of "
    "the asset."
)

Figures = dict[str, float | None]


def run_export(config: EvaluateConfig, report: Reporter) -> dict[str, object]:
    """Measure an export. Raises NeuronError if there is nothing to compare it with."""
    if config.against is None or Path(config.against).suffix.lower() != ".neuron":
        raise NeuronError(
            f"{config.subject} is an export; it is measured against the asset that it came from.",
            "Name that: --against ASSET.neuron",
        )
    folder = config.folder()
    if (folder / DATA).exists() and config.out is not None and not config.overwrite:
        raise ConfigMismatchError(f"{folder} holds an evaluation.", "Replace it with --overwrite.")
    report.progress(0.0, "load", str(config.subject))
    baked = read_baked(config.against)
    slug = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    drawer = open_export(Path(config.subject), config.ply_axes, report)
    dataset = open_dataset(config.dataset) if config.dataset is not None else None
    cameras = _cameras(config, baked, dataset)
    rows, pictures = _measure(drawer, baked, slug, cameras, dataset, config, report)
    body = _row(config, drawer, baked, slug, rows)
    return _write(config, folder, body, pictures)


def _cameras(config: EvaluateConfig, baked: Baked, dataset: Dataset | None) -> list[Camera]:
    if dataset is not None:
        found = [dataset.cameras[name] for name in dataset.splits["test"]]
        return found[: config.views] if config.views else found
    count = config.views or VIEWS
    return viewing_dome(np.array(baked.manifest.aabb), count, SIDE, LOWEST, HIGHEST, SEED, margin=1.0)


Sheet = list[tuple[str, list[tuple[str, np.ndarray]]]]


def _measure(
    drawer: Drawer,
    baked: Baked,
    slug: str,
    cameras: Sequence[Camera],
    dataset: Dataset | None,
    config: EvaluateConfig,
    report: Reporter,
) -> tuple[list[Figures], Sheet]:
    tracer = BakedTracer(baked, [slug], warp_device(config.device))
    material = _material(baked, slug, dataset)
    rows: list[Figures] = []
    sheet: Sheet = []
    for index, camera in enumerate(cameras):
        stop_if_requested()
        report.progress(0.05 + 0.9 * index / len(cameras), "evaluate", f"{index + 1}/{len(cameras)}")
        wanted = draw(tracer, camera).over_white()[0]
        solid = trace_centers(tracer, camera).coverage
        found = drawer.picture(camera)
        everywhere = np.ones(solid.shape, bool)
        row: Figures = compare(found.encoded, wanted, everywhere)
        row["iou"] = metrics.iou(found.coverage, solid)
        if dataset is not None and material and dataset.has(material, camera.name):
            truth = dataset.encoded(material, camera.name)
            row["truth_psnr"] = metrics.psnr(found.encoded, truth)
            row["asset_truth_psnr"] = metrics.psnr(wanted, truth)
        rows.append(row)
        if index < SHOWN:
            shown, other = to_bytes(wanted), to_bytes(found.encoded)
            cells = [
                ("asset", shown),
                (drawer.representation, other),
                (f"difference x{GAIN}", difference(other, shown, GAIN)),
            ]
            sheet.append((camera.name, cells))
    return rows, sheet


def _material(baked: Baked, slug: str, dataset: Dataset | None) -> str:
    """The dataset's material that the look was trained on; "" if there is none."""
    look = next(look for look in baked.manifest.looks if look.slug == slug)
    name = str(look.details.get("material", ""))
    known = {entry.name for entry in dataset.materials} if dataset is not None else set()
    return name if name in known else ""


def _row(
    config: EvaluateConfig, drawer: Drawer, baked: Baked, slug: str, rows: Sequence[Figures]
) -> dict[str, object]:
    look = next(look for look in baked.manifest.looks if look.slug == slug)
    mean: Figures = {}
    for name in FIGURES:
        known = [value for row in rows if (value := row.get(name)) is not None]
        mean[name] = float(np.mean(known)) if known else None
    return {
        "material": str(look.details.get("material", slug)),
        "prompt": look.prompt,
        "split": "export",
        "representation": drawer.representation,
        "views": len(rows),
        **mean,
        "counts": dict(drawer.counts),
        "bytes": _bytes(Path(config.subject)),
    }


def _bytes(path: Path) -> int:
    """Of the file and of what lies beside it under its name: textures, a volume."""
    beside = [path.with_suffix(".vdb")] if path.suffix.lower().startswith(".usd") else []
    textures = path.with_name(f"{path.stem}_textures")
    if textures.is_dir():
        beside += [file for file in textures.iterdir() if file.is_file()]
    files = {path, *(file for file in beside if file.is_file())}
    return sum(file.stat().st_size for file in files)


def _write(
    config: EvaluateConfig, folder: Path, row: Mapping[str, object], sheet: Sheet
) -> dict[str, object]:
    name = str(row["representation"])
    title = f"{Path(config.subject).name} against {Path(str(config.against)).name}"
    table = _markdown(title, row)
    mean = {key: row[key] for key in FIGURES}
    body: dict[str, object] = {
        "rows": [dict(row)],
        "mean": {name: mean},
        "baselines": {},
        "split": "export",
        "convention": CONVENTION,
    }
    write_bytes(folder / TABLE, table.encode())
    write_bytes(folder / SHEET, encode_png(contact_sheet(sheet, title)))
    write_json(folder / DATA, body)
    files = {"table": str(folder / TABLE), "data": str(folder / DATA), "contact_sheet": str(folder / SHEET)}
    return {**body, **files, "summary": table.rstrip()}


def _markdown(title: str, row: Mapping[str, object]) -> str:
    counts = row["counts"]
    assert isinstance(counts, Mapping)
    said = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items())
    cells = [
        str(row["material"]),
        str(row["representation"]),
        str(row["views"]),
        number(row["psnr"], 2),
        number(row["ssim"], 4),
        number(row["l1"], 4),
        number(row["iou"], 4),
        number(row["truth_psnr"], 2),
        number(row["asset_truth_psnr"], 2),
        said,
        f"{int(str(row['bytes'])) / 1e6:.2f}",
    ]
    head = (
        "| material | representation | views | PSNR dB | SSIM | L1 | IoU | truth dB | asset's truth dB "
        "| holds | MB |"
    )
    return "\n".join(
        [
            f"# {title}",
            "",
            CONVENTION,
            "",
            head,
            "|---|---|" + "--:|" * 7 + "---|--:|",
            f"| {' | '.join(cells)} |",
            "",
        ]
    )
