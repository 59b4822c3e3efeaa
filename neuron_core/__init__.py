"""Neuron: shaded assets as neural assets.

Importing the package costs nothing: every heavy library is imported by the module that needs it.
"""

__version__ = "0.1.0"
