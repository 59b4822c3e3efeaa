"""The same voxels drawn by VTK's volume ray caster on the CPU."""

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from neuron_core.bench.dense import dense_colors
from neuron_core.cameras.camera import Camera
from neuron_core.foundation.colors import linear_to_srgb, srgb_to_linear
from neuron_core.kernels.launch import CORES
from neuron_core.voxels.nvf import LookCodes, Nvf
from neuron_core.voxels.shading import Shader

STEP = 0.5  # voxels
NEAR, FAR = 0.01, 100.0  # metres


class VtkVolume:
    """A dense grid of 8-bit colors and opacities, its colors those that the camera sees."""

    def __init__(self, nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera) -> None:
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_ERROR)  # it tries windows that fail
        self._voxel = nvf.voxel_size
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(camera.width, camera.height)
        renderer = vtk.vtkRenderer()
        renderer.SetBackground(1.0, 1.0, 1.0)
        renderer.AddVolume(self._volume(_bytes(nvf, shader, look, camera), nvf))
        self._window.AddRenderer(renderer)
        _aim(renderer.GetActiveCamera(), camera)
        renderer.GetActiveCamera().SetClippingRange(NEAR, FAR)

    def draw(self) -> None:
        """Draw a frame."""
        self._grid.Modified()
        self._window.Render()

    def picture(self) -> np.ndarray:
        """The frame over white, linear, [H, W, 3]."""
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
        self._grid = grid
        return volume


def _bytes(nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera) -> np.ndarray:
    """Colors and opacities of a voxel's length, [X, Y, Z, 4] uint8."""
    colors, densities = dense_colors(nvf, shader, look, camera)
    opacities = 1.0 - np.exp(-np.maximum(densities, 0.0) * nvf.voxel_size)
    rgba = np.concatenate([linear_to_srgb(colors), opacities[..., None]], axis=-1)
    return np.asarray(np.rint(rgba * 255.0).astype(np.uint8))


def _aim(target: vtk.vtkCamera, camera: Camera) -> None:
    """Cameras with their principal point in the middle, as datasets of ours have them."""
    target.SetPosition(*camera.position)
    target.SetFocalPoint(*(camera.position + camera.forward))
    target.SetViewUp(*camera.c2w[:3, 1])
    target.SetViewAngle(float(np.degrees(2 * np.arctan(camera.height / (2 * camera.fl_y)))))
