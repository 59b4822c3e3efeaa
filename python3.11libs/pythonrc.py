"""Run by Houdini at its start, before its window and its assets."""

import neuron_startup

neuron_startup.begin()
