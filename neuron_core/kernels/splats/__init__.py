"""The rasteriser of Gaussian splats."""
