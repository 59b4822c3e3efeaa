"""What every drawer of an export has in common."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from neuron_core.cameras.camera import Camera

SAMPLES = 2  # rays along each side of a pixel


@dataclass(frozen=True, slots=True)
class Picture:
    """What one camera sees."""

    encoded: np.ndarray  # [H, W, 3] sRGB over white, in [0, 1]
    coverage: np.ndarray  # [H, W] bool, through pixel centers


@runtime_checkable
class Drawer(Protocol):
    """An export that can be drawn."""

    representation: str  # splat, volume, mesh or points
    counts: dict[str, int]

    def picture(self, camera: Camera) -> Picture:
        """What the camera sees."""
