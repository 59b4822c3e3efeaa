"""Turn a trained field into voxels that draw fast, in one file."""
