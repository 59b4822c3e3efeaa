"""Give a baked asset new looks, and edit the ones that it has, without training."""
