"""The one base of everything that a user can cause.

An error says what is wrong, with the value, and what to do. `assert` is for our own bugs.
"""


class NeuronError(Exception):
    """What went wrong, for a person: one sentence with the value, and a hint what to do.

    `kind` is a stable word for programs ("file", "dataset", "asset", ...); subclasses set it.
    """

    kind = "input"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def text(self) -> str:
        """Message and hint in one text, as dialogs show it."""
        return f"{self.message} {self.hint}".strip()


class FileError(NeuronError):
    """A file or folder that is missing, unreadable, damaged or cannot be written."""

    kind = "file"


class ConfigMismatchError(NeuronError):
    """The output was made with another config; nothing was touched."""

    kind = "config"


class ClaimedError(NeuronError):
    """Another process is writing this output right now; nothing was touched."""

    kind = "claimed"
