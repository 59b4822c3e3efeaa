"""Where materials come from: nine built in, the grammar, our JSON, MaterialX, or names."""

import difflib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuron_core.foundation.files import read_json
from neuron_core.materials import grammar, selection
from neuron_core.materials.builtin import builtin_materials
from neuron_core.materials.materialx import read_materialx
from neuron_core.materials.record import Material, MaterialError, slug
from neuron_core.materials.wording import canonical_prompt

LIBRARY_VERSION = 1


@dataclass(frozen=True, slots=True)
class LibraryResult:
    """Materials with unique names, and what a person should know about how they were read.

    `held_out` names those that are not to be trained on; None leaves that to whoever asks.
    """

    materials: tuple[Material, ...]
    notes: tuple[str, ...] = ()
    held_out: frozenset[str] | None = None


def load_materials(spec: str) -> list[Material]:
    """The materials of `read_library`, without its notes."""
    return list(read_library(spec).materials)


def read_library(spec: str) -> LibraryResult:
    """Materials by what names them.

    `spec` is "builtin" for the nine that ship, "builtin:192", "builtin:192+150@7" or "builtin:all"
    for a part of the grammar (see `selection`), a JSON library, a `.mtlx` file, a folder of them, or
    names of either separated by commas ("polished gold" is as good as "polished-gold"). Raises
    MaterialError, or FileError for a path that cannot be read.
    """
    spec = str(spec).strip()
    if spec == "builtin":
        return LibraryResult(tuple(builtin_materials().values()))
    if spec.startswith(selection.PREFIX):
        return _selected(spec)
    if all(_named(part) for part in spec.split(",")):
        return LibraryResult(tuple(_builtin(part) for part in _parts(spec)))
    path = Path(spec)
    if path.suffix.lower() == ".json":
        return LibraryResult(tuple(library_from_json(read_json(path), str(path))))
    if path.suffix.lower() == ".mtlx" or (path.is_dir() and spec):
        found = read_materialx(path)
        return LibraryResult(*_with_distinct_prompts(found.materials, found.notes))
    if os.sep in spec or "/" in spec or path.is_file():
        raise MaterialError(
            f"{spec} is not a material library.",
            "Use a .json library, a .mtlx file or a folder of .mtlx files.",
        )
    return LibraryResult(tuple(_builtin(part) for part in _parts(spec)))


def _selected(spec: str) -> LibraryResult:
    chosen = selection.parse(spec)
    materials = [grammar.material_of(item) for item in (*chosen.trained, *chosen.held_out)]
    return LibraryResult(tuple(materials), (), frozenset(item.name for item in chosen.held_out))


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


def _named(text: str) -> Material | None:
    """A material whose name is exactly that, in any spelling."""
    if (material := builtin_materials().get(slug(text))) is not None:
        return material
    found = grammar.find(text)
    return grammar.material_of(found) if found is not None and found.name == slug(text) else None


def _builtin(text: str) -> Material:
    """One of the nine or of the grammar by its name in any spelling, or by its words in any order."""
    if (material := _named(text)) is not None:
        return material
    materials = builtin_materials()
    words = set(slug(text).split("-"))
    for material in materials.values():
        if words == set(slug(canonical_prompt(material)).split("-")):
            return material
    if (found := grammar.find(text)) is not None:
        return grammar.material_of(found)
    meant = f"Did you mean {' or '.join(near)}? " if (near := _near(text)) else ""
    raise MaterialError(
        f"There is no material {text!r}.",
        f"{meant}Built in are {_all_names()}; the grammar has {len(grammar.combinations())} more, such as "
        "copper-brushed-worn (base, color, finish, condition).",
    )


def _near(text: str) -> list[str]:
    """Names that share words with it, the shortest and most alike first; else names spelt alike."""
    words = set(slug(text).split("-"))
    builtin = [name for name in builtin_materials() if words & set(name.split("-"))]
    known = [item.name for item in grammar.combinations()]
    shared = {name: len(words & set(name.split("-"))) for name in known}
    alike = [name for name in known if shared[name] > 1]
    alike.sort(key=lambda name: (-shared[name], len(name)))
    if near := [*builtin, *alike[:3]]:
        return near
    return difflib.get_close_matches(slug(text), [*builtin_materials(), *known], n=3, cutoff=0.5)


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
    found = [
        f"{new.name}: its prompt is {canonical_prompt(new)!r}, because others share {old.tags.base!r}."
        for old, new in zip(materials, renamed, strict=True)
        if old != new
    ]
    return tuple(renamed), (*notes, *found)
