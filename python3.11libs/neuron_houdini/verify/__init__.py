"""Exercising Neuron in a real Houdini, for `scripts/verify_in_houdini.py`, and writing down what happened.

Every check stands for itself: what fails is in the report with its traceback, the rest is checked all
the same. Needs an engine that is set up, and `scripts` on Python's path for the descriptions of the assets.
"""
