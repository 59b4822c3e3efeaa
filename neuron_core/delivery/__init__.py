"""Baked assets, and stages of them, as files of other programs: splats, volumes, meshes, points."""
