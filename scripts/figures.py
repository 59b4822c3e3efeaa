"""Write the tables of figures in README and docs from docs/figures.json: python scripts/figures.py"""

import sys

import _environment

CODE = """
import sys
from pathlib import Path
from neuron_core.bench.pages import filled, misquoted, read_figures

root = Path(sys.argv[1])
figures = read_figures(root / "docs" / "figures.json")
for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
    before = page.read_text(encoding="utf-8")
    after = filled(before, figures)
    if after != before:
        page.write_text(after, encoding="utf-8")
        print("wrote", page.relative_to(root))
    for sentence in misquoted(after, figures):
        print(f"{page.relative_to(root)}: {sentence}", file=sys.stderr)
"""


def main() -> int:
    """Run it in the project's environment."""
    return _environment.run([str(_environment.ensure()), "-c", CODE, str(_environment.PROJECT)])


if __name__ == "__main__":
    sys.exit(_environment.guarded(main))
