"""Functions and files that a person can read at once, in Python and in C++."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("neuron_core", "python3.11libs", "python3.13libs", "scripts")
LONGEST_FILE = 500
LONGEST_FUNCTION = 60  # without its docstring
MEDIAN_FUNCTION = 8
HEAD = re.compile(r"\b(\w+)\s*\([^;{}]*\)\s*(?:const\s*)?$")
CONTROL = {"if", "for", "while", "switch", "catch"}


def files(*endings: str) -> list[Path]:
    found = [path for room in ROOMS for ending in endings for path in (PROJECT / room).rglob(f"*{ending}")]
    return [path for path in found if "__pycache__" not in path.parts]


def python_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            has_docstring = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
            length = (node.end_lineno or 0) - node.lineno + 1 - docstring
            yield f"{path.relative_to(PROJECT)} {node.name}", length


def native_functions(path: Path) -> Iterator[tuple[str, int]]:
    text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
    opened: list[tuple[int, str]] = []
    for mark in re.finditer(r"[{}]", text):
        if mark[0] == "{":
            before = text[: mark.start()].rstrip()
            head = HEAD.search(before[-1000:])
            opened.append((text.count("\n", 0, mark.start()), head[1] if head else ""))
        else:
            line, name = opened.pop()
            if name and name not in CONTROL:
                yield f"{path.relative_to(PROJECT)} {name}", text.count("\n", 0, mark.start()) - line + 1
    assert not opened, path


def functions() -> list[tuple[str, int]]:
    python = [one for path in files(".py") for one in python_functions(path)]
    return python + [one for path in files(".h") for one in native_functions(path)]


def test_no_file_is_long():
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in files(".py", ".h")}
    assert len(lengths) > 500
    assert not {str(path): length for path, length in lengths.items() if length > LONGEST_FILE}


def test_no_function_is_long_and_most_are_short():
    found = functions()
    assert not [one for one in found if one[1] > LONGEST_FUNCTION]
    assert statistics.median(length for _, length in found) <= MEDIAN_FUNCTION


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int one(int a) {\n  return a;\n}\n", [("one", 3)]),
        ("struct S {\n  int two() const {\n    if (x) {\n    }\n    return 1;\n  }\n};\n", [("two", 5)]),
        ("struct S { int a; };\n// f() {\n", []),
    ],
)
def test_functions_in_c_plus_plus_are_found(tmp_path, monkeypatch, text, expected):
    monkeypatch.setattr(f"{__name__}.PROJECT", tmp_path)
    header = tmp_path / "a.h"
    header.write_text(text)
    assert [(name.split()[-1], length) for name, length in native_functions(header)] == expected
