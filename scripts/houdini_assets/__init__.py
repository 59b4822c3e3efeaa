"""Houdini digital assets as data: described in Python, written as expanded text, packed to `.hda`."""
