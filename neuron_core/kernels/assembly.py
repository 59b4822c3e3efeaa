"""Put the C++ of a kernel together: headers of `native/`, each once, behind the constants that they need.

A header is ordinary C++ for Clang and NVRTC. It includes the headers that it needs, and names constants that
Python code has too, in capitals, without defining them: those are given here, so that each has one place.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

import warp as wp

from neuron_core.kernels import native

_INCLUDE = re.compile(r'^#include "(\w+\.h)"$', re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*")
_TEXT = re.compile(r'"[^"\n]*"')
_CAPITALS = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
_DEFINED = re.compile(r"#define (\w+)|constexpr \w+ (\w+)|template <int (\w+)")
_GIVEN_BY_WARP = {"CUDA_CALLABLE"}

_FUSED = (
    ["#if defined(__clang__)", "#pragma clang fp contract(fast)", "#endif"],
    ["#if defined(__clang__)", "#pragma clang fp contract(off)", "#endif"],
)

FOLDER = resources.files(native)
NOTHING: Mapping[str, int | float] = MappingProxyType({})


def assemble(
    headers: Sequence[str],
    constants: Mapping[str, int | float] = NOTHING,
    fused: bool = False,
    folder: Traversable = FOLDER,
) -> str:
    """The text of `headers` and of all that they include, behind the definitions of `constants`.

    With `fused` a CPU may round a product and the sum it goes into once, as CUDA always does: that is
    faster and changes the last bits of results. Raises ValueError, which names the header, for one that
    does not exist or needs a constant that is not given, and for constants that no header needs.
    """
    texts = _collected(headers, folder)
    _check(texts, constants)
    given = ["namespace neuron {", *_definitions(constants), "}  // namespace neuron"]
    parts = [f'#line 1 "{name}"\n{_without_directives(text)}' for name, text in texts.items()]
    begin, end = _FUSED if fused else ([], [])
    return "\n".join([*given, *begin, *parts, *end, ""])


def compiled_with(
    headers: Sequence[str], constants: Mapping[str, int | float] = NOTHING, fused: bool = False
) -> dict[str, Any]:
    """Options of a Warp module whose native functions use `headers`: see `assemble`."""
    text = assemble(headers, constants, fused)
    options = wp.ModuleBuildOptions(extra_cpu_preamble=text, extra_cuda_preamble=text)
    return {"extra_build_options": options}


def header_names() -> list[str]:
    """All headers there are."""
    return sorted(file.name for file in FOLDER.iterdir() if file.name.endswith(".h"))


def constants_of(headers: Sequence[str]) -> set[str]:
    """The constants that headers and what they include need."""
    texts = _collected(headers, FOLDER)
    return set().union(*(_needed(text) for text in texts.values())) - _defined(texts)


def _collected(headers: Sequence[str], folder: Traversable) -> dict[str, str]:
    """The texts of headers and of what they include, by name, each behind those that it includes."""
    texts: dict[str, str] = {}
    for header in headers:
        _collect(header, folder, texts, ())
    return texts


def _collect(name: str, folder: Traversable, texts: dict[str, str], includers: tuple[str, ...]) -> None:
    if name in includers:
        raise ValueError(f"The headers {' -> '.join((*includers, name))} include each other.")
    if name in texts:
        return
    file = folder / name
    if not file.is_file():
        raise ValueError(f"There is no header {name}, which {(includers or ('a kernel',))[-1]} includes.")
    text = file.read_text(encoding="utf-8")
    for included in _INCLUDE.findall(text):
        _collect(included, folder, texts, (*includers, name))
    texts[name] = text


def _check(texts: Mapping[str, str], constants: Mapping[str, int | float]) -> None:
    known, needed = _defined(texts) | set(constants), set()
    for name, text in texts.items():
        own = _needed(text)
        if own - known:
            raise ValueError(f"{name} needs the constants {sorted(own - known)}, which are not given.")
        needed |= own
    if set(constants) - needed:
        raise ValueError(f"No header needs the constants {sorted(set(constants) - needed)}.")


def _needed(text: str) -> set[str]:
    """The names in capitals that are not macros of the compiler's or of Warp's."""
    names = _CAPITALS.findall(_TEXT.sub("", _COMMENT.sub("", text)))
    return {name for name in names if len(name) > 1} - _GIVEN_BY_WARP


def _defined(texts: Mapping[str, str]) -> set[str]:
    found = (match for text in texts.values() for match in _DEFINED.findall(text))
    return {name for match in found for name in match if name}


def _definitions(constants: Mapping[str, int | float]) -> Iterator[str]:
    for name, value in constants.items():
        if isinstance(value, int):
            yield f"constexpr {'unsigned' if value >= 1 << 31 else 'int'} {name} = {value};"
        else:
            yield f"constexpr float {name} = {value!r}f;"


def _without_directives(text: str) -> str:
    """Lines keep their numbers."""
    return _INCLUDE.sub("", text).replace("#pragma once", "")
