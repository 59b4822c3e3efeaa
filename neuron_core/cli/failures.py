"""What went wrong, in the words and exit codes that people and programs get."""

import errno
from dataclasses import dataclass

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.interrupts import Stopped

USER, INTERNAL, INTERRUPTED = 2, 1, 130  # exit codes; a stopped task exits with 128 + its signal

# Errors of the system that a person can do something about.
_SYSTEM_ERRORS = frozenset(
    getattr(errno, name)
    for name in (
        "EACCES EPERM EROFS ENOSPC EDQUOT EFBIG EMFILE ENAMETOOLONG ENOENT ENOTDIR EISDIR EIO".split()
    )
    if hasattr(errno, name)
)


@dataclass(frozen=True, slots=True)
class Failure:
    """`kind` is a stable word for programs; `message` and `hint` are for people."""

    kind: str
    message: str
    hint: str
    exit_code: int


def failure_of(error: BaseException) -> Failure:
    """Name what happened. What nobody foresaw is `internal`."""
    if isinstance(error, Stopped | KeyboardInterrupt):
        code = error.exit_code if isinstance(error, Stopped) else INTERRUPTED
        hint = "The same command resumes where it stopped."
        return Failure("stopped", "Stopped as asked; what was finished is on disk.", hint, code)
    if isinstance(error, NeuronError):
        return Failure(error.kind, error.message, error.hint, USER)
    if _is_out_of_memory(error):
        hint = "Lower the resolution, the number of samples or of views, or close other programs."
        return Failure("memory", "There is not enough memory for this.", hint, USER)
    if isinstance(error, ImportError) and not (error.name or "").startswith("neuron_core"):
        hint = "`python scripts/demo.py` sets up an environment that has everything."
        return Failure("environment", f"A library is missing or does not load: {error}.", hint, USER)
    if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
        where = f" {error.filename}" if error.filename else ""
        hint = "Look at the path, the permissions and the space left."
        return Failure("file", f"Cannot read or write{where}: {error.strerror}.", hint, USER)
    message = f"Internal error: {type(error).__name__}: {error}"
    hint = "Run it again with --debug for the traceback, and report it."
    return Failure("internal", message, hint, INTERNAL)


def _is_out_of_memory(error: BaseException) -> bool:
    # torch has names of its own for it, and is not imported here.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
