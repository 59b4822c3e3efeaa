"""What a dataset is asked to be. Imports nothing heavy: the command line is made from it."""

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from neuron_core.foundation.errors import NeuronError

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

    out: Path  # the folder of the dataset
    geometry: str = "shaderball"  # or PATH.usd[@/prim]
    assign: tuple[str, ...] = ()  # prims or parts that take the material; none means all
    # "builtin" are nine that differ in kind. "builtin:192" are 192 of the grammar and one in eight more
    # held out, "builtin:192+150@7" holds out 150 and follows seed 7, "builtin:all" is the whole grammar.
    # Or LIB.json, a folder of .mtlx files, or names of any of these separated by commas.
    materials: str = "builtin"
    views: int = 48  # training cameras that see a material
    # Different sets of so many training cameras: materials take turns at them, so that a large library is
    # seen from all sides though each of its materials is not.
    view_sets: int = 1
    val_views: int = 4  # cameras whose pictures training is watched by
    test_views: int = 8  # cameras that nothing learns from
    # cameras that see the shape alone, which costs next to nothing; so many that all learn it from 48
    surface_views: int | None = None
    resolution: int = 128  # pixels, square pictures
    spp: int = 36  # samples a pixel of training pictures; stratified, squares are best
    truth_db: float = 40.0  # how close validation and test pictures are to the limit, at least
    truth_spp: int = 1024  # where sampling for truth_db ends, whatever was reached
    bounces: int = 6  # longest path, in segments
    focal: float = 50.0  # millimetres
    aperture: float = 36.0  # width of the film gate in millimetres
    margin: float = 1.03  # distance of the cameras; at 1 the bounding sphere touches the frame
    lowest_elevation: float = -8.0  # degrees above the horizon
    highest_elevation: float = 80.0  # 90 is straight above
    # "studio"; "studio:N", the same boxes turned, moved and tinted by seed N; or a latitude-longitude EXR
    light: str = "studio"
    ground: bool = False  # put the object on a grey disc
    seed: int = 0  # everything random follows from it
    shard: str = ""  # "I/N": render only the I-th of N parts; run again without it to finish
    merge: tuple[Path, ...] = ()  # folders of other shards of the same command, taken in before it goes on
    variant: Variant = "auto"  # of Mitsuba; auto takes the fastest that runs
    overwrite: bool = False  # replace a dataset that was made with another config

    def __post_init__(self) -> None:
        _check_range("views", self.views, 1, MOST_VIEWS)
        _check_range("view sets", self.view_sets, 1, MOST_VIEWS // self.views)
        _check_range("val views", self.val_views, 0, MOST_VIEWS)
        _check_range("test views", self.test_views, 0, MOST_VIEWS)
        _check_range("surface views", self.extra_views, 0, MOST_VIEWS)
        _check_range("resolution", self.resolution, 8, LARGEST_RESOLUTION)
        _check_range("spp", self.spp, 1, MOST_SAMPLES)
        _check_range("truth spp", self.truth_spp, 2, MOST_SAMPLES)
        _check_range("truth dB", self.truth_db, 10.0, 80.0)
        _check_range("bounces", self.bounces, 2, 64)
        _check_range("focal", self.focal, 5.0, 1000.0)
        _check_range("aperture", self.aperture, 1.0, 100.0)
        _check_range("margin", self.margin, 1.0, 10.0)
        _check_range("seed", self.seed, 0, 2**32 - 1)
        if not -90.0 <= self.lowest_elevation <= self.highest_elevation <= 90.0:
            raise NeuronError(
                f"Cameras cannot stand from {self.lowest_elevation} to {self.highest_elevation} degrees.",
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
        raise NeuronError(f"{shard!r} is no shard.", 'Write I/N with 1 <= I <= N, as in "1/4".')
    return int(match[1]) - 1, int(match[2])


def _check_range(name: str, value: float | int, low: float | int, high: float | int) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise NeuronError(f"The {name} of a dataset cannot be {value}.", f"Give {low} to {high}.")
