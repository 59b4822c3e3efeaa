"""Draw an asset from a set of cameras into a folder of pictures."""
