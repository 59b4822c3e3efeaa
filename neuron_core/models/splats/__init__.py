"""Splats that are refined until they draw what a field draws."""
