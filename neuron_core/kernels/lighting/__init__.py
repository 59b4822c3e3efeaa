"""Visibility over surfaces."""
