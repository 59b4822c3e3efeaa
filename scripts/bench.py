"""The figures of the README on this machine: python scripts/bench.py [--only NAMES] [--quick]

Makes the environment on first use, with the peers that are measured against, then runs
`neuron bench` with the same arguments.
"""

import sys

import _environment


def main() -> int:
    """Run the benchmark; does not return where the system can replace this process by it."""
    python = _environment.ensure(["bench"])
    return _environment.replace_by([str(python), "-P", "-m", "neuron_core", "bench", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(_environment.guarded(main))
