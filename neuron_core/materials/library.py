"""Where materials come from: the built-in library, our JSON, MaterialX, or names."""

import difflib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuron_core.foundation.files import read_json
from neuron_core.materials.builtin import builtin_materials
from neuron_core.materials.materialx import read_materialx
from neuron_core.materials.record import Material, MaterialError, slug
from neuron_core.materials.wording import canonical_prompt

LIBRARY_VERSION = 1


@dataclass(frozen=True, slots=True)
class LibraryResult:
    """Materials with unique names, and what a person should know about how they were read."""

    materials: tuple[Material, ...]
    notes: tuple[str, ...] = ()


def load_materials(spec: str) -> list[Material]:
    """The materials of `read_library`, without its notes."""
    return list(read_library(spec).materials)


def read_library(spec: str) -> LibraryResult:
    """Materials by what names them.

    `spec` is "builtin", a JSON library, a `.mtlx` file, a folder of them, or built-in names
    separated by commas ("polished gold" is as good as "polished-gold"). Raises MaterialError,
    or FileError for a path that cannot be read.
    """
    spec = str(spec).strip()
    if spec == "builtin":
        return LibraryResult(tuple(builtin_materials().values()))
    if all(slug(part) in builtin_materials() for part in spec.split(",")):
        return LibraryResult(tuple(_builtin(part) for part in _parts(spec)))
    path = Path(spec)
    if path.suffix.lower() == ".json":
        return LibraryResult(tuple(library_from_json(read_json(path), str(path))))
    if path.suffix.lower() == ".mtlx" or (path.is_dir() and spec):
        found = read_materialx(path)
        return LibraryResult(*_with_distinct_prompts(found.materials, found.notes))
    if os.sep in spec or "/" in spec or path.is_file():
        raise MaterialError(
            f"{spec} is no material library.", "Use a .json library, a .mtlx file or a folder of .mtlx files."
        )
    return LibraryResult(tuple(_builtin(part) for part in _parts(spec)))


def library_to_json(materials: Sequence[Material]) -> dict[str, object]:
    """A library as plain data, the inverse of `library_from_json`."""
    return {"version": LIBRARY_VERSION, "materials": [material.to_json() for material in materials]}


def library_from_json(content: object, source: str = "library") -> list[Material]:
    """The materials of a library: an object with `version` and `materials`, or the bare list."""
    entries = content
    if isinstance(content, dict):
        if content.get("version") != LIBRARY_VERSION:
            raise MaterialError(
                f"{source} has the version {content.get('version')!r}.", f"Version {LIBRARY_VERSION} is read."
            )
        entries = content.get("materials")
    if not isinstance(entries, list) or not entries:
        raise MaterialError(
            f"{source} holds no list of materials.", 'Write {"version": 1, "materials": [...]}.'
        )
    materials = [Material.from_json(item, f"{source}, material {i}") for i, item in enumerate(entries)]
    counts = Counter(material.name for material in materials)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise MaterialError(f"{source} has two materials named {twice[0]!r}.", "Give each its own name.")
    return materials


def _parts(spec: str) -> list[str]:
    parts = [part.strip() for part in spec.split(",")]
    if not all(parts):
        raise MaterialError(f"{spec!r} has an empty material name.", f"Choose from {_all_names()}.")
    slugs = [slug(part) for part in parts]
    if twice := [part for part in parts if slugs.count(slug(part)) > 1]:
        raise MaterialError(f"{twice[0]!r} is asked for twice.", "Name each material once.")
    return parts


def _builtin(text: str) -> Material:
    """A built-in by its name in any spelling, or by all of its words in any order."""
    materials = builtin_materials()
    if (material := materials.get(slug(text))) is not None:
        return material
    words = set(slug(text).split("-"))
    for material in materials.values():
        if words == set(slug(canonical_prompt(material)).split("-")):
            return material
    near = [name for name in materials if words & set(name.split("-"))]
    near = near or difflib.get_close_matches(slug(text), list(materials), n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise MaterialError(f"There is no material {text!r}.", f"{meant}Built in are {_all_names()}.")


def _all_names() -> str:
    return ", ".join(builtin_materials())


def _with_distinct_prompts(
    materials: Sequence[Material], notes: Sequence[str]
) -> tuple[tuple[Material, ...], tuple[str, ...]]:
    """Give materials that would share a prompt the words of their names."""
    counts = Counter(canonical_prompt(material) for material in materials)
    renamed = [
        replace(material, tags=replace(material.tags, base=material.name.replace("-", " ")[:60].strip()))
        if counts[canonical_prompt(material)] > 1
        else material
        for material in materials
    ]
    told = [
        f"{new.name}: its prompt is {canonical_prompt(new)!r}, because others share {old.tags.base!r}."
        for old, new in zip(materials, renamed, strict=True)
        if old != new
    ]
    return tuple(renamed), (*notes, *told)
