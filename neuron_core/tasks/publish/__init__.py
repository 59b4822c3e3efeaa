"""Publish assets into libraries."""
