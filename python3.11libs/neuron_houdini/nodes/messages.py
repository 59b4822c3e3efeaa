"""Errors as Houdini shows them: as the error of a node, or in a dialog. Always with their hints."""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Iterator
from contextlib import contextmanager

import hou

from neuron_core.foundation.errors import NeuronError


@contextmanager
def node_errors() -> Iterator[None]:
    """What a user can cause becomes the error of the node that cooks or renders: a hou.NodeError."""
    try:
        yield
    except NeuronError as error:
        raise hou.NodeError(error.text) from error


def show(problem: NeuronError | str) -> None:
    """Show an error in a dialog, or raise hou.NodeError where there is no desktop."""
    text = problem.text if isinstance(problem, NeuronError) else problem
    if hou.isUIAvailable():
        hou.ui.displayMessage(text, severity=hou.severityType.Error, title="Neuron")
    else:
        raise hou.NodeError(text)
