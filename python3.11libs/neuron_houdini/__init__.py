"""Neuron inside Houdini: parameters to commands of the engine, answers to prims and points.

Nothing here imports the engine's wheels. The engine runs in an environment and a process of its own.
"""
