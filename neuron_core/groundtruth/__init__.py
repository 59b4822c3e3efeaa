"""Who renders what a dataset holds, and how it is planned."""
