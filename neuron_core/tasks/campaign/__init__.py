"""Train a family from a first try to gated weights."""
