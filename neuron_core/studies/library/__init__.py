"""How well a field of hundreds of materials draws combinations that it never saw."""
