"""The CUDA half of every kernel compiles, on machines without a GPU too; on a GPU it agrees with the CPU."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import warp as wp

import neuron_core.kernels
from neuron_core.cameras.camera import Camera, look_at
from neuron_core.kernels.baked import drawing, instances
from neuron_core.kernels.training import hashgrid
from neuron_core.rendering.baked import BakedRenderer
from tests.core.small_shaders import small_shader
from tests.core.test_rendering_baked import CENTER, ball, rays_of, smooth_codes

ARCH = 80  # Ampere and later
wp.init()


def kernel_modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(neuron_core.kernels.__path__, "neuron_core.kernels."):
        yield importlib.import_module(found.name)


def warp_modules() -> dict[str, wp.Module]:
    """Every Warp module that our kernels are in, those of made kernels for one width."""
    kernels = [drawing._kernel(32), instances._kernel(32)]
    kernels += [kernel for made in hashgrid.KERNELS.values() for kernel in made.values()]
    for module in kernel_modules():
        kernels += [value for value in vars(module).values() if isinstance(value, wp.Kernel)]
    return {kernel.module.name: kernel.module for kernel in kernels}


MODULES = warp_modules()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_compiles_for_cuda(name: str, tmp_path: Path) -> None:
    try:
        wp.compile_aot_module(MODULES[name], arch=ARCH, module_dir=tmp_path, use_ptx=True)
    except RuntimeError as error:
        if "NVRTC" not in str(error) and "CUDA" not in str(error):
            raise
        pytest.skip(f"this build of Warp has no compiler for CUDA: {error}")
    assert any(path.suffix == ".ptx" and path.stat().st_size > 1000 for path in tmp_path.iterdir())


@pytest.mark.skipif(not wp.is_cuda_available(), reason="there is no CUDA device")
def test_pictures_are_the_same_on_cuda() -> None:
    nvf = ball(32)
    on_cpu, on_cuda = (
        BakedRenderer(nvf, small_shader(), smooth_codes(nvf), device) for device in ("cpu", "cuda:0")
    )
    pose = look_at((0.9, 0.7, 1.6), tuple(map(float, CENTER)))
    camera = Camera("c", 70, 50, 60.0, 60.0, 35.0, 25.0, pose)
    one, other = on_cpu.render(camera), on_cuda.render(camera)
    np.testing.assert_allclose(one.rgba, other.rgba.numpy(), atol=2e-3)
    np.testing.assert_allclose(one.depth, other.depth.numpy(), atol=0.05 * nvf.voxel_size)
    first, second = (renderer.trace(*rays_of(40), 40) for renderer in (on_cpu, on_cuda))
    np.testing.assert_allclose(first.rgb, second.rgb, atol=2e-3)
