"""Ground truth with Karma from beginning to end: husk item by item, then the engine's conversion.

Runs without Houdini; nothing here imports `hou`. What a node wants is in an `Order`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuron_houdini import engine, husk, jobs

RENDERED = 0.9  # of the progress, when husk is done
Progress = Callable[[float, str], None]  # 0 to 1, and what it is at
Process = husk.Process | engine.Process


@dataclass(frozen=True, slots=True)
class Order:
    """What is left to do."""

    items: tuple[tuple[husk.Item, list[str]], ...]  # with their command lines
    convert: Sequence[str]  # words for the engine, when all is rendered


def carry_out(
    order: Order, python: Path, progress: Progress, begun: Callable[[Process], object] = lambda process: None
) -> engine.Answer:
    """Render and convert. `begun` gets every process when it starts. Raises HuskError and EngineError."""
    total = max(sum(item.count for item, _ in order.items), 1)
    done = 0
    for item, words in order.items:

        def tell(part: float, item: husk.Item = item, before: int = done) -> None:
            progress(RENDERED * (before + item.count * part) / total, f"husk {item.name}")

        process = husk.Process(words, item)
        begun(process)
        process.wait(tell)
        done += item.count
    conversion = engine.Process(order.convert, python)
    begun(conversion)
    return conversion.wait(
        lambda part, stage, message: progress(RENDERED + (1 - RENDERED) * part, f"{stage} {message}".strip())
    )


class Rendering(jobs.Background):
    """An order in the background."""

    def __init__(self, title: str, order: Order, python: Path | None = None) -> None:
        super().__init__(title)
        self._order, self._python = order, python
        self._process: Process | None = None

    def _work(self) -> engine.Answer:
        python = self._python or engine.ready()  # before hours of rendering, not after them
        try:
            return carry_out(self._order, python, self._note, self._begun)
        except husk.HuskError as error:
            raise engine.EngineError("stopped" if self._cancelled else "husk", str(error)) from error

    def _begun(self, process: Process) -> None:
        with self._lock:
            self._process = process
            if self._cancelled:
                process.cancel()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.cancel()

    def _note(self, fraction: float, text: str) -> None:
        self.fraction, self.text = fraction, text
        if not self.log or self.log[-1] != text:
            self.log.append(text)
