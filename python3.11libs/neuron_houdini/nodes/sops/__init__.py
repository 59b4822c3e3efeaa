"""The node types of geometry. Files that they read are written by the engine, on a button only."""
