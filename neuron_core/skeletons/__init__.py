"""Skeletons: joints and poses as records."""
