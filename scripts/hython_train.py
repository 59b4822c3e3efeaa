"""Train on a dataset and bake the asset without a window.

    hython scripts/hython_train.py dataset=/data/ball run=/data/run asset=/data/ball.neuron
    hython scripts/hython_train.py --scene shot.hip --node /out/train1

Values are parameters of the node; `--help` lists the options.
"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "python3.11libs")]

from neuron_houdini.nodes.rops import batch  # noqa: E402

if __name__ == "__main__":
    sys.exit(batch.main("train", sys.argv[1:]))
