"""How many files of the engine a piece of work passes through, and whether lower layers call higher ones.

Work is measured on its second run, without imports, compilation and the bodies of modules and classes.
A **file** counts if one of its functions is entered, on any thread. The package `bench`, which measures,
does not count.

A call is **upwards** if a function of a lower layer enters one of a higher layer that its own module
names: it imported the other module, one of its functions or one of its classes, or spells its name.
What was handed down counts as a call of whoever handed it: a callback, an object behind a protocol, an
entry in a registry.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import CodeType, FrameType, ModuleType, TracebackType

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    "foundation kernels images cameras geometry lights skeletons materials prompts assets datasets usd "
    "groundtruth voxels volumes rendering library splats surfaces delivery networks learning models "
    "evaluation inspection tasks demo bench studies cli __main__"
).split()  # of the engine, lowest first: imports point down
METER = "bench/"
OPTIMIZED = 0x1  # the flag of the code of functions, which bodies of modules and classes lack


class Trips(AbstractContextManager["Trips"]):
    """Watches what is entered inside a `with` block, by this thread and by threads that start in it."""

    def __init__(self, root: Path = ROOT, layers: Sequence[str] = LAYERS) -> None:
        """`layers` are the packages below `root`, lowest first."""
        self._prefix = f"{root}/"
        self._ranks = {layer: rank for rank, layer in enumerate(layers)}
        self._calls: set[tuple[CodeType, CodeType | None]] = set()
        self._upwards: set[tuple[str, str]] = set()

    @property
    def files(self) -> list[str]:
        """Paths below the root of the files whose functions were entered, sorted."""
        return sorted({self._file(code) for code, _ in self._calls})

    @property
    def rooms(self) -> list[str]:
        """The packages below the root that those files lie in, lowest layer first."""
        found = {file.partition("/")[0] for file in self.files}
        return sorted(found, key=lambda room: self._ranks.get(room, -1))

    @property
    def upwards(self) -> list[tuple[str, str]]:
        """Pairs of files, caller and callee, of calls upwards, sorted."""
        return sorted(self._upwards)

    def __enter__(self) -> "Trips":
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_flags & OPTIMIZED or not self._counts(code):
            return
        caller = frame.f_back
        while caller is not None and not self._counts(caller.f_code):
            caller = caller.f_back
        call = (code, None if caller is None else caller.f_code)
        if call in self._calls:
            return
        self._calls.add(call)
        if caller is not None and self._rank(code) > self._rank(caller.f_code) and names(caller, frame):
            self._upwards.add((self._file(caller.f_code), self._file(code)))

    def _counts(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._prefix) and not self._file(code).startswith(METER)

    def _file(self, code: CodeType) -> str:
        return code.co_filename.removeprefix(self._prefix)

    def _rank(self, code: CodeType) -> int:
        return self._ranks.get(self._file(code).partition("/")[0], -1)


def names(caller: FrameType, callee: FrameType) -> bool:
    """Whether the module of `caller` names that of `callee`, or something that is defined there."""
    module = callee.f_globals["__name__"]
    held = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        for value in caller.f_globals.values()
    }
    spelled = (*caller.f_code.co_names, *caller.f_code.co_consts)
    return module in held or module in spelled


def measured(work: Callable[[], object]) -> Trips:
    """What the second run of some work passes through."""
    work()
    with Trips() as trips:
        work()
    return trips
