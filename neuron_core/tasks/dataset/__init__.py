"""Render what a field learns from: one object under one light, in many materials, from many cameras."""
