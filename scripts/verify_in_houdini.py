"""Exercise Neuron in a real Houdini and write down what happened: hython scripts/verify_in_houdini.py [OUT]

Takes at most 15 minutes and an engine that is set up. OUT (default: neuron-verification in the current
folder) gets report.md, report.json and what the nodes made. In a Houdini with a window, run it from the
Python shell:

    import runpy; runpy.run_path("/path/to/scripts/verify_in_houdini.py", run_name="__main__")
"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "python3.11libs"), str(PROJECT / "scripts")]

import hou  # noqa: E402
from neuron_houdini.verify import run  # noqa: E402

if __name__ == "__main__":
    if hou.isUIAvailable():  # the words are those of Houdini's own command line, and it goes on
        run.main([])
    else:
        sys.exit(run.main(sys.argv[1:]))
