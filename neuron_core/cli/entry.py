"""The command `neuron`."""

import difflib
import faulthandler
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from neuron_core import __version__
from neuron_core.cli.arguments import (
    SWITCHES_HELP,
    ArgumentsError,
    HelpRequested,
    load,
    parse,
    split_switches,
)
from neuron_core.cli.failures import failure_of
from neuron_core.cli.output import Output, plain
from neuron_core.cli.registry import TASKS, Task, group_of, match_task
from neuron_core.cli.reporters import listener_for, say
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import FileError

Result = Mapping[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    0 means a result, 2 an error that a person can mend, 1 one that only we can, 128 + N stopped by
    signal N.
    """
    interrupts.install()
    switches, words = split_switches(sys.argv[1:] if arguments is None else arguments)
    if switches.debug:
        faulthandler.enable()
    with Output() as output:
        try:
            answer = _answer(words, output, switches.json)
            if switches.json and answers():
                output.write_event("result", answer)
            elif answers():
                output.write_line(_summary(answer))
            return 0
        except BaseException as error:  # noqa: BLE001 - the one place where every end becomes an answer
            return _report_failure(error, words, output, switches.json, switches.debug)


def answers() -> bool:
    """Whether this process gives the answer; of several that torchrun started, the first one does."""
    return os.environ.get("WORLD_SIZE", "1") in ("", "1") or os.environ.get("RANK", "0") == "0"


def _answer(words: Sequence[str], output: Output, as_json: bool) -> Result:
    """Do what the words ask for. Text meant for people stands under `summary`."""
    if not words or words[0] in ("-h", "--help", "help"):
        return {"summary": overview()}
    if words[0] == "--version":
        return {"version": __version__, "summary": f"neuron {__version__}"}
    task, rest = match_task(words)
    if task is None and group_of(words[0]) and rest[1:] in ([], ["-h"], ["--help"]):
        return {"summary": overview(group_of(words[0]))}
    if task is None:
        raise _unknown_task(words)
    try:
        config = parse(task, rest)
    except HelpRequested as request:
        return {"summary": str(request)}
    return _run(task, config, output, as_json)


def _run(task: Task, config: object, output: Output, as_json: bool) -> Result:
    listener = listener_for(output, as_json)
    try:
        run: Callable[..., Result] = load(task.run)
        result = run(config, listener)
    finally:
        listener.close()
    return {**result, "warnings": listener.warnings} if listener.warnings else result


def _report_failure(
    error: BaseException, words: Sequence[str], output: Output, as_json: bool, debug: bool
) -> int:
    failure = failure_of(error)
    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    task, _ = match_task(words)
    command = f"neuron {task.name}" if task else "neuron"
    say(f"{command}: {failure.message}" + (f"\n  {failure.hint}" if failure.hint else ""))
    if as_json:
        try:
            output.write_event(
                "error", {"kind": failure.kind, "message": failure.message, "hint": failure.hint}
            )
        except FileError as second:  # as on a full disk; standard error has the first one
            say(f"{command}: {second}")
    return failure.exit_code


def _unknown_task(words: Sequence[str]) -> ArgumentsError:
    name = " ".join(words[:2]) if group_of(words[0]) else words[0]
    similar = difflib.get_close_matches(name, [task.name for task in TASKS], n=1)
    hint = f"Perhaps you meant {similar[0]}. " if similar else ""
    return ArgumentsError(f"There is no task {name!r}.", hint + "`neuron --help` lists the tasks.")


def overview(tasks: Sequence[Task] | None = None) -> str:
    """The tasks, by default all, with a line each."""
    tasks = TASKS if tasks is None else tasks
    calls = [" ".join((task.name, *(name.upper() for name in task.positionals))) for task in tasks]
    width = max(len(call) for call in calls)
    rows = [f"  {call:{width}}  {task.summary}" for call, task in zip(calls, tasks, strict=True)]
    return "\n".join(
        (
            "usage: neuron TASK ...",
            "",
            "Shaded assets as neural assets: train them from renders, steer them by a prompt, deliver them.",
            "",
            "tasks (`neuron TASK --help` for each):",
            *rows,
            "",
            SWITCHES_HELP,
        )
    )


def _summary(answer: Result) -> str:
    """What a person reads of a result: its own summary, or its plain values line by line."""
    if "summary" in answer:
        return str(answer["summary"])
    lines = [(key, plain(value)) for key, value in answer.items() if key != "warnings"]
    return "\n".join(f"{key}: {value}" for key, value in lines if not isinstance(value, list | dict))
