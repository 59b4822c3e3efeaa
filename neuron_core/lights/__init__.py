"""Lights: environments as arrays over directions."""
