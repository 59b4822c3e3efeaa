"""Published assets: versions, pins, the index of a library."""
