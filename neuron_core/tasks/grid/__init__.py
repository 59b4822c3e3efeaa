"""Sample a baked asset into a grid that programs without the engine read."""
