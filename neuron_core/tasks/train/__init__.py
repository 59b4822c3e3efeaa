"""Fit a field to a dataset."""
