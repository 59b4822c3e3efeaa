"""Write neuron_core/schema/generatedSchema.usda and plugInfo.json from schema.usda.

    python scripts/make_schema.py

Runs the generator that ships with USD (`usdGenSchema.py`, which needs jinja2).
"""

import sys

from neuron_core.foundation.errors import NeuronError
from neuron_core.usd.schema import FOLDER
from neuron_core.usd.schema_files import generate


def main() -> int:
    """Write the generated files beside their source."""
    try:
        files = generate(FOLDER / "schema.usda")
    except NeuronError as error:
        print(f"{error.message}\n  {error.hint}", file=sys.stderr)
        return 1
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
