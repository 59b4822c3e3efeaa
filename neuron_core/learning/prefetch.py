"""Draw the next step's batch while this one is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Calls `draw(step)` for the following step on a thread of its own.

    `draw` must be a function of the step alone, so that nothing changes but the time. What it
    raises is raised by the step that asks for it.
    """

    def __init__(self, draw: Callable[[int], T], last: int | None = None) -> None:
        """Steps after `last` are not drawn ahead."""
        self._draw = draw
        self._last = last
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="neuron-ahead")
        self._next: tuple[int, Future[T]] | None = None

    def at(self, step: int) -> T:
        """What is drawn for a step; steps are asked for in order, or in any other at the price of waiting."""
        waiting, self._next = self._next, None
        drawn = waiting[1].result() if waiting and waiting[0] == step else self._draw(step)
        if self._last is None or step < self._last:
            self._next = step + 1, self._worker.submit(self._draw, step + 1)
        return drawn
