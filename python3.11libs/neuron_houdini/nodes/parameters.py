"""Parameters of nodes as options of the engine's tasks.

A parameter that has the name of an option stands for it; the config of the task says its type. So an
option needs no line here: a parameter of its name is enough (`scripts/houdini_assets` makes it).
"""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Mapping

import hou

from neuron_core.cli.registry import config_of
from neuron_core.foundation.options import Option, options_of

SEPARATORS = {"prompt": ";"}  # of several values in one parameter; blanks, if not said here
SAME: Mapping[str, str] = {}


def text(node: hou.OpNode, name: str) -> str:
    """A parameter as text, without blanks around it."""
    return str(node.evalParm(name)).strip()


def values_of(node: hou.OpNode, task: str, names: Mapping[str, str] = SAME) -> dict[str, object]:
    """What a node says of the options of a task, with the types of its config.

    Options that the node has no parameter for are left out. `names` says which parameters are called
    otherwise than their options.
    """
    found: dict[str, object] = {}
    for option in options_of(config_of(task)).values():
        parm = names.get(option.name, option.name)
        if node.parm(parm) is not None:
            found[option.name] = _value(node, parm, option)
    return found


def _value(node: hou.OpNode, parm: str, option: Option) -> object:
    written = text(node, parm)
    if option.many:
        parts = written.split(SEPARATORS.get(option.name))
        return tuple(option.kind(part.strip()) for part in parts if part.strip())
    if option.kind is bool:
        return bool(node.evalParm(parm))
    if option.kind in (int, float):
        number = option.kind(written)
        return number or (None if option.optional else number)  # 0 leaves it to the engine
    return option.kind(written) if written or not option.optional else None


def words_of(node: hou.OpNode, task: str, names: Mapping[str, str] = SAME, **given: object) -> list[str]:
    """The command line of a task. `given` are values that no parameter has; None leaves an option out."""
    values = {**values_of(node, task, names), **given}
    words, options = [task], options_of(config_of(task)).values()
    words += [str(values[option.name]) for option in options if option.required]
    for option in options:
        value = values.get(option.name)
        if not option.required and not _is_unsaid(option, value):
            words += _words(option, value)
    return words


def _is_unsaid(option: Option, value: object) -> bool:
    """Whether the task does the same without it. 0 is a value like others where the default is another."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return not value and not option.default
    return value in (None, False, "", ())


def _words(option: Option, value: object) -> list[str]:
    flag = f"--{option.name.replace('_', '-')}"
    if value is True:
        return [flag]
    several = value if isinstance(value, tuple) else (value,)
    return [word for item in several for word in (flag, _shown(item))]


def _shown(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)
