"""What is trained, a folder a family."""
