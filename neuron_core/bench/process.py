"""Figures measured in processes of their own, so that peers and their libraries cannot meet.

Some of them bring compilers of their own; loaded together with others they have ended the process.
"""

from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from neuron_core.bench.config import BenchConfig
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import NO_METRICS, Reporter

POLL = 0.5  # seconds until a request to stop is noticed

Measure = Callable[[BenchConfig, str, Reporter, dict[str, Any]], dict[str, object]]


def measured(
    measure: Measure,
    config: BenchConfig,
    names: Sequence[str],
    report: Reporter,
    keep: Callable[[dict[str, object]], None],
) -> int:
    """Call `measure` for each name in one other process and `keep` what it returns, as it comes.

    Returns the exit code of the process: not 0 if it was ended by a fault. Raises NeuronError for
    what a user can mend there.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(measure, config, tuple(names), there), daemon=True)
    process.start()
    there.close()
    try:
        while True:
            interrupts.stop_if_requested()
            if not here.poll(POLL):
                continue
            try:
                kind, content = here.recv()
            except EOFError:
                break
            if kind == "figure":
                keep(content)
            elif kind == "progress":
                report.progress(*content)
            elif kind == "warning":
                report.warn(content)
            else:
                raise NeuronError(*content)
        process.join()
    finally:
        if process.is_alive():
            process.terminate()
            process.join()
    return int(process.exitcode or 0)


class _Sender:
    """A reporter at the other end of a pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def progress(
        self, fraction: float, stage: str, message: str = "", metrics: Mapping[str, object] = NO_METRICS
    ) -> None:
        """Send it."""
        self._connection.send(("progress", (fraction, stage, message, dict(metrics))))

    def warn(self, message: str) -> None:
        """Send it."""
        self._connection.send(("warning", message))


def _work(measure: Measure, config: BenchConfig, names: Sequence[str], connection: Connection) -> None:
    shared: dict[str, Any] = {}
    try:
        for name in names:
            connection.send(("figure", measure(config, name, _Sender(connection), shared)))
    except NeuronError as error:
        connection.send(("error", (error.message, error.hint)))
    finally:
        connection.close()
