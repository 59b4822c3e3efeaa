"""One module a node type, in `lops`, `sops` and `rops`; beside them what several types need."""
