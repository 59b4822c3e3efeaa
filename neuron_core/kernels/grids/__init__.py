"""Sparse and dense grids."""
