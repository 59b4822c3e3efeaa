"""The contact sheet of an evaluation: truth, each representation, and how far it is off."""

from collections.abc import Sequence

import numpy as np

from neuron_core.datasets.contract import View, has_picture, read_encoded
from neuron_core.datasets.reader import StoredDataset
from neuron_core.evaluation.table import Result
from neuron_core.images.pictures import to_bytes
from neuron_core.images.sheet import Row, contact_sheet, difference

MOST_ROWS = 16
GAIN = 5  # of the differences
CAPTIONS = {"nvf": "baked voxels (nvf)", "inr": "field (inr)"}

Cells = list[tuple[str, np.ndarray]]


def sheet_of(
    dataset: StoredDataset, results: Sequence[Result], shown: Sequence[str], title: str
) -> np.ndarray:
    """A row for each material and camera of `shown`, as uint8 [H, W, 3]."""
    names = list(dict.fromkeys(one.entry.name for result in results for one in result.measured))
    per_material = max(1, min(len(shown), MOST_ROWS // max(1, len(names))))
    rows: list[Row] = []
    for name in names[:MOST_ROWS]:
        for camera in shown[:per_material]:
            cells = _cells(dataset, results, name, camera)
            if len(cells) > 1:
                rows.append((f"{name}   {camera}", cells))
    return contact_sheet(rows, title)


def _cells(dataset: StoredDataset, results: Sequence[Result], material: str, camera: str) -> Cells:
    if not has_picture(dataset, View(camera, material)):
        return []
    truth = to_bytes(read_encoded(dataset, View(camera, material)))
    cells = [("truth", truth)]
    for result in results:
        caption = CAPTIONS.get(result.representation, result.representation)
        for one in result.measured:
            if one.entry.name == material and camera in one.pictures:
                cells += compared(caption, to_bytes(one.pictures[camera]), truth)
    return cells


def compared(caption: str, picture: np.ndarray, truth: np.ndarray) -> Cells:
    """A picture and its difference to the truth, both uint8."""
    return [(caption, picture), (f"difference x{GAIN}", difference(picture, truth, GAIN))]
