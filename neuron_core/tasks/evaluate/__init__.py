"""Measure fields and assets against the truth of a dataset."""
