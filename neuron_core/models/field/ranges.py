"""Between which distances, and how finely, rays of a dataset are sampled."""

from neuron_core.models.field.render import RayRange
from neuron_core.models.field.spec import FieldSpec

SURFACE_STEP = 0.5  # of the density ramp
NEAR = 0.1  # of the side of the inner cube: nothing is photographed from closer
FAR = 64.0
PHOTOGRAPH_STEPS = 256  # along the side of the inner cube
CONE = 1.0 / 96


def ray_range(spec: FieldSpec) -> RayRange:
    """For the field of a spec: distances follow from the size of its cube."""
    side = 2 * spec.half_side
    if spec.surface == "distance":
        return RayRange(0.0, 1e3 * side, SURFACE_STEP * spec.ramp)
    return RayRange(NEAR * side, FAR * side, 1.0 / PHOTOGRAPH_STEPS, CONE if spec.contracted else 0.0)
