"""Write assets, and splats, as files of other programs."""
