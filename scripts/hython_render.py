"""Draw a file, or the stage of a LOP node of a scene without a window.

    hython scripts/hython_render.py source=asset asset=/data/ball.neuron out=/data/pictures
    hython scripts/hython_render.py --scene shot.hip --node /out/render1

Values are parameters of the node; `--help` lists the options.
"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "python3.11libs")]

from neuron_houdini.nodes.rops import batch  # noqa: E402

if __name__ == "__main__":
    sys.exit(batch.main("render", sys.argv[1:]))
