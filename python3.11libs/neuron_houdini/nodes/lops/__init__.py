"""The node types of /stage."""
