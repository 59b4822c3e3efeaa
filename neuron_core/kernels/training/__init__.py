"""What training runs on: hash grids, samples along rays."""
