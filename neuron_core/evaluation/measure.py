"""How far an asset's pictures are from the truth, view by view.

Images are compared sRGB-encoded over white, four rays a pixel averaged in linear; silhouettes and
depths through pixel centers, as the truth's own buffers are traced. Masked pixels are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from neuron_core.datasets.contract import View, has_picture, read_encoded, read_gbuffer, read_picture
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation import interrupts
from neuron_core.images import metrics
from neuron_core.rendering.tracing import SOLID, Pictures, Tracer, draw, trace_centers

SAMPLES = 2  # rays along each side of a pixel
SMALLEST_FOR_SSIM = 11  # pixels
FIGURES = ("psnr", "ssim", "l1", "iou", "depth_error")

Figures = Mapping[str, float | None]  # None: cannot be said of this view or dataset


@dataclass(slots=True)
class Measured:
    """The figures of one material in one representation, view by view, and pictures to look at."""

    entry: MaterialEntry
    views: list[Figures] = field(default_factory=list)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)  # camera -> [H, W, 3], sRGB over white

    def mean(self) -> dict[str, float | None]:
        """The mean over the views that have the figure; None if none has."""
        return mean_of(self.views)


def mean_of(figures: Sequence[Figures], names: Sequence[str] = FIGURES) -> dict[str, float | None]:
    """The mean of each figure of `names` over those that have it; None if none has."""
    means: dict[str, float | None] = {}
    for name in names:
        known = [value for one in figures if (value := one.get(name)) is not None]
        means[name] = float(np.mean(known)) if known else None
    return means


def measure(
    dataset: StoredDataset,
    cameras: Sequence[str],
    entries: Sequence[MaterialEntry],
    tracer: Tracer,
    shown: Sequence[str],
    on_camera: Callable[[int], None] = lambda done: None,
) -> list[Measured]:
    """Measure the tracer's looks, which are those of `entries` in their order.

    Pictures are kept of the cameras that are `shown`; `on_camera` is called with how many are done.
    """
    found = [Measured(entry) for entry in entries]
    for done, name in enumerate(cameras, 1):
        interrupts.stop_if_requested()
        camera = dataset.cameras[name]
        pictures = draw(tracer, camera, SAMPLES)
        encoded = pictures.over_white()
        shapes = _shape_figures(dataset, name, tracer)
        for measured, image in zip(found, encoded, strict=True):
            if not has_picture(dataset, View(name, measured.entry.name)):
                continue
            truth = read_encoded(dataset, View(name, measured.entry.name))
            figures = compare(image, truth, dataset.valid(View(name)))
            if "iou" not in shapes:
                figures["iou"] = _silhouette(dataset, measured.entry.name, name, pictures)
            measured.views.append({**figures, **shapes})
            if name in shown:
                measured.pictures[name] = image
        on_camera(done)
    return found


def compare(image: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> dict[str, float | None]:
    """PSNR, SSIM and L1 of encoded images [H, W, 3] over the valid pixels [H, W]."""
    if not valid.any():
        return {"psnr": None, "ssim": None, "l1": None}
    a, b = image[valid][None], truth[valid][None]
    ssim = None
    if min(valid.shape) >= SMALLEST_FOR_SSIM:
        likeness = metrics.ssim(image, truth, valid)
        ssim = likeness if np.isfinite(likeness) else None
    return {"psnr": metrics.psnr(a, b), "ssim": ssim, "l1": metrics.l1(a, b)}


def _shape_figures(dataset: StoredDataset, camera: str, tracer: Tracer) -> Figures:
    """Silhouette and depth against the truth's G-buffer, which all materials share."""
    truth = read_gbuffer(dataset, View(camera))
    if truth is None:
        return {"depth_error": None}
    geometry = trace_centers(tracer, dataset.cameras[camera])
    valid = dataset.valid(View(camera))
    hit = truth.coverage > SOLID
    both = hit & geometry.coverage & valid
    error = float(np.abs(geometry.depths - truth.depth)[both].mean()) if both.any() else None
    return {"iou": _iou(geometry.coverage, hit, valid), "depth_error": error}


def _silhouette(dataset: StoredDataset, material: str, camera: str, pictures: Pictures) -> float | None:
    """Without a G-buffer the pictures' own transparency tells the silhouette, if they have any."""
    if dataset.background != "transparent":
        return None
    alpha = read_picture(dataset, View(camera, material))[..., 3]
    return _iou(pictures.alphas > SOLID, alpha > SOLID, dataset.valid(View(camera)))


def _iou(a: np.ndarray, b: np.ndarray, valid: np.ndarray) -> float | None:
    return metrics.iou(a[valid][None], b[valid][None]) if valid.any() else None
