"""Gaussian splats: what they are, how they are stored, drawn, and fitted to a baked field."""
