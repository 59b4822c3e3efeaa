"""Opens USD stages, and asks them for their cameras and for what they show at a time."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pxr import Tf, Usd, UsdGeom, UsdUtils

from neuron_core.cameras.camera import Camera
from neuron_core.foundation.errors import FileError
from neuron_core.usd import schema
from neuron_core.usd.cameras import camera_paths, read_camera
from neuron_core.usd.light_records import StageLight
from neuron_core.usd.lights import stage_lights
from neuron_core.usd.records import Problem, SceneError, SceneSnapshot
from neuron_core.usd.snapshot import snapshot_of

schema.register()


@contextmanager
def quiet() -> Iterator[None]:
    """Drop USD's warnings meanwhile. Errors are still raised."""
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        delegate.TakeUncoalescedDiagnostics()
        del delegate


def read_stage(path: Path, library: Path | None = None) -> "SceneStage":
    """Open a stage. With a `library` it is restricted: assets have to lie in that folder.

    Raises SceneError or FileError if it cannot be opened.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"There is no file {path}.", "Give the path of a USD file.")
    if path.is_dir() or not Usd.Stage.IsSupportedFile(str(path)):
        raise SceneError(f"{path} is not a USD file.", "They end in .usd, .usda, .usdc or .usdz.")
    try:
        with quiet():
            stage = Usd.Stage.Open(str(path), Usd.Stage.LoadAll)
    except Tf.ErrorException as error:
        reasons = re.findall(r" : '(.*?)'\n", f"{error}\n", re.DOTALL)
        reason = " ".join((reasons or [str(error)])[0].split())[:300].rstrip(".")
        raise SceneError(f"{path} cannot be read as USD: {reason}.", "Export the file again.") from None
    return SceneStage(stage, path, library)


class SceneStage:
    """An open stage. Cameras and snapshots are in the engine's world."""

    def __init__(self, stage: Usd.Stage, path: Path, library: Path | None = None) -> None:
        """`stage` may also live in memory, as in a host; `path` is what messages call it."""
        self.stage = stage
        self.path = path
        self.library = None if library is None else Path(library).resolve()

    @property
    def meters_per_unit(self) -> float:
        """Of the stage; a centimeter where nothing is authored, as USD has it."""
        return float(UsdGeom.GetStageMetersPerUnit(self.stage))

    @property
    def up_axis(self) -> str:
        """Of the stage, "Y" or "Z"."""
        return str(UsdGeom.GetStageUpAxis(self.stage)).upper()

    def cameras(self) -> tuple[str, ...]:
        """The prim paths of all cameras."""
        return camera_paths(self.stage)

    def camera(self, prim_path: str, width: int, height: int, time: float | None = None) -> Camera:
        """A camera for a picture of that size, in the engine's world. Raises CameraError."""
        return read_camera(self.stage, prim_path, width, height, _when(time))

    def time_range(self) -> tuple[float, float] | None:
        """First and last frame as the stage states them; None where it does not."""
        if not self.stage.HasAuthoredTimeCodeRange():
            return None
        return float(self.stage.GetStartTimeCode()), float(self.stage.GetEndTimeCode())

    def snapshot(self, time: float | None = None) -> SceneSnapshot:
        """What is visible at a time code; None is the default, or the earliest where all is animated.

        Raises SceneError for stages that no picture can be made of: units that are not numbers, too
        many instances.
        """
        with quiet():
            return snapshot_of(self.stage, _when(time), str(self.path), self.library)

    def lights(
        self, time: float | None = None, problems: list[Problem] | None = None
    ) -> tuple[StageLight, ...]:
        """The lights that shine at a time code, as for `snapshot`; what is wrong with some of them is
        appended to `problems`. Raises SceneError for values that are not finite, or too many lights."""
        with quiet():
            return stage_lights(self.stage, _when(time), self.library, problems)


def _when(time: float | None) -> Usd.TimeCode:
    return Usd.TimeCode.EarliestTime() if time is None else Usd.TimeCode(time)
