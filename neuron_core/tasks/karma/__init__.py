"""Datasets whose pictures Karma renders: what is to be rendered, and the conversion of what came out."""
