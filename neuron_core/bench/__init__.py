"""The figures of the README, measured: `neuron bench`."""
