"""Extract what our code uses of Houdini's own node types from a table of all of them.

    python -m tests.houdini.extract_node_table NODES.json

NODES.json has, by context (`sop`, `lop`, `driver` ...) and type, the parameters with their kinds and the
named inputs, as a Houdini lists them. The result is tests/houdini/node_table.json, which is not edited.
"""

import ast
import json
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "scripts"))  # as pytest is told to

from houdini_assets.nodes import NODES  # noqa: E402

TABLE = PROJECT / "tests" / "houdini" / "node_table.json"
CODE = ("python3.11libs/**/*.py", "scripts/*.py")
PANELS = ("toolbar/*.shelf", "python_panels/*.pypanel", "*.xml")
CONTEXTS = {"Sop": "sop", "Lop": "lop", "Driver": "driver"}


def used_types() -> set[tuple[str, str]]:
    """Contexts and types of inner networks; "" is any context, for nodes that code creates."""
    inner = {(CONTEXTS[node.table], part.type) for node in NODES for part in node.network}
    created = {
        name
        for pattern in CODE
        for path in PROJECT.glob(pattern)
        for name in created_in(path.read_text(encoding="utf-8"))
    }
    for pattern in PANELS:
        for path in PROJECT.glob(pattern):
            created |= set(re.findall(r"createNode\(\s*[\"']([^\"']+)", path.read_text(encoding="utf-8")))
    return inner | {("", name) for name in created if not name.startswith("neuron::")}


def created_in(source: str) -> set[str]:
    """The types that `createNode` is called with, where they are written out."""
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "createNode" and call.args
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def extract(nodes: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """The rows of the table for the types that are used. Raises KeyError for a type that is in none."""
    table: dict[str, dict[str, object]] = {}
    for context, name in sorted(used_types()):
        places = (
            [context] if context else [key for key in nodes if key in CONTEXTS.values() or key == "object"]
        )
        found = [place for place in places if name in nodes[place]]
        if not found:
            raise KeyError(f"there is no node type {name}")
        for place in found:
            table.setdefault(place, {})[name] = nodes[place][name]
    return table


def main() -> None:
    """Write the table."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    nodes = {key: value for key, value in content.items() if isinstance(value, dict)}
    table = {"about": str(content.get("_about", "")), "nodes": extract(nodes)}
    TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(TABLE)


if __name__ == "__main__":
    main()
