"""Meshes and points of baked fields."""
