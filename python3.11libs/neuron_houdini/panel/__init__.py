"""The window of Neuron in Houdini: published assets, jobs, and setting the engine up.

`library` reads what is shown and knows no Qt; the other modules draw it, with PySide6 or, in older
Houdinis, with PySide2. Nothing here waits for the engine: widgets look at jobs from a timer.
"""
