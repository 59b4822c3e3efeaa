"""The drivers of /out: parameters to commands of the engine."""
