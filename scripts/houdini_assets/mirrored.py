"""Parameters that stand for options of the engine: made from the configs of its tasks.

A row says what a node shows of a field: its label, and what a person needs beside it. Type, default,
choices, smallest value and help are those of the config. The node's code sends every parameter that has
the name of an option, so a row is all that a new option needs.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from houdini_assets.description import Menu, Parm, ParmType
from neuron_core.cli.registry import config_of
from neuron_core.foundation.options import Option, help_of, options_of

TYPES: dict[type, ParmType] = {bool: "toggle", int: "integer", float: "float", str: "string", Path: "string"}


@dataclass(frozen=True, slots=True)
class Row:
    """How a node shows a field of a config. What is empty comes from the config."""

    field: str
    label: str
    most: float | None = None  # where the slider ends; larger values can be typed
    name: str = ""  # of the parameter, where it cannot be the field's
    default: str = ""
    help: str = ""
    note: str = ""  # after the help of the config
    choices: tuple[str, ...] = ()  # labels, in the order of the config
    path: Literal["", "folder", "read", "write"] = ""  # what its button picks
    pattern: str = ""  # of the files that are picked
    hide_when: str = ""
    disable_when: str = ""
    tags: tuple[tuple[str, str], ...] = ()


def mirrored(task: str, *rows: Row) -> tuple[Parm, ...]:
    """The parameters of some options of a task. Raises KeyError for a field that its config lacks."""
    config = config_of(task)
    options, helps = options_of(config), help_of(config)
    return tuple(parm_of(row, task, options[row.field], helps[row.field]) for row in rows)


def parm_of(row: Row, task: str, option: Option, help_text: str) -> Parm:
    """The parameter of a row."""
    parm = Parm(
        name=row.name or option.name,
        label=row.label,
        type=TYPES[option.kind],
        default=(row.default or default_of(option),),
        help=help_of_row(row, option, help_text),
        menu=menu_of(row, option),
        range=range_of(row, option),
        hide_when=row.hide_when,
        disable_when=row.disable_when,
        tags=row.tags,
        option=(task, option.name),
    )
    if row.path == "folder":
        return replace(parm, type="directory")
    if row.path:
        chosen = (("filechooser_pattern", row.pattern),) if row.pattern else ()
        return replace(parm, type="file", tags=(("filechooser_mode", row.path), *chosen, *row.tags))
    return parm


def help_of_row(row: Row, option: Option, help_text: str) -> str:
    """The config's help. A note follows it; how several values are written stands in the same sentence."""
    text = row.help or help_text
    if option.many and row.note:
        return f"{text.removesuffix('.')} ({row.note})."
    return f"{text} {row.note}".strip()


def default_of(option: Option) -> str:
    """The default of a field as a parameter has it: 0 and an empty text are nothing."""
    if option.default in (None, ()):
        return "0" if option.kind in (int, float) else ""
    assert not option.required, f"{option.name} needs a default in its row"
    if isinstance(option.default, float):
        return _plain(option.default)
    return str(int(option.default)) if isinstance(option.default, bool) else str(option.default)


def menu_of(row: Row, option: Option) -> Menu | None:
    """The choices of a field, each with its label."""
    if not option.choices:
        return None
    return Menu(tuple(zip(option.choices, row.choices, strict=True)), kind="menureplace")


def range_of(row: Row, option: Option) -> str:
    """No smaller value than the config takes, or 0 for none at all; the slider ends where the row says."""
    if option.limits is None:
        return ""
    low = 0 if option.optional else option.limits.low
    most = option.limits.high if row.most is None else row.most
    return f"{_plain(low)}! {_plain(most)}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"
