"""Marching, shading and compositing of baked assets."""
