"""Draw the frames of a folder that are missing, whatever draws them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neuron_core.cameras.camera import Camera
from neuron_core.foundation import interrupts
from neuron_core.foundation.clocks import Stopwatch, clock_text
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.wording import counted
from neuron_core.rendering.picture_folder import PictureFolder
from neuron_core.rendering.tracing import Aovs, Pictures, Tracer, draw, trace_centers

GEOMETRY = {"depth", "normal", "id"}  # AOVs that need more than colors and opacities
DRAWN = 0.97  # of the progress; the rest is an animation

Draw = Callable[[int], tuple[Pictures, Aovs | None]]  # the picture of the camera with that index


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames that were asked for, and are there now."""

    folder: PictureFolder
    cameras: tuple[Camera, ...]
    rendered: int  # the others were there before
    seconds: float

    def result(self) -> dict[str, object]:
        """What a result says of them."""
        first = self.cameras[0]
        listed = self.folder.listed([camera.name for camera in self.cameras], self.rendered)
        return {**listed, "size": [first.width, first.height]}

    def summary(self) -> str:
        """The same for a person."""
        first, skipped = self.cameras[0], len(self.cameras) - self.rendered
        was_there = f", {skipped} of them were there" if skipped else ""
        speed = f", {self.seconds / self.rendered:.2f} s each" if self.rendered else ""
        count = counted(len(self.cameras), "frame")
        return f"{self.folder.path}: {count} of {first.width} x {first.height} pixels{was_there}{speed}"


def draw_missing(
    folder: PictureFolder, cameras: Sequence[Camera], draw_one: Draw, background: str, report: Reporter
) -> Frames:
    """Draw and write those of `cameras` that the folder lacks. Stops between two frames if asked to."""
    missing = [index for index, camera in enumerate(cameras) if not folder.has(camera.name)]
    watch = Stopwatch()
    for done, index in enumerate(missing, 1):
        interrupts.stop_if_requested()
        name = cameras[index].name
        folder.write(name, *draw_one(index), background)
        left = clock_text(watch.remaining(done, len(missing)))
        count = f"{len(cameras) - len(missing) + done}/{len(cameras)}"
        report.progress(DRAWN * done / len(missing), "render", f"{name}  {count}  {left} left")
    return Frames(folder, tuple(cameras), len(missing), watch.seconds)


def pictures_of(
    tracer: Tracer, camera: Camera, samples: int, aovs: Sequence[str]
) -> tuple[Pictures, Aovs | None]:
    """A picture, and the geometry if one of the AOVs needs it."""
    pictures = draw(tracer, camera, samples)
    return pictures, trace_centers(tracer, camera) if GEOMETRY & set(aovs) else None
