"""How every model is trained: objectives, phases, the loop, run folders, families."""
