"""From the words of a command line to a task's config.

The options are made from the config's dataclass: names and defaults are the fields', help texts
are the comments beside them. A tuple option is repeated (`--prompt a --prompt b`).
"""

import contextlib
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from neuron_core.cli.registry import Task
from neuron_core.foundation.errors import NeuronError

NOTHING = "nothing"  # stands where an argument was left out


class ArgumentsError(NeuronError):
    """A command line that the task does not understand."""

    kind = "arguments"


class HelpRequested(Exception):
    """Somebody asked what a task takes; the message is the answer."""


@dataclass(frozen=True, slots=True)
class Switches:
    """What the command line itself takes, for every task."""

    json: bool = False  # progress and the result as JSON lines on standard output
    debug: bool = False  # tracebacks


SWITCHES_HELP = """\
every task also takes:
  --json         progress and the result as JSON, one object a line
  --debug        show tracebacks of errors"""


def split_switches(words: Sequence[str]) -> tuple[Switches, list[str]]:
    """Take `--json` and `--debug` out, wherever they stand before a bare `--`."""
    end = list(words).index("--") if "--" in words else len(words)
    own, rest = words[:end], words[end:]
    left = [word for word in own if word not in ("--json", "--debug")]
    return Switches(json="--json" in own, debug="--debug" in own), [*left, *rest]


def load(reference: str) -> Any:
    """Import what `module:name` names."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def parse(task: Task, words: Sequence[str]) -> Any:
    """Build the task's config. Raises ArgumentsError, or HelpRequested with the text to show."""
    import tyro

    config_class = load(task.config)
    if "overwrite" not in {field.name for field in fields(config_class)}:
        words = [word for word in words if word != "--overwrite"]  # nothing that it could overwrite
    shown, complaint = io.StringIO(), io.StringIO()
    markers = (
        tyro.conf.PositionalRequiredArgs,
        tyro.conf.PositionalMetavarFromFieldName,
        tyro.conf.UseAppendAction,
        tyro.conf.FlagCreatePairsOff,
        tyro.conf.DisallowNone,
    )
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(complaint):
            return tyro.cli(
                config_class,
                prog=f"neuron {task.name}",
                description=f"{task.summary[:1].upper()}{task.summary[1:]}.",
                args=list(words),
                config=markers,
            )
    except SystemExit as end:
        if not end.code:
            rows = [row.rstrip() for row in shown.getvalue().strip().splitlines()]
            raise HelpRequested("\n".join([*rows, "", SWITCHES_HELP])) from None
        if _lacks_only(task, complaint.getvalue()):
            filled = parse(replace(task, optional=()), [*words, *(NOTHING for _ in task.optional)])
            return replace(filled, **dict.fromkeys(task.optional))
        raise _arguments_error(task, complaint.getvalue()) from None


def _lacks_only(task: Task, complaint: str) -> bool:
    """Whether nothing is wrong but that what may be left out was left out."""
    rows = [row.strip("│|+╭╮╰╯ ") for row in complaint.splitlines()]
    title = next((row for row in rows if row), "")
    lacking = {row.lower() for row in rows if row.lower() in task.positionals}
    return bool(task.optional) and "Required" in title and lacking == set(task.optional)


def _arguments_error(task: Task, complaint: str) -> ArgumentsError:
    """Turn the parser's framed text into one sentence and a hint.

    The frame holds a title and sections between rules; the first section says what is wrong.
    """
    rows = [row.strip("│|+╭╮╰╯ ") for row in complaint.splitlines()]
    title, *rest = [row for row in rows if row] or [""]
    sections: list[list[str]] = [[]]
    for row in rest:
        if row.strip("─-"):
            sections[-1].append(row)
        else:
            sections.append([])
    said, *others = [section for section in sections if section] or [[title]]
    message = " ".join(said).partition(" Got errors:")[0]
    if "Required" in title:
        message = f"Missing {' and '.join(row for row in said if row.lower() in task.positionals)}"
    similar = [row.split()[0] for section in others for row in section if row.startswith("--")]
    hint = f"`neuron {task.name} --help` lists what it takes."
    if similar and "Unrecognized" in title:
        hint = f"Perhaps you meant {' or '.join(dict.fromkeys(similar))}. {hint}"
    return ArgumentsError(f"{message[:1].upper()}{message[1:].rstrip('.')}.", hint)
