"""Reproducible experiments: what the documentation's tables come from."""
