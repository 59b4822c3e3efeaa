"""Say what a file or folder is, and check it."""
