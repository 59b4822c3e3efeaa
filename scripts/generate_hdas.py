"""Write the digital assets in otls/ from their descriptions: python scripts/generate_hdas.py"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))  # parameters are made from the engine's configs

from houdini_assets.nodes import NODES  # noqa: E402
from houdini_assets.tree import write_tree  # noqa: E402


def main() -> None:
    """Write every node type and say where."""
    for node in NODES:
        print(write_tree(node, PROJECT / "otls"))


if __name__ == "__main__":
    main()
