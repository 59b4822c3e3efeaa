"""The rasterizer of Gaussian splats."""
