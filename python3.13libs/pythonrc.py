"""Run by Houdini 22 at its start, which looks here: what happens is in the other folder."""

import neuron_beside  # noqa: F401  # beside this file; lets Python find the other folder
from neuron_houdini import startup

startup.begin()
