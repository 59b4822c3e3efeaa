"""The whole loop in one call: python scripts/demo.py [--out DIR] [--quick]

Makes the environment on first use, then runs `neuron demo` with the same arguments.
"""

import sys

import _environment


def main() -> int:
    """Run the demo; does not return where the system can replace this process by it."""
    python = _environment.ensure()
    return _environment.replace_by([str(python), "-P", "-m", "neuron_core", "demo", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(_environment.guarded(main))
