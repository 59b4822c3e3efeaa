"""What a dataset needs of a renderer. Mitsuba answers it here, Karma inside Houdini."""

from typing import Protocol, runtime_checkable

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.datasets.channels import GBuffer
from neuron_core.geometry.mesh import Geometry
from neuron_core.materials.record import Material


@runtime_checkable
class DatasetRenderer(Protocol):
    """Pictures of one object under one light.

    The environment lights the object and is hidden from cameras: a miss has alpha 0.
    """

    name: str
    version: str
    variant: str
    partial: bool  # whether the effort can differ from pixel to pixel

    def settings(self) -> dict[str, object]:
        """What the pictures depend on beside the config, as plain data."""

    def prepare(self, geometry: Geometry, environment: np.ndarray) -> None:
        """Take the object and its light, an image over directions [H, W, 3] as `studio` lays it out."""

    def gbuffer(self, camera: Camera) -> GBuffer:
        """One exact ray through every pixel center."""

    def beauty(
        self, material: Material, camera: Camera, spp: int, seed: int, repeats: np.ndarray | None = None
    ) -> np.ndarray:
        """Linear premultiplied RGBA [H, W, 4] float32, box-filtered over every pixel.

        The same arguments give the same values; other seeds give independent noise. `repeats`
        [H, W] int says how many times `spp` samples each pixel gets; where it is 0 the answer is 0.
        A renderer that is not `partial` takes one number for all pixels.
        """
