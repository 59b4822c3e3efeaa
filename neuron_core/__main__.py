"""`python -m neuron_core` is the command `neuron`."""

import sys

from neuron_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
