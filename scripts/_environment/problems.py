"""What a person reads when the environment cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Callable


class EnvironmentProblem(Exception):
    """Why there is no environment, and what to do."""


def say(text: str) -> None:
    """Write to standard error; standard output belongs to the program that is started."""
    print(text, file=sys.stderr, flush=True)


def guarded(body: Callable[[], int]) -> int:
    """Run a script's body; problems become a message and an exit code."""
    try:
        return body()
    except EnvironmentProblem as problem:
        say(str(problem))
    except OSError as error:
        say(f"Setting up the environment failed: {error}.")
    except KeyboardInterrupt:
        say("Stopped. The same command resumes where it stopped.")
        return 130
    return 2
