"""Make splats draw what a field draws: gradient descent on rendered views, with splats moved to
where they are missed.

Every step takes one view. Kernels compute the gradients and make the update: Adam for the splats that
the view shows, and for no others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from neuron_core.kernels.splats.adam import Moments, Rates, descend
from neuron_core.kernels.splats.gradients import GRADIENT, backward, weights
from neuron_core.kernels.splats.projection import SHAPE
from neuron_core.kernels.splats.raster import rasterize
from neuron_core.kernels.splats.sorting import Projected, project
from neuron_core.learning.objective import Optimized, Step, Turn
from neuron_core.models.splats.module import SplatModule
from neuron_core.splats.cloud import normalized, rotation_matrices
from neuron_core.splats.comparing import PictureError, Target, error_of
from neuron_core.splats.drawing import lens_of

PHASE = "refine"
DILATIONS = (0.3, 0.08)  # square pixels, in turn: as viewers widen splats, and as if from half as far
FAINT = 1 / 100  # opacity below which a splat is given up
UNSEEN = 0.02  # pixels that a splat makes up in all views together, below which it is given up
WEIGHED = 24  # views that decide what is unseen
DENSIFIED = 0.55  # part of the steps in which splats are given up and split
GROWTH = 5  # one splat in so many is split at a time
LAST_RATE = 0.05  # of the rates at first
APART, SHRUNK = 0.6, 1.5  # of a splat that is split: how far its halves move, and how much smaller they are


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """How splats are refined."""

    steps: int = 1300
    most_splats: int = 100_000
    densifications: int = 4  # how often splats are given up and split
    seed: int = 0
    position_rate: float = 1.0e-4  # meters, at first
    scale_rate: float = 8e-3
    rotation_rate: float = 4e-3
    opacity_rate: float = 3e-2
    color_rate: float = 6e-3
    detail_rate: float = 1.5e-3

    def rates(self, part: float) -> Rates:
        """The rates when `part` of the steps, in [0, 1], is done: they fall along a half cosine."""
        fall = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * part))
        rates = (
            self.position_rate,
            self.scale_rate,
            self.rotation_rate,
            self.opacity_rate,
            self.color_rate,
            self.detail_rate,
        )
        return Rates(*(float(rate * fall) for rate in rates))

    def densifies_after(self, step: int) -> bool:
        """Whether splats are given up and split after the step with this number, the first being 1."""
        count = self.densifications
        return any(step == round(self.steps * DENSIFIED * (index + 1) / count) for index in range(count))


class RefineObjective:
    """Splats on their way to a set of targets. Runs on the CPU, and alike in every process of a run."""

    def __init__(
        self,
        module: SplatModule,
        targets: Sequence[Target],
        box: tuple[np.ndarray, np.ndarray],
        settings: RefineSettings,
    ) -> None:
        """`box` is that of the splats before the first step, its corners in meters."""
        self.module = module
        self.targets = targets
        self.settings = settings
        self._lenses = [
            [lens_of(target.camera, *box, dilation) for target in targets] for dilation in DILATIONS
        ]
        self._view_orders = lru_cache(2)(self._view_order)
        count, terms = len(module), module.harmonics.shape[1]
        self._moments = Moments(
            np.zeros((count, SHAPE, 2), np.float32), np.zeros((count, terms * 3, 2), np.float32)
        )
        self._missed = np.zeros(count, np.float32)

    def optimized(self) -> Sequence[Optimized]:
        """None of torch's: kernels make the update."""
        return ()

    def turns(self, step: Step) -> Iterator[Turn]:
        """The error of one view; the update comes when the loop has looked at it."""
        number = step.index + 1
        view = self.view_of(step.index)
        projected = project(self._lenses[number % len(DILATIONS)][view], *self.module.arrays())
        error, gradients = self._gradients(projected, self.targets[view])
        terms = {"color": torch.tensor(error.color), "alpha": torch.tensor(error.alpha)}
        figures = {"loss": error.color + error.alpha, "psnr": error.psnr, "splats": float(len(self.module))}
        yield Turn("", terms, figures)
        self._update(projected, gradients, number)
        if self.settings.densifies_after(number):
            self._densify()

    def view_of(self, index: int) -> int:
        """Which target a step takes: each once a round, every round in another order."""
        round_, place = divmod(index, len(self.targets))
        return int(self._view_orders(round_)[-1 - place])

    def _view_order(self, round_: int) -> np.ndarray:
        random = np.random.default_rng(self.settings.seed)
        for _ in range(round_):
            random.permutation(len(self.targets))
        return random.permutation(len(self.targets))

    def _gradients(self, projected: Projected, target: Target) -> tuple[PictureError, np.ndarray]:
        shapes, _ = self.module.arrays()
        lens = projected.lens
        picture = np.empty((lens.height, lens.width, 4), np.float32)
        rasterize(projected, picture)
        error = error_of(picture, target, self.module.encoding)
        gradients = np.empty((len(shapes), GRADIENT), np.float32)
        backward(projected, shapes, picture, error.gradient, gradients)
        return error, gradients

    def _update(self, projected: Projected, gradients: np.ndarray, number: int) -> None:
        rates = self.settings.rates(number / self.settings.steps)
        descend(projected, gradients, *self.module.arrays(), self._moments, rates, number)
        self._missed += np.abs(gradients[:, :3]).sum(axis=1)

    def _densify(self) -> None:
        """Give up splats that show nothing, and split as many as there is room for."""
        kept = self._useful()
        shapes, harmonics = (array[kept] for array in self.module.arrays())
        moments = [self._moments.shapes[kept], self._moments.harmonics[kept]]
        missed = self._missed[kept]
        room = min(self.settings.most_splats - len(shapes), len(shapes) // GROWTH)
        if room > 0:
            split = np.argpartition(missed, len(missed) - room)[len(missed) - room :]
            shapes = np.concatenate([shapes, halves(shapes, split)])
            harmonics = np.concatenate([harmonics, harmonics[split]])
            moments = [np.concatenate([array, array[split]]) for array in moments]
        self.module.assign(shapes, harmonics)
        self._moments = Moments(*moments)
        self._missed = np.zeros(len(shapes), np.float32)

    def _useful(self) -> np.ndarray:
        """Which splats are seen from somewhere."""
        shapes, harmonics = self.module.arrays()
        total = np.zeros(len(shapes), np.float32)
        found = np.empty(len(shapes), np.float32)
        for lens in self._lenses[0][:: max(1, len(self.targets) // WEIGHED)]:
            weights(project(lens, shapes, harmonics), len(shapes), found)
            total += found
        return (total > UNSEEN) & (shapes[:, 10] > np.log(FAINT))

    def state(self) -> Mapping[str, Tensor]:
        """Adam's moments and how much each splat was missed since splats were last split."""
        arrays = {
            "moments.shapes": self._moments.shapes,
            "moments.harmonics": self._moments.harmonics,
            "missed": self._missed,
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put them back; the module has its splats back already."""
        shapes, harmonics, missed = (
            state[name].numpy().copy() for name in ("moments.shapes", "moments.harmonics", "missed")
        )
        if not len(shapes) == len(harmonics) == len(missed) == len(self.module):
            raise RuntimeError(f"it is of {len(shapes)} splats, not {len(self.module)}")
        self._moments, self._missed = Moments(shapes, harmonics), missed


def halves(shapes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Make each of these splats two, side by side along its longest axis; the new ones [M, 11].

    The first halves are written to `shapes`.
    """
    longest = shapes[rows, 3:6].argmax(axis=1)
    turns = rotation_matrices(normalized(shapes[rows, 6:10]))
    axes = turns[np.arange(len(rows)), :, longest]
    shift = axes * np.exp(shapes[rows, 3 + longest])[:, None] * APART
    shapes[rows, 3 + longest] -= np.float32(np.log(SHRUNK))
    twins = shapes[rows].copy()
    shapes[rows, :3] -= shift.astype(np.float32)
    twins[:, :3] += shift.astype(np.float32)
    return twins
