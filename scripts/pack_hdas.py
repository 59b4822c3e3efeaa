"""Pack the digital assets in otls/ into one binary file each: python scripts/pack_hdas.py OUT"""

import sys
from pathlib import Path

from houdini_assets.binary import pack
from houdini_assets.tree import read_tree

OTLS = Path(__file__).resolve().parent.parent / "otls"


def pack_all(out: Path) -> list[Path]:
    """Pack every expanded asset into the folder `out`; the same trees give the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for folder in sorted(OTLS.glob("*.hda")):
        path = out / folder.name
        path.write_bytes(pack(read_tree(folder)))
        written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: pack_hdas.py OUT")
    for written_file in pack_all(Path(sys.argv[1])):
        print(written_file)
