"""The command line: one subcommand a task, for people and, with `--json`, for programs."""

from neuron_core.cli.entry import main

__all__ = ["main"]
