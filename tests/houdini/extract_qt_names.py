"""Look up what the panel uses of Qt in a PySide2, as Houdini 20.5 has it.

    python -m tests.houdini.extract_qt_names

Run it with a Python that has PySide2 5.15. The result is tests/houdini/qt_names.json, which is not edited:
the names that the panel writes out, and of the attributes that it uses those that some class of Qt has.
"""

import ast
import importlib
import json
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
TABLE = PROJECT / "tests" / "houdini" / "qt_names.json"
PANEL = PROJECT / "python3.11libs" / "neuron_houdini" / "panel"
MODULES = ("QtCore", "QtGui", "QtWidgets")


def used_chains() -> set[str]:
    """Every `QtCore.a.b` in the panel, the longest of each."""
    found = set()
    for tree in _trees():
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                text = ast.unparse(node)
                if text.partition(".")[0] in MODULES and "(" not in text:
                    found.add(text)
    return found


def used_attributes() -> set[str]:
    """Names after dots in the panel, and methods that it defines, but for those that paths have too."""
    names = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.FunctionDef):
                names.add(node.name)
    return {name for name in names if not name.startswith("_")} - set(dir(Path))


def _trees() -> list[ast.Module]:
    return [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PANEL.glob("*.py"))]


def exists(package: str, chain: str) -> bool:
    """Whether a binding has `QtCore.a.b`."""
    module, *names = chain.split(".")
    found: Any = importlib.import_module(f"{package}.{module}")
    for name in names:
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


def attributes_of_qt(package: str) -> set[str]:
    """Everything that the classes of a binding have."""
    names: set[str] = set()
    for name in MODULES:
        module = importlib.import_module(f"{package}.{name}")
        for item in (
            getattr(module, entry) for entry in dir(module)
        ):  # classes appear when they are asked for
            if isinstance(item, type):
                names.update(dir(item))
    return names


def main() -> None:
    """Write the table. Names that PySide2 lacks are left out, and a test will say so."""
    version = importlib.import_module("PySide2").__version__
    chains = sorted(chain for chain in used_chains() if exists("PySide2", chain))
    attributes = sorted(used_attributes() & attributes_of_qt("PySide2"))
    table = {"about": f"Names of PySide2 {version}.", "attributes": attributes, "chains": chains}
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(TABLE)


if __name__ == "__main__":
    main()
