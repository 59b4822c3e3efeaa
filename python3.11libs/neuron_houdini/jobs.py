"""Jobs that run beside Houdini, several at once. They outlive parameter panes, not the session."""

import threading
from collections.abc import Sequence
from pathlib import Path

from neuron_houdini import engine


class Job:
    """Commands of the engine one after the other, in a thread that never touches `hou`."""

    def __init__(self, title: str, commands: Sequence[Sequence[str]], python: Path | None = None) -> None:
        self.title = title
        self.fraction = 0.0
        self.text = "starting"
        self.error: engine.EngineError | None = None
        self.result: engine.Answer | None = None
        self._commands = [list(words) for words in commands]
        self._python = python
        self._process: engine.Process | None = None
        self._lock = threading.Lock()
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name=f"neuron {title}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop the command that runs, and begin no other."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is over."""
        self._thread.join(timeout)

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.result is not None or self.error is not None

    def _run(self) -> None:
        answer = engine.Answer({})
        try:
            for index, words in enumerate(self._commands):
                with self._lock:
                    if self._cancelled:
                        raise engine.EngineError("stopped", "Stopped as asked.", "Start it again to go on.")
                    self._process = engine.Process(words, self._python)
                answer = self._process.wait(lambda *event, part=index: self._note(part, *event))
        except engine.EngineError as error:
            self.text = error.message
            self.error = error
            return
        self.fraction, self.text, self.result = 1.0, "done", answer

    def _note(self, part: int, fraction: float, stage: str, message: str) -> None:
        self.fraction = (part + fraction) / len(self._commands)
        self.text = f"{stage} {message}".strip()


_jobs: dict[int, Job] = {}


def submit(key: int, job: Job) -> Job:
    """Start a job for a node's session id. A job of that node that still runs is an error."""
    running = _jobs.get(key)
    if running is not None and not running.over:
        raise engine.EngineError("busy", f"{running.title} is still running.", "Cancel it, or wait.")
    _jobs[key] = job
    job.start()
    return job


def of(key: int) -> Job | None:
    """The last job of a node."""
    return _jobs.get(key)


def all_jobs() -> list[Job]:
    """Every job of the session, oldest first."""
    return list(_jobs.values())
