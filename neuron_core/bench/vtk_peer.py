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
NOTHING, SCALE = 64, 16.0  # how optical depths of a voxel, from -4 to 12, are stored in 8 bits
FOG = 1e-4  # opacity of a voxel's length: the least that VTK's 15 bits tell from nothing at half of it
NEAR, FAR = 0.01, 100.0  # meters


class VtkVolume:
    """A dense grid of 8-bit colors and densities, its colors those that the camera sees.

    With `leaping` VTK skips what it takes for empty, which is fast and loses parts of thin surfaces;
    without, a fog too thin to be seen keeps it from that.
    """

    def __init__(
        self, nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera, leaping: bool = True
    ) -> None:
        self._fog = 0.0 if leaping else FOG
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
        look = vtk.vtkVolumeProperty()
        look.IndependentComponentsOff()
        look.SetScalarOpacity(_opacities(self._fog))
        look.SetScalarOpacityUnitDistance(self._voxel)
        look.SetInterpolationTypeToLinear()
        look.ShadeOff()
        volume = vtk.vtkVolume()
        volume.SetMapper(mapper)
        volume.SetProperty(look)
        self._grid = grid
        return volume


def _bytes(nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera) -> np.ndarray:
    """Colors and optical depths of a voxel's length, [X, Y, Z, 4] uint8."""
    colors, densities = dense_colors(nvf, shader, look, camera)
    stored = (densities * nvf.voxel_size * SCALE + NOTHING).clip(0, 255)
    rgba = np.concatenate([linear_to_srgb(colors) * 255.0, stored[..., None]], axis=-1)
    return np.asarray(np.rint(rgba).astype(np.uint8))


def _opacities(fog: float) -> vtk.vtkPiecewiseFunction:
    """What a voxel's length stops, for each stored optical depth."""
    function = vtk.vtkPiecewiseFunction()
    for stored in range(256):
        depth = (stored - NOTHING) / SCALE
        function.AddPoint(float(stored), max(1.0 - float(np.exp(-max(depth, 0.0))), fog))
    return function


def _aim(target: vtk.vtkCamera, camera: Camera) -> None:
    """Cameras with their principal point in the middle, as datasets of ours have them."""
    target.SetPosition(*camera.position)
    target.SetFocalPoint(*(camera.position + camera.forward))
    target.SetViewUp(*camera.c2w[:3, 1])
    target.SetViewAngle(float(np.degrees(2 * np.arctan(camera.height / (2 * camera.fl_y)))))
