"""The tools of the shelf."""
