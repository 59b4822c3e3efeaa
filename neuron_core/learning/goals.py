"""What a campaign of a family goes by: the figure that decides, what may be tuned, what has to be reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from neuron_core.learning.outcome import Outcome
from neuron_core.learning.plan import Mode

Setting = bool | int | float | str
Settings = Mapping[str, Setting]

RATE = "rate"  # the setting that every family has: a factor on the learning rates of all phases


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False  # whether ratios count, as for learning rates
    whole: bool = False  # integers only

    def __post_init__(self) -> None:
        assert self.low < self.high and (self.low > 0 or not self.log), "an empty range"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values."""

    values: tuple[Setting, ...]


Knob = Range | Choice


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition for promotion: `judge` returns "" for an outcome that passes, else one sentence why not."""

    name: str
    judge: Callable[[Outcome], str]


@dataclass(frozen=True, slots=True)
class Goals:
    """What a family wants of a campaign."""

    metric: str  # of `Family.measure`; it compares runs
    mode: Mode = "max"
    search: Mapping[str, Knob] = field(default_factory=lambda: {RATE: Range(0.3, 3.0, log=True)})
    gates: tuple[Gate, ...] = ()  # for the production run, beside those that every run has to pass
    student_gap: float = 1.0  # how much worse a student may be than its teacher, in units of the metric
    student_share: float = 0.34  # of the bytes of its teacher that a student may take
