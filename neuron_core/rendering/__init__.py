"""Pictures of baked assets and of stages. Needs no torch."""
