"""What the panel shows of a library: records and headers, no weights. Knows neither Qt nor Houdini."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from neuron_core.assets import Manifest, header_of, read_preview
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.strict_json import parse
from neuron_core.library.index import read_library
from neuron_core.library.version import Version
from neuron_core.usd.published import INDEX, LibraryError
from neuron_houdini.engine import preferences

CHOICE = "panel.json"  # among the preferences: the library that was shown last
VARIABLE = "NEURON_LIBRARY"
SHOWN_FIGURES = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """The latest version of a published asset."""

    library: Path
    version: Version
    count: int  # of versions

    @property
    def name(self) -> str:
        """What it is called in the library."""
        return self.version.name

    @property
    def place(self) -> Path:
        """What the stage references: the latest version, whichever that will be."""
        return self.library / self.version.name

    @property
    def file(self) -> Path:
        """The `.neuron` file."""
        return self.library / self.version.file

    @property
    def words(self) -> str:
        """Everything that a search looks at, in lower case."""
        looks = (text for look in self.version.looks for text in (look.slug, look.prompt))
        return " ".join([self.version.name, *looks, *self.version.representations]).lower()


def entries_of(library: Path) -> list[Entry]:
    """The assets of a library by name. Raises LibraryError if the folder is not a library.

    The index is read if there is one: a single file, whatever the number of assets.
    """
    index = library / INDEX
    if index.is_file():
        return _from_index(library, index)
    found = read_library(library)
    return [Entry(library, versions[-1], len(versions)) for _, versions in sorted(found.items())]


def _from_index(library: Path, index: Path) -> list[Entry]:
    try:
        content = parse(index.read_bytes(), str(index), LibraryError)
        assert isinstance(content, dict)
        rows = [(asset["versions"], asset["latest"]) for _, asset in sorted(content["assets"].items())]
        return [
            Entry(library, Version.from_json(versions[latest], index), len(versions))
            for versions, latest in rows
        ]
    except (OSError, KeyError, TypeError, AttributeError, AssertionError, ValueError) as error:
        hint = "Publish something again: the index is written anew."
        raise LibraryError(f"{index} is not an index of a library.", hint) from error


def matching(entries: Iterable[Entry], text: str) -> list[Entry]:
    """Those that have every word of the text in their name, looks, prompts or representations."""
    return [entry for entry in entries if matches(entry, text)]


def matches(entry: Entry, text: str) -> bool:
    """Whether an entry has every word of the text."""
    return all(word in entry.words for word in text.lower().split())


def picture_of(entry: Entry) -> bytes:
    """The PNG of its preview, from beside it or from inside the file; b"" if there is none."""
    preview = entry.version.preview
    return _picture(entry.library / preview if preview else None, entry.file)


@lru_cache(maxsize=512)  # files of a version never change
def _picture(preview: Path | None, file: Path) -> bytes:
    try:
        return read_preview(file) if preview is None else preview.read_bytes()
    except (OSError, NeuronError):
        return b""


def figures_of(entry: Entry) -> list[tuple[str, str]]:
    """What is said about the asset, as label and text. Reads the header of the file alone."""
    version = entry.version
    rows = [("Version", f"{version.label} of {entry.count}" if entry.count > 1 else version.label)]
    try:
        size, manifest = entry.file.stat().st_size, header_of(entry.file).manifest
    except NeuronError as error:
        return [*rows, ("File", f"cannot be read: {error.text}")]
    except OSError as error:
        return [*rows, ("File", f"cannot be read: {error}")]
    rows += [
        ("File", f"{entry.file.name}, {size / 1e6:.1f} MB"),
        ("Size", " x ".join(f"{b - a:.3g}" for a, b in zip(*manifest.aabb, strict=True)) + " m"),
        ("Representations", ", ".join(version.representations)),
        ("Prompts", version.encoder or "none: no look can be added"),
    ]
    rows += [(_label(name), _number(value)) for name, value in _flat(manifest.metrics)][:SHOWN_FIGURES]
    return rows + ([("Licence", version.licence)] if version.licence else [])


def looks_of(manifest_or_version: Manifest | Version) -> list[str]:
    """The looks, as name and prompt in one text each."""
    looks = manifest_or_version.looks
    return [f"{look.slug}: {look.prompt}" if look.prompt else look.slug for look in looks]


def _flat(values: Mapping[str, object], above: str = "") -> Iterable[tuple[str, object]]:
    """Numbers and words of nested mappings, by names joined with blanks."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name} ")
        elif isinstance(value, int | float | str):
            yield f"{above}{name}", value


def _label(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words.upper() if words in ("psnr", "ssim", "iou") else words[:1].upper() + words[1:]


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# --- which library ---


def last_library(scene: Path) -> Path:
    """NEURON_LIBRARY, else the one that was shown last, else the one beside the scene."""
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return Path(given).expanduser()
    return preferences.recall(CHOICE, "library") or scene / "neuron" / "library"


def remember_library(library: Path) -> None:
    """Show this one first from now on. Outside of Houdini, nothing."""
    preferences.remember(CHOICE, "library", library)
