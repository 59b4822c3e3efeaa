"""Karma through husk: command lines, what is left to render, and the process.

A command renders consecutive frames of one stage; frame N looks through camera N.
"""

import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuron_core.groundtruth.karma.request import FOLDER, GBUFFER, Request
from neuron_core.usd import karma_settings
from neuron_houdini.engine.process import NO_WINDOW
from neuron_houdini.errors import HoudiniError

_PROGRESS = re.compile(r"ALF_PROGRESS\s+(\d+)%")
_LAST_WORDS = 2000  # characters that an error shows


class HuskError(HoudiniError):
    """husk could not be started, or did not render all."""


@dataclass(frozen=True, slots=True)
class Item:
    """Consecutive frames of one stage. Work of a farm or of TOPs: each can run by itself."""

    name: str  # a material, or `gbuffer`
    first: int
    count: int
    stage: Path
    output: str  # `$F4` is the frame

    def file_of(self, frame: int) -> Path:
        """The picture of a frame."""
        return Path(self.output.replace("$F4", f"{frame:04d}"))

    @property
    def frames(self) -> range:
        """Its frames."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True)
class Quality:
    """How Karma renders."""

    engine: str  # cpu or xpu
    samples: int  # a pixel
    resolution: tuple[int, int]


def items(folder: Path, request: Request, most: int = 0) -> list[Item]:
    """What is not rendered yet, as few commands of at most `most` frames each; 0 is any number."""
    found = []
    for name, frames in wanted_frames(request).items():
        output = f"{folder.as_posix()}/{FOLDER}/raw/{name}.$F4.exr"
        item = Item(name, 1, 0, folder / FOLDER / f"{name}.usda", output)
        missing = [frame for frame in frames if not _is_whole(item.file_of(frame))]
        found += [
            Item(name, first, count, item.stage, output) for first, count in _consecutive(missing, most)
        ]
    return found


def wanted_frames(request: Request) -> dict[str, list[int]]:
    """Frames by material, and those of the G-buffer first."""
    numbers = {camera.name: index for index, camera in enumerate(request.cameras, 1)}
    found = {GBUFFER: sorted(numbers.values())}
    for material in request.materials:
        splits = ("test",) if material.name in request.held_out else ("train", "val", "test")
        found[material.name] = sorted(numbers[name] for split in splits for name in request.splits[split])
    return found


def _is_whole(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _consecutive(frames: Sequence[int], most: int) -> list[tuple[int, int]]:
    """First frames and counts of runs without gaps."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame == sum(runs[-1]) and (not most or runs[-1][1] < most):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((frame, 1))
    return runs


def command(husk: str, item: Item, quality: Quality) -> list[str]:
    """The command line of an item."""
    settings = karma_settings.settings_path(
        karma_settings.GBUFFER if item.name == GBUFFER else karma_settings.BEAUTY
    )
    width, height = quality.resolution
    words = [husk, "--renderer", karma_settings.DELEGATE, "--engine", quality.engine, "--settings", settings]
    words += ["--frame", str(item.first), "--frame-count", str(item.count), "--frame-inc", "1"]
    words += ["--res", str(width), str(height), "--pixel-samples", str(quality.samples)]
    words += ["--purpose", "geometry,render", "--fast-exit", "1", "--verbose", "3a", "--make-output-path"]
    return [*words, "--output", item.output, item.stage.as_posix()]


class Process:
    """husk while it renders an item, in Houdini's own environment."""

    def __init__(self, words: Sequence[str], item: Item) -> None:
        self._item = item
        self._said: list[str] = []
        self._stopped = threading.Event()
        try:
            self._process = subprocess.Popen(
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                creationflags=NO_WINDOW,
            )
        except OSError as error:
            raise HuskError(
                f"husk does not start ({words[0]}): {error.strerror}.", "Name its program under husk."
            ) from error

    def cancel(self) -> None:
        """Stop it; the picture that it is at is lost."""
        self._stopped.set()
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self, progress: Callable[[float], None] | None = None) -> None:
        """Pass on progress, 0 to 1, until it ends. Raises HuskError unless every frame is there.

        If `progress` raises, husk is stopped before the error goes on.
        """
        assert self._process.stdout is not None
        done = 0.0
        try:
            for line in self._process.stdout:
                self._said = [*self._said[-99:], line]
                found = _PROGRESS.search(line)
                if found is not None and progress is not None:
                    done = max(done, self._share(int(found[1]) / 100.0))
                    progress(done)
        except BaseException:
            self.cancel()
            self._end()
            raise
        self._end()
        self._check()

    def _share(self, of_frame: float) -> float:
        """husk counts every frame from 0; frames that are there count whole."""
        there = sum(_is_whole(self._item.file_of(frame)) for frame in self._item.frames)
        return min((min(there, self._item.count - 1) + of_frame) / self._item.count, 1.0)

    def _end(self) -> None:
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._process.returncode != 0:
            self._drop_last()

    def _drop_last(self) -> None:
        """Remove the newest picture: husk may have been writing it."""
        there = [path for frame in self._item.frames if (path := self._item.file_of(frame)).is_file()]
        if there:
            max(there, key=lambda path: path.stat().st_mtime_ns).unlink()

    def _check(self) -> None:
        missing = [frame for frame in self._item.frames if not _is_whole(self._item.file_of(frame))]
        if self._stopped.is_set():
            raise HuskError("Stopped as asked.", "Render again to continue.")
        if self._process.returncode != 0 or missing:
            said = "".join(self._said)[-_LAST_WORDS:].strip()
            raise HuskError(
                f"husk ended with code {self._process.returncode}; {len(missing)} of {self._item.count} "
                f"pictures of {self._item.name} are missing.",
                said or "It said nothing.",
            )
