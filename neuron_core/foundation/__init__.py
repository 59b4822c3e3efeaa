"""What every layer may use: errors, files, progress, colors. Standard library and numpy only."""
