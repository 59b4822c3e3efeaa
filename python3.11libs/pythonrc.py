"""Run by Houdini at its start, before its window and its assets."""

from neuron_houdini import startup

startup.begin()
