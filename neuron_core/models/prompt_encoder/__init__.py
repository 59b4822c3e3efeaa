"""The embedded prompt encoder: a small CLIP of pictures of materials and the words for them."""
