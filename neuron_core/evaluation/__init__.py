"""What is measured, against what, in which table."""
