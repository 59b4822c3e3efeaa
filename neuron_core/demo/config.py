"""What `neuron demo` can be asked for. Imports nothing heavy."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from neuron_core.foundation.checks import within
from neuron_core.foundation.options import check_ranges

# None of them was rendered for the library that answers them, in any wording.
PROMPTS = (
    "purple velvet, worn",
    "hammered silver, dusty",
    "worn brown leather, polished",
    "satin blue car paint, badly weathered",
    "wet marble with a satin finish",
    "turquoise porcelain, glazed, dusty",
    "weathered walnut timber, grained",
    "rough brass, aged",
)
NOT_IN_FINGERPRINT = ("out", "device", "overwrite")


@dataclass(frozen=True, slots=True)
class Plan:
    """How large each stage of the loop is."""

    resolution: int  # pixels along the sides of the dataset's pictures
    views: int
    val_views: int
    test_views: int
    spp: int  # samples a pixel of training pictures
    truth_db: float  # how close test pictures are to their limit
    truth_spp: int  # where sampling for that ends
    steps: int | None  # of training; None: the preset's
    voxels: int  # along the longest side
    frames: int  # of the turntable
    size: int  # pixels along its sides


FULL = Plan(128, 48, 2, 8, 36, 40.0, 640, None, 128, 48, 512)
QUICK = Plan(96, 16, 1, 3, 16, 36.0, 144, 500, 96, 24, 320)


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """The whole loop: ground truth, training, bake, turntable, evaluation, prompts that nobody rendered,
    and a report to look at.

    Run again, it resumes where it stopped, and says so when everything is there.
    """

    out: Path = Path("neuron-demo")
    """Folder for everything."""
    quick: bool = False
    """The same loop, small: about a minute instead of several, at a lower quality."""
    materials: str = "polished-gold,brushed-copper,car-paint,white-ceramic"
    """Built-in names separated by commas, builtin for all, LIB.json, or a folder of .mtlx files."""
    geometry: str = "shaderball"
    """shaderball, or PATH.usd[@/prim]."""
    assign: tuple[str, ...] = ()
    """Prims that take the materials; may be repeated. Default: all."""
    prompt: tuple[str, ...] = ()
    """What to ask of the library that came with Neuron; may be repeated. Default: eight materials that
    nobody rendered."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train and draw; auto takes CUDA where it works."""
    seed: Annotated[int, within(0, 2**32 - 1)] = 0
    """Everything random follows from it."""
    overwrite: bool = False
    """Replace a demo that was made with another config."""

    def __post_init__(self) -> None:
        check_ranges(self, "a demo")

    def prompts(self) -> tuple[str, ...]:
        """What is asked of the library."""
        return self.prompt or PROMPTS

    def plan(self) -> Plan:
        """The sizes that it runs with."""
        return QUICK if self.quick else FULL

    def described(self) -> dict[str, object]:
        """What the results depend on, as plain data."""
        values = {name: value for name, value in asdict(self).items() if name not in NOT_IN_FINGERPRINT}
        lists = {"assign": list(self.assign), "prompt": list(self.prompts())}
        return {**values, **lists, "plan": asdict(self.plan())}
