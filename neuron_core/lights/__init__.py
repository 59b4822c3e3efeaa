"""Lights: environments as arrays over directions, and records of lights."""
