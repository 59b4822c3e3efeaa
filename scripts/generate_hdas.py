"""Write the digital assets in otls/ from their descriptions: python scripts/generate_hdas.py"""

from pathlib import Path

from houdini_assets.nodes import NODES
from houdini_assets.tree import write_tree

OTLS = Path(__file__).resolve().parent.parent / "otls"


def main() -> None:
    """Write every node type and say where."""
    for node in NODES:
        print(write_tree(node, OTLS))


if __name__ == "__main__":
    main()
