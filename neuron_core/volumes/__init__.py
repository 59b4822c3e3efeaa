"""OpenVDB and NanoVDB, dense grids, and bricks made of them."""
