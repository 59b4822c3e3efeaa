"""What needs no field: how far a look-up or an average gets on materials that nobody trained on.

Both look at the same test views as the subject. The nearest training material is chosen with the
true picture in hand, view by view: no look-up by words can do better.
"""

from collections.abc import Callable, Sequence

import numpy as np

from neuron_core.datasets.contract import View, has_picture, read_encoded
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import StoredDataset
from neuron_core.evaluation.measure import Measured, compare
from neuron_core.evaluation.table import Result
from neuron_core.foundation import interrupts

NEAREST, MEAN = "nearest material", "mean image"


def known_materials(dataset: StoredDataset, cameras: Sequence[str]) -> list[str]:
    """Training materials that every test view has a picture of."""
    return [
        entry.name
        for entry in dataset.materials
        if entry.split == "train"
        and all(has_picture(dataset, View(camera, entry.name)) for camera in cameras)
    ]


def measure_baselines(
    dataset: StoredDataset,
    cameras: Sequence[str],
    entries: Sequence[MaterialEntry],
    split: str,
    shown: Sequence[str],
    on_camera: Callable[[int], None] = lambda done: None,
) -> list[Result]:
    """The nearest training material and the mean of all, as results beside those of the subject.

    Empty where fewer than two training materials are seen from the test views.
    """
    known = known_materials(dataset, cameras)
    if len(known) < 2:
        return []
    found = {name: [Measured(entry) for entry in entries] for name in (NEAREST, MEAN)}
    for done, camera in enumerate(cameras, 1):
        interrupts.stop_if_requested()
        valid = dataset.valid(View(camera))
        pictures = np.stack([read_encoded(dataset, View(camera, name)) for name in known])
        mean = pictures.mean(axis=0)
        for index, entry in enumerate(entries):
            if not has_picture(dataset, View(camera, entry.name)):
                continue
            truth = read_encoded(dataset, View(camera, entry.name))
            guesses = {NEAREST: pictures[nearest(pictures, known, entry.name, truth, valid)], MEAN: mean}
            for name, guess in guesses.items():
                found[name][index].views.append(compare(guess, truth, valid))
                if camera in shown:
                    found[name][index].pictures[camera] = guess
        on_camera(done)
    return [Result(name, split, measured) for name, measured in found.items()]


def nearest(
    pictures: np.ndarray, names: Sequence[str], own: str, truth: np.ndarray, valid: np.ndarray
) -> int:
    """Which of `pictures` [M, H, W, 3] is nearest to the truth [H, W, 3] by L1; never the material itself."""
    distances = np.abs(pictures - truth)[:, valid].mean(axis=(1, 2))
    distances[[index for index, name in enumerate(names) if name == own]] = np.inf
    return int(distances.argmin())
