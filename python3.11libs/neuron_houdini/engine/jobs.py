"""Jobs that run beside Houdini, several at once. They outlive parameter panes, not the session."""

import atexit
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from neuron_houdini.engine import process
from neuron_houdini.errors import EngineError

MOST_LINES = 2000  # of a log


class Background:
    """Work in a thread that never touches `hou`. `_work` does it, `_stop` ends it early."""

    def __init__(self, title: str, pictures: Path | None = None) -> None:
        self.title = title
        self.pictures = pictures  # a folder whose newest picture shows what the work is at
        self.fraction = 0.0
        self.text = "starting"
        self.error: EngineError | None = None
        self.result: process.Answer | None = None
        self.log: deque[str] = deque(maxlen=MOST_LINES)
        self._cancelled = False
        self._lock = threading.Lock()
        self._started = self._ended = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"neuron {title}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._started = time.monotonic()
        self._thread.start()

    def cancel(self) -> None:
        """Stop what runs where nothing is lost, and begin nothing else."""
        with self._lock:
            self._cancelled = True
            self._stop()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is over."""
        self._thread.join(timeout)

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.result is not None or self.error is not None

    @property
    def stopped(self) -> bool:
        """Whether it ended because it was asked to."""
        return self.error is not None and self.error.kind == "stopped"

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        return (self._ended if self.over else time.monotonic()) - self._started

    def _run(self) -> None:
        try:
            result = self._work()
        except EngineError as error:
            self._fail(error)
        except OSError as error:
            self._fail(EngineError("file", f"{error}.", "Look at the path."))
        else:
            self._ended, self.fraction, self.text, self.result = time.monotonic(), 1.0, "done", result
        finally:  # an error of ours goes on to Python's console; the work is over all the same
            if not self.over:
                self._fail(EngineError("crash", f"{self.title} failed.", "Look at the console."))

    def _fail(self, error: EngineError) -> None:
        self._ended, self.text, self.error = time.monotonic(), error.message, error

    def _work(self) -> process.Answer:
        raise NotImplementedError

    def _stop(self) -> None:
        raise NotImplementedError


class Job(Background):
    """Commands of the engine one after the other."""

    def __init__(
        self,
        title: str,
        commands: Sequence[Sequence[str]],
        python: Path | None = None,
        pictures: Path | None = None,
    ) -> None:
        super().__init__(title, pictures)
        self._commands = [list(words) for words in commands]
        self._python = python
        self._process: process.Process | None = None

    def _work(self) -> process.Answer:
        answer = process.Answer({})
        python = self._python or process.ready()
        for index, words in enumerate(self._commands):
            with self._lock:
                if self._cancelled:
                    raise EngineError("stopped", "Stopped as asked.", "Start it again to resume.")
                self._process = process.Process(words, python)
            answer = self._process.wait(lambda *event, part=index: self._note(part, *event))
        return answer

    def _stop(self) -> None:
        if self._process is not None:
            self._process.cancel()

    def _note(self, part: int, fraction: float, stage: str, message: str) -> None:
        self.fraction = (part + fraction) / len(self._commands)
        self.text = f"{stage} {message}".strip()
        if not self.log or self.log[-1] != self.text:
            self.log.append(self.text)


_jobs: dict[int, Background] = {}


def check_free(key: int) -> None:
    """Raise EngineError while a job of this node runs."""
    running = _jobs.get(key)
    if running is not None and not running.over:
        raise EngineError("busy", f"{running.title} is still running.", "Cancel it, or wait.")


def submit(key: int, job: Background) -> Background:
    """Start a job for a node's session id. A job of that node that still runs is an error."""
    check_free(key)
    _jobs.pop(key, None)  # the newest comes last
    _jobs[key] = job
    job.start()
    return job


def of(key: int) -> Background | None:
    """The last work of a key, whatever it is."""
    return _jobs.get(key)


def all_jobs() -> list[Background]:
    """The last job of every node of the session, oldest first."""
    return list(_jobs.values())


def forget_ended() -> None:
    """Leave only jobs that run."""
    for key, job in list(_jobs.items()):
        if job.over:
            del _jobs[key]


@atexit.register
def cancel_all() -> None:
    """Ask every job to stop where nothing is lost: nobody listens any more when Houdini ends."""
    for job in _jobs.values():
        if not job.over:
            job.cancel()
