"""Make and change shots: new, add, set."""
