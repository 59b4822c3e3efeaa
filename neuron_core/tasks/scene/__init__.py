"""Author, list, search, flatten and check stages."""
