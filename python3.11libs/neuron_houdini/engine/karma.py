"""Ground truth with Karma from beginning to end: husk item by item, then the engine's conversion.

What a node wants is in an `Order`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuron_houdini.engine import husk, jobs, process
from neuron_houdini.errors import EngineError

RENDERED = 0.9  # of the progress, when husk is done
Progress = Callable[[float, str], None]  # 0 to 1, and what it is at
Running = husk.Process | process.Process


@dataclass(frozen=True, slots=True)
class Order:
    """What is left to do."""

    items: tuple[tuple[husk.Item, list[str]], ...]  # with their command lines
    convert: Sequence[str]  # words for the engine, when all is rendered


def carry_out(
    order: Order, python: Path, progress: Progress, begun: Callable[[Running], object] = lambda running: None
) -> process.Answer:
    """Render and convert. `begun` gets every process when it starts. Raises HuskError and EngineError."""
    total = max(sum(item.count for item, _ in order.items), 1)
    done = 0
    for item, words in order.items:

        def tell(part: float, item: husk.Item = item, before: int = done) -> None:
            progress(RENDERED * (before + item.count * part) / total, f"husk {item.name}")

        rendering = husk.Process(words, item)
        begun(rendering)
        rendering.wait(tell)
        done += item.count
    conversion = process.Process(order.convert, python)
    begun(conversion)
    return conversion.wait(
        lambda part, stage, message: progress(RENDERED + (1 - RENDERED) * part, f"{stage} {message}".strip())
    )


class KarmaJob(jobs.Background):
    """An order in the background."""

    def __init__(self, title: str, order: Order, python: Path | None = None) -> None:
        super().__init__(title)
        self._order, self._python = order, python
        self._running: Running | None = None

    def _work(self) -> process.Answer:
        python = self._python or process.ready()  # before hours of rendering, not after them
        try:
            return carry_out(self._order, python, self._note, self._begun)
        except husk.HuskError as error:
            kind = "stopped" if self._cancelled else "husk"
            raise EngineError(kind, error.message, error.hint) from error

    def _begun(self, running: Running) -> None:
        with self._lock:
            self._running = running
            if self._cancelled:
                running.cancel()

    def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _note(self, fraction: float, text: str) -> None:
        self.fraction, self.text = fraction, text
        if not self.log or self.log[-1] != text:
            self.log.append(text)
