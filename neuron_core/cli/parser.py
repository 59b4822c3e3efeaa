"""From words to a dataclass by tyro, and what is wrong with the words as data.

tyro draws its complaints as boxes for people. It also hands them over as events, by a hook that its
authors call experimental: all that is used of it is in this module. Where the hook is missing or says
something new, a complaint names the words as a whole.
"""

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from typing import Annotated, Any, get_type_hints

from neuron_core.foundation.options import help_of

HELP = ("-h", "--help")


class Helped(Exception):
    """Somebody asked for help; the message is the text, as wide as the terminal."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why words were rejected: a sentence, and the required arguments that they lack."""

    sentence: str
    missing: tuple[str, ...] = ()  # names of fields, if nothing else is wrong
    unknown: tuple[str, ...] = ()  # options that there are not


class Rejected(Exception):
    """The words do not make a config."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.sentence)
        self.complaint = complaint


def parsed(kind: type, prog: str, description: str, words: Sequence[str]) -> Any:
    """An instance of a dataclass, its fields without a default as positional arguments.

    Raises Rejected, or Helped if the words ask for help.
    """
    import tyro

    unknown = [] if set(words) & set(HELP) else unknown_options(kind, words)
    if unknown:
        raise Rejected(Complaint(f"Unrecognized options: {', '.join(unknown)}.", unknown=tuple(unknown)))
    markers = (
        tyro.conf.PositionalRequiredArgs,
        tyro.conf.PositionalMetavarFromFieldName,
        tyro.conf.UseAppendAction,
        tyro.conf.FlagCreatePairsOff,
        tyro.conf.DisallowNone,
    )
    shown, hidden = io.StringIO(), io.StringIO()
    try:
        with _raising(), contextlib.redirect_stdout(shown), contextlib.redirect_stderr(hidden):
            asked = documented(kind) if set(words) & set(HELP) else kind
            return tyro.cli(asked, prog=prog, description=description, args=list(words), config=markers)
    except SystemExit as end:
        if not end.code:
            raise Helped(shown.getvalue()) from None
        raise Rejected(Complaint(f"Cannot understand {' '.join(words)!r}.")) from None


def documented(kind: type) -> type:
    """The same fields, each with its help as one paragraph: tyro keeps the line breaks of the source."""
    import tyro

    helps, hints = help_of(kind), get_type_hints(kind, include_extras=True)
    rows = [
        (
            one.name,
            Annotated[hints[one.name], tyro.conf.arg(help=helps[one.name])],
            field(default=one.default, default_factory=one.default_factory),
        )
        for one in fields(kind)
    ]
    return make_dataclass(kind.__name__, rows)


def options_of(kind: type) -> list[str]:
    """The fields with a default, as they are written as options."""
    defaults = {one.name: (one.default, one.default_factory) for one in fields(kind)}
    optional = [name for name, default in defaults.items() if default != (MISSING, MISSING)]
    return [f"--{name.replace('_', '-')}" for name in optional]


def unknown_options(kind: type, words: Sequence[str]) -> list[str]:
    """Words that look like options, before a bare `--`, and are none of the dataclass."""
    end = list(words).index("--") if "--" in words else len(words)
    known = set(options_of(kind))
    named = [word.partition("=")[0] for word in words[:end] if word.startswith("--")]
    return [name for name in named if name.replace("_", "-") not in known and "tyro-" not in name]


@contextlib.contextmanager
def _raising() -> Iterator[None]:
    """A block in which tyro's complaints are raised as Rejected, where tyro has a hook for that."""
    try:
        from tyro._errors import on_parse_error
    except ImportError:
        yield
        return

    def reject(event: object) -> None:
        complaint = _complaint_of(event)
        if complaint is not None:
            raise Rejected(complaint)

    with on_parse_error(reject):
        yield


def _complaint_of(event: Any) -> Complaint | None:
    """The complaint in an event of tyro; None for one that has another form than those known here."""
    try:
        match type(event).__name__:
            case "MissingArgs":
                names = tuple(one.arg.display_name() for one in event.missing_arguments)
                alone = names if not event.unrecognized_tokens else ()
                return Complaint(f"Missing {' and '.join(name.upper() for name in names)}.", missing=alone)
            case "InvalidChoice":
                choices = ", ".join(event.choices)
                return Complaint(
                    f"Invalid choice {event.value!r} for {event.argument.display_name()}. Choose {choices}."
                )
            case "BadValue":
                return Complaint(f"Missing value for {_shown(event.argument)}.")
            case "UnrecognizedArgs":
                return Complaint(f"Too many arguments: {', '.join(event.tokens)}.")
            case "InstantiationFailure":
                return Complaint(f"Invalid value{_reason(event.message)} for {_shown(event.argument)}.")
    except (AttributeError, TypeError):
        pass
    return None


def _reason(message: str) -> str:
    """The value that Python could not convert, from what it says about that; else all it says."""
    found = re.search(r"'([^']*)'", message.strip().splitlines()[0] if message.strip() else "")
    return f" {found[0]}" if found else f" ({' '.join(message.split())})"


def _shown(argument: Any) -> str:
    """`--samples`, or the name of a positional argument as help shows it."""
    name = str(argument.display_name()) if argument is not None else "an option"
    return name if name.startswith("-") or argument is None else name.upper()
