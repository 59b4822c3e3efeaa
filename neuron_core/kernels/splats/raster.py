"""Blend sorted splats into a picture.

Letters in shapes: N splats, H W the sides of a picture, P pairs of a splat and a tile that it touches.
"""

from typing import Any

import warp as wp

from neuron_core.kernels.assembly import compiled_with
from neuron_core.kernels.launch import device_of, launch, view
from neuron_core.kernels.splats.projection import SLICES, TILE, Ellipse, LensValues, lens_values
from neuron_core.kernels.splats.sorting import Projected

OPAQUEST = 0.99  # no splat hides more

RASTER: dict[str, Any] = compiled_with(("raster.h",), {"OPAQUEST": OPAQUEST})
wp.set_module_options(RASTER)


@wp.struct
class RasterCall:
    """What a picture follows from, and where it goes."""

    lens: LensValues
    records: wp.array[Ellipse]  # [N]
    splats: wp.array[wp.int32]  # [P]
    order: wp.array[wp.int32]  # [P]
    ends: wp.array[wp.int32]  # [tiles + 1]
    picture: wp.array[wp.float32]  # [H * W * 4]


def rasterize(projected: Projected, out: Any) -> None:
    """Write premultiplied color and opacity of every pixel to `out` [H, W, 4]."""
    lens = projected.lens
    columns, rows = lens.tiles
    call = RasterCall()
    call.lens, call.records = lens_values(lens), projected.ellipses
    call.splats, call.order, call.ends = projected.splats, projected.order, projected.ends
    call.picture = view(out, wp.float32, [lens.height * lens.width * 4])
    launch(rasterize_kernel, [call], columns * rows, TILE, device=device_of(out), slices=SLICES)


@wp.func_native("neuron::rasterize_row(call, index);")
def rasterize_row(call: RasterCall, index: wp.int32) -> None:
    """Draw row `index % 8` of the tile `index // 8`."""
    ...


@wp.kernel(enable_backward=False)
def rasterize_kernel(call: RasterCall, first: wp.int32) -> None:
    """One index per row of a tile."""
    rasterize_row(call, first + wp.tid())
