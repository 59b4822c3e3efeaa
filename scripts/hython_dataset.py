"""Render ground truth without a window.

    hython scripts/hython_dataset.py out=/data/ball materials=brushed-copper,car-paint views=48
    hython scripts/hython_dataset.py --scene shot.hip --node /out/dataset1

Values are parameters of the node; `--help` lists the options.
"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "python3.11libs")]

from neuron_houdini.nodes.rops import batch  # noqa: E402

if __name__ == "__main__":
    sys.exit(batch.main("dataset", sys.argv[1:]))
