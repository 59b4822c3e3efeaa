"""What the published stubs of Houdini say, parsed once and kept as JSON beside pytest's cache."""

import ast
import copy
import importlib.util
import json
import os
from functools import cache, lru_cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
KEPT = PROJECT / ".pytest_cache"

Members = dict[
    str, list[str]
]  # name -> arguments as in a lambda, one text for each overload; "" is not a method
NO_METHOD = "-"


def stub_path() -> Path:
    """The stub file of types-houdini."""
    spec = importlib.util.find_spec("mypy")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parents[1] / "hou-stubs" / "__init__.pyi"


@lru_cache(maxsize=1)
def published() -> dict[str, dict[str, object]]:
    """By name at the top of the stub: bases and members of classes, arguments of functions."""
    path = stub_path()
    state = path.stat()
    kept = KEPT / f"hou_{state.st_size}_{state.st_mtime_ns}.json"
    if kept.is_file():
        try:
            content: dict[str, dict[str, object]] = json.loads(kept.read_text(encoding="utf-8"))
            return content
        except ValueError:
            kept.unlink()
    content = parse(path.read_text(encoding="utf-8"))
    KEPT.mkdir(exist_ok=True)
    beside = kept.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(content), encoding="utf-8")
    beside.replace(kept)
    return content


def parse(source: str) -> dict[str, dict[str, object]]:
    """What `published` answers, of the text of a stub."""
    found: dict[str, dict[str, object]] = {}
    for item in ast.parse(source).body:
        if isinstance(item, ast.ClassDef):
            entry = {"bases": [ast.unparse(base) for base in item.bases], "members": _members(item.body)}
            found.setdefault(item.name, entry)
        elif isinstance(item, ast.FunctionDef):
            found.setdefault(item.name, {"call": [_arguments(item)]})
        elif (name := _assigned(item)) is not None:
            found.setdefault(name, {})
    return found


def _members(body: list[ast.stmt]) -> Members:
    found: Members = {}
    for inner in body:
        if isinstance(inner, ast.FunctionDef):
            found.setdefault(inner.name, []).append(_arguments(inner))
        elif isinstance(inner, ast.ClassDef):
            found.setdefault(inner.name, []).append(NO_METHOD)
        elif (name := _assigned(inner)) is not None:
            found.setdefault(name, []).append(NO_METHOD)
    return found


def _assigned(item: ast.stmt) -> str | None:
    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
        return item.target.id
    if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
        return item.targets[0].id
    return None


def _arguments(function: ast.FunctionDef) -> str:
    """Names, kinds and which may be left out, without annotations."""
    arguments = copy.deepcopy(function.args)
    if arguments.args and arguments.args[0].arg == "self":
        del arguments.args[0]
    for inner in ast.walk(arguments):
        if isinstance(inner, ast.arg):
            inner.annotation = None
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [value and ast.Constant(None) for value in arguments.kw_defaults]
    return ast.unparse(arguments)


def names() -> dict[str, dict[str, object]]:
    """Everything at the top of the stub."""
    return published()


@cache
def members(name: str) -> Members:
    """What a class of the stub and its bases have."""
    entry = published().get(name, {})
    found = entry.get("members")
    bases = entry.get("bases")
    result: Members = dict(found) if isinstance(found, dict) else {}
    for base in bases if isinstance(bases, list) else []:
        for key, value in members(base).items():
            result.setdefault(key, value)
    return result
