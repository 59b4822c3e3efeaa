"""From the words of a command line to a task's config.

The options are made from the config's dataclass: names and defaults are the fields', help texts
are the texts below them. A tuple option is repeated (`--prompt a --prompt b`).
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from neuron_core.cli.parser import Complaint, Helped, Rejected, options_of, parsed
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
    config_class = load(task.config)
    if "overwrite" not in {field.name for field in fields(config_class)}:
        words = [word for word in words if word != "--overwrite"]  # nothing that it could overwrite
    description = f"{task.summary[:1].upper()}{task.summary[1:]}."
    try:
        return parsed(config_class, f"neuron {task.name}", description, words)
    except Helped as text:
        rows = [row.rstrip() for row in str(text).strip().splitlines()]
        raise HelpRequested("\n".join([*rows, "", SWITCHES_HELP])) from None
    except Rejected as rejected:
        complaint = rejected.complaint
        if task.optional and set(complaint.missing) == set(task.optional):
            filled = parse(replace(task, optional=()), [*words, *(NOTHING for _ in task.optional)])
            return replace(filled, **dict.fromkeys(task.optional))
        raise _arguments_error(task, config_class, complaint) from None


def _arguments_error(task: Task, config_class: type, complaint: Complaint) -> ArgumentsError:
    hint = f"`neuron {task.name} --help` lists what it takes."
    known = options_of(config_class)
    near = [one for name in complaint.unknown for one in get_close_matches(name, known, n=1, cutoff=0.7)]
    if near:
        hint = f"Perhaps you meant {' or '.join(dict.fromkeys(near))}. {hint}"
    return ArgumentsError(complaint.sentence, hint)
