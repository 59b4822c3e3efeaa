"""List, search, flatten and check stages and libraries."""
