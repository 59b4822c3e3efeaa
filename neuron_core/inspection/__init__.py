"""What a file or folder is, found out by its content, and what is wrong with it."""
