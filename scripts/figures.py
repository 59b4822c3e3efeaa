"""Write the tables of figures in README and docs from docs/figures.json: python scripts/figures.py"""

import sys

import _environment

CODE = """
import sys
from pathlib import Path
from neuron_core.bench.pages import write_pages
written, wrong = write_pages(Path(sys.argv[1]))
print(*(f"wrote {page}" for page in written), *wrong, sep=chr(10))
sys.exit(2 if wrong else 0)
"""


def main() -> int:
    """Run it in the project's environment."""
    return _environment.run([str(_environment.ensure()), "-c", CODE, str(_environment.PROJECT)])


if __name__ == "__main__":
    sys.exit(_environment.guarded(main))
