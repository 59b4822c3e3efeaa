"""The engine beside Houdini: where it is, its processes, jobs, husk, and setting it up.

Runs without Houdini and without Qt; nothing here imports `hou`.
"""
