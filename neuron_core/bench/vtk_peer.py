"""The same voxels drawn by VTK's volume ray caster on the CPU."""

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from neuron_core.cameras.camera import Camera
from neuron_core.foundation.colors import linear_to_srgb, srgb_to_linear
from neuron_core.kernels.launch import CORES
from neuron_core.voxels.nvf import CELLS, LookCodes, Nvf, brick_coordinates, sample_positions
from neuron_core.voxels.shading import Shader

STEP = 0.5  # voxels


class VtkVolume:
    """A dense grid of 8-bit colors and opacities, its colors those that the camera sees."""

    def __init__(self, nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera) -> None:
        self._voxel = nvf.voxel_size
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(camera.width, camera.height)
        renderer = vtk.vtkRenderer()
        renderer.SetBackground(1.0, 1.0, 1.0)
        renderer.AddVolume(self._volume(_dense(nvf, shader, look, camera), nvf))
        self._window.AddRenderer(renderer)
        _aim(renderer.GetActiveCamera(), camera)
        renderer.ResetCameraClippingRange()

    def render(self) -> None:
        """Draw a frame."""
        self._volume_changed.Modified()
        self._window.Render()

    def over_white(self) -> np.ndarray:
        """The frame, linear, [H, W, 3]."""
        reader = vtk.vtkWindowToImageFilter()
        reader.SetInput(self._window)
        reader.ReadFrontBufferOff()
        reader.Update()
        image = reader.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
        linear: np.ndarray = srgb_to_linear(pixels.astype(np.float32) / 255.0)
        return linear

    def _volume(self, rgba: np.ndarray, nvf: Nvf) -> vtk.vtkVolume:
        """`rgba` [X, Y, Z, 4] uint8."""
        grid = vtk.vtkImageData()
        grid.SetDimensions(*rgba.shape[:3])
        grid.SetSpacing(self._voxel, self._voxel, self._voxel)
        grid.SetOrigin(*map(float, nvf.aabb[0]))
        flat = np.ascontiguousarray(rgba.transpose(2, 1, 0, 3).reshape(-1, 4))  # x fastest
        grid.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True))
        mapper = vtk.vtkFixedPointVolumeRayCastMapper()
        mapper.SetInputData(grid)
        mapper.SetSampleDistance(STEP * self._voxel)
        mapper.SetInteractiveSampleDistance(STEP * self._voxel)
        mapper.AutoAdjustSampleDistancesOff()
        mapper.SetImageSampleDistance(1.0)
        mapper.SetNumberOfThreads(CORES)
        opacity = vtk.vtkPiecewiseFunction()
        opacity.AddPoint(0.0, 0.0)
        opacity.AddPoint(255.0, 1.0)
        look = vtk.vtkVolumeProperty()
        look.IndependentComponentsOff()
        look.SetScalarOpacity(opacity)
        look.SetScalarOpacityUnitDistance(self._voxel)
        look.SetInterpolationTypeToLinear()
        look.ShadeOff()
        volume = vtk.vtkVolume()
        volume.SetMapper(mapper)
        volume.SetProperty(look)
        self._volume_changed = grid
        return volume


def _dense(nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera) -> np.ndarray:
    """Colors and opacities of a voxel's length at every corner of the whole grid, uint8."""
    positions = sample_positions(nvf).reshape(-1, 3)[nvf.active]
    normals = nvf.normals.reshape(-1, 3)[nvf.active]
    rays_d = positions - camera.position
    rays_d /= np.linalg.norm(rays_d, axis=-1, keepdims=True)
    colors = shader.evaluate(look.decoded(), normals, rays_d.astype(np.float32))
    samples = np.zeros((nvf.density.size, 4), np.uint8)
    samples[nvf.active, :3] = np.rint(linear_to_srgb(colors) * 255.0)
    passed = np.exp(-np.maximum(nvf.density.reshape(-1), 0.0) * nvf.voxel_size)
    samples[:, 3] = np.rint((1.0 - passed) * 255.0)
    bricks = samples.reshape(*nvf.density.shape, 4)
    dense = np.zeros((*(CELLS * side + 1 for side in nvf.top.shape), 4), np.uint8)
    for brick, (x, y, z) in enumerate(brick_coordinates(nvf.top) * CELLS):
        dense[x : x + CELLS + 1, y : y + CELLS + 1, z : z + CELLS + 1] = bricks[brick]
    return dense


def _aim(target: vtk.vtkCamera, camera: Camera) -> None:
    """Cameras with their principal point in the middle, as datasets of ours have them."""
    target.SetPosition(*camera.position)
    target.SetFocalPoint(*(camera.position + camera.forward))
    target.SetViewUp(*camera.c2w[:3, 1])
    target.SetViewAngle(float(np.degrees(2 * np.arctan(camera.height / (2 * camera.fl_y)))))
