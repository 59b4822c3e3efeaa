"""The shape where Karma's pictures lack layers: one exact ray through every pixel's center, by the engine."""

from collections.abc import Mapping

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.datasets.channels import GBuffer
from neuron_core.geometry.mesh import Geometry
from neuron_core.groundtruth.karma.pictures import layer

VARIANT = "scalar_rgb"  # of Mitsuba; fast enough for one ray a pixel


def lacking(channels: Mapping[str, np.ndarray], parts: int) -> tuple[str, ...]:
    """Layers that are missing and without which the shape is unknown.

    Distances alone may be of either kind; the id of the only part is known.
    """
    wanted = {"P": 3, "N": 3} | ({"shape_id": 1} if parts > 1 else {})
    return tuple(name for name, count in wanted.items() if layer(channels, name, count) is None)


class TracedShape:
    """Traces a geometry, in the dataset's world. Nothing is loaded before it is asked for."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._renderer: object = None

    def gbuffer(self, camera: Camera) -> GBuffer:
        """What Mitsuba's datasets have."""
        from neuron_core.groundtruth.mitsuba.renderer import MitsubaRenderer

        if not isinstance(self._renderer, MitsubaRenderer):
            self._renderer = MitsubaRenderer(VARIANT)
            self._renderer.prepare(self._geometry, np.ones((2, 4, 3), np.float32))
        return self._renderer.gbuffer(camera)
