"""What a dataset is asked to be. Imports nothing heavy: the command line is made from it."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from neuron_core.foundation.checks import within
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.options import check_ranges

Variant = Literal["auto", "cuda", "llvm", "scalar"]

# Fields that say where and how it runs, not what comes out.
RUN_FIELDS = ("out", "shard", "merge", "variant", "overwrite")
LARGEST_RESOLUTION = 4096
MOST_VIEWS = 10_000
MOST_SAMPLES = 65_536
SHAPE_VIEWS, SHAPE_RESOLUTION = 48, 128  # that a shape is learned from, unless asked otherwise


@dataclass(frozen=True, slots=True)
class DatasetConfig:
    """Everything the pictures depend on. Raises NeuronError for values that make no dataset."""

    out: Path
    """Folder of the dataset; an interrupted run resumes there."""
    geometry: str = "shaderball"
    """`shaderball`, or a USD file; a prim in it is written `FILE.usd@/prim`."""
    assign: tuple[str, ...] = ()
    """Prims or parts that take the materials; all of them if none is given."""
    materials: str = "builtin"
    """`builtin`, names separated by commas, a JSON library, or a folder of MaterialX files. `builtin` is nine
    materials that differ in kind, `builtin:192` is 192 of the material grammar with one in eight more held
    out, `builtin:192+150@7` holds out 150 and follows seed 7, `builtin:all` is the whole grammar."""
    views: Annotated[int, within(1, MOST_VIEWS)] = 48
    """Training cameras that see each material."""
    view_sets: int = 1
    """Sets of so many training cameras. Materials take turns at them, so that a large library is seen from
    all sides though each of its materials is not."""
    val_views: Annotated[int, within(0, MOST_VIEWS)] = 4
    """Validation cameras, whose pictures monitor training."""
    test_views: Annotated[int, within(0, MOST_VIEWS)] = 8
    """Test cameras, which nothing learns from."""
    surface_views: int | None = None
    """Cameras that see the shape alone, which costs next to nothing; by default so many that the shape is
    learned from 48 in all."""
    resolution: Annotated[int, within(8, LARGEST_RESOLUTION)] = 128
    """Pixels along each side of the square pictures."""
    spp: Annotated[int, within(1, MOST_SAMPLES)] = 36
    """Samples per pixel of training pictures; they are stratified, so square numbers are best."""
    truth_db: Annotated[float, within(10.0, 80.0)] = 40.0
    """How close validation and test pictures get to the converged ones, in dB, at least."""
    truth_spp: Annotated[int, within(2, MOST_SAMPLES)] = 1024
    """Samples per pixel at which sampling for truth_db ends, whatever was reached."""
    bounces: Annotated[int, within(2, 64)] = 6
    """Longest light path, in segments."""
    focal: Annotated[float, within(5.0, 1000.0)] = 50.0
    """Focal length in millimeters."""
    aperture: Annotated[float, within(1.0, 100.0)] = 36.0
    """Width of the film gate in millimeters."""
    margin: Annotated[float, within(1.0, 10.0)] = 1.03
    """Distance of the cameras; at 1 the bounding sphere touches the frame."""
    lowest_elevation: float = -8.0
    """Lowest elevation of a camera, in degrees above the horizon."""
    highest_elevation: float = 80.0
    """Highest elevation of a camera; 90 is straight above."""
    light: str = "studio"
    """`studio`, `studio:N` (the studio rig randomized by seed N), `even` (1 from everywhere), `sky:N`,
    `room:N`, `spots:N`, `noise:N` (by formula and seed N), or a latitude-longitude picture (EXR, or
    Radiance HDR)."""
    ground: bool = False
    """Put the object on a gray disc."""
    seed: Annotated[int, within(0, 2**32 - 1)] = 0
    """Everything random follows from it."""
    shard: str = ""
    """`I/N` renders only the I-th of N parts; run again without it to finish."""
    merge: tuple[Path, ...] = ()
    """Folders of other shards of the same command, merged before it continues."""
    variant: Variant = "auto"
    """Variant of Mitsuba; `auto` takes the fastest that runs."""
    overwrite: bool = False
    """Replace a dataset that was made with other settings."""

    def __post_init__(self) -> None:
        check_ranges(self, "a dataset")
        _check_range("view sets", self.view_sets, 1, MOST_VIEWS // self.views)
        _check_range("surface views", self.extra_views, 0, MOST_VIEWS)
        if not -90.0 <= self.lowest_elevation <= self.highest_elevation <= 90.0:
            raise NeuronError(
                f"Cameras cannot be placed from {self.lowest_elevation} to {self.highest_elevation} degrees.",
                "Elevations run from -90 (below) to 90 (above), the lowest first.",
            )
        parse_shard(self.shard)

    @property
    def extra_views(self) -> int:
        """How many cameras see the shape alone."""
        seen = self.views * self.view_sets
        return max(0, SHAPE_VIEWS - seen) if self.surface_views is None else self.surface_views

    @property
    def surface_resolution(self) -> int:
        """The side of their G-buffers in pixels."""
        return max(self.resolution, SHAPE_RESOLUTION)

    def described(self) -> dict[str, object]:
        """The fields that the pictures depend on, as plain data."""
        values = {name: value for name, value in asdict(self).items() if name not in RUN_FIELDS}
        values |= {"assign": list(self.assign), "surface_views": self.extra_views}
        # What was not there before stays unsaid: datasets that are finished stay what they are.
        unsaid = {"light": "studio", "surface_views": 0, "view_sets": 1}
        return {name: value for name, value in values.items() if unsaid.get(name) != value}


def parse_shard(shard: str) -> tuple[int, int]:
    """Index from 0 and count of "I/N"; an empty text is the whole, 0 of 1."""
    if not shard:
        return 0, 1
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise NeuronError(f"{shard!r} is not a shard.", 'Write I/N with 1 <= I <= N, as in "1/4".')
    return int(match[1]) - 1, int(match[2])


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise NeuronError(f"The {name} of a dataset cannot be {value}.", f"Give {low} to {high}.")
