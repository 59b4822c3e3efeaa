"""The folder of a dataset while it is made: what is there, what may be gone on with, what is cleared.

Beside the files of `datasets.layout` an unfinished dataset holds `unfinished/`: the config that it
is made with and, per picture, what was measured about it. It goes when the manifest is written.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from neuron_core.datasets import layout
from neuron_core.foundation.errors import ConfigMismatchError, FileError
from neuron_core.foundation.files import read_bytes, read_json, sha256_of, write_bytes, write_json

UNFINISHED = "unfinished"
PREVIEW = "preview.png"
REQUEST = "request.json"
RENDERERS = "renderers"


class Folder:
    """Where a dataset is written, for one description of what it holds."""

    def __init__(self, path: Path, description: Mapping[str, object]) -> None:
        self.path = path
        self.description = dict(description)
        self.fingerprint = hashlib.sha256(json.dumps(self.description, sort_keys=True).encode()).hexdigest()

    def is_finished(self) -> bool:
        """Whether exactly this dataset is there, with its manifest and every file that it lists."""
        if not self.has(layout.MANIFEST):
            return False
        found = self._described()
        files = found.get("files")
        listed = files if isinstance(files, dict) else {}
        return found.get("fingerprint") == self.fingerprint and all(self.has(str(path)) for path in listed)

    def open(self, overwrite: bool) -> None:
        """Make the folder ours, or go on with it.

        Raises ConfigMismatchError if it holds another dataset, unless that is to be overwritten.
        """
        found = self._described()
        if found and found.get("fingerprint") != self.fingerprint:
            if not overwrite:
                raise self._mismatch(found)
            self._clear()
        if not self.is_finished():
            content = {"fingerprint": self.fingerprint, "config": self.description}
            write_json(self.path / UNFINISHED / REQUEST, content)
            self._remove(layout.MANIFEST)

    def take_over(self, other: Path) -> int:
        """Copy pictures, and notes about them, that another folder of the same dataset has and this one
        lacks; how many files that were. Raises ConfigMismatchError if it holds another dataset."""
        theirs = Folder(other, self.description)
        found = theirs._described()
        if not found:
            raise FileError(f"{other} holds no shard of a dataset.", "Give a folder that `--shard` wrote to.")
        if found.get("fingerprint") != self.fingerprint:
            raise theirs._mismatch(found)
        patterns = ((layout.GBUFFER_FOLDER, "*.exr"), (layout.BEAUTY_FOLDER, "*.exr"), (UNFINISHED, "*.json"))
        files = [file for name, pattern in patterns for file in sorted((other / name).rglob(pattern))]
        names = [file.relative_to(other).as_posix() for file in files]
        missing = [name for name in names if not self.has(name)]
        for name in sorted(missing, key=lambda name: not name.startswith(UNFINISHED)):  # notes first
            write_bytes(self.path / name, read_bytes(other / name))
        return len(missing)

    def has(self, path: str) -> bool:
        """Whether a file is there; files are whole once they are."""
        return (self.path / path).is_file()

    def measured(self, path: str) -> dict[str, float] | None:
        """What was noted about a picture, None if nothing."""
        note = self._note(path)
        if not note.is_file():
            return None
        content = read_json(note)
        if not isinstance(content, dict):
            raise FileError(f"{note} is damaged.", "Delete it and run the same command again.")
        return {str(name): float(value) for name, value in content.items()}

    def note(self, path: str, values: Mapping[str, float]) -> None:
        """Remember figures about a picture until the manifest is written."""
        write_json(self._note(path), dict(values))

    def note_renderer(self, info: layout.RendererInfo) -> None:
        """Remember that a renderer took part."""
        write_json(self.path / UNFINISHED / RENDERERS / f"{info.variant}.json", asdict(info))

    def renderer(self) -> layout.RendererInfo:
        """The renderer that took part; where shards used several variants, all of them are named."""
        files = sorted((self.path / UNFINISHED / RENDERERS).glob("*.json"))
        found = [_renderer_info(read_json(file)) for file in files]
        return replace(found[0], variant="+".join(info.variant for info in found))

    def checksums(self, paths: list[str]) -> dict[str, str]:
        """SHA-256 of files by their relative path."""
        return {path: sha256_of(self.path / path) for path in sorted(paths)}

    def finish(self, manifest: Mapping[str, object]) -> None:
        """Write the manifest: from now on the dataset is whole."""
        write_json(self.path / layout.MANIFEST, dict(manifest))
        self._remove_tree(UNFINISHED, "*.json")

    def _note(self, path: str) -> Path:
        return self.path / UNFINISHED / Path(path).with_suffix(".json")

    def _described(self) -> dict[str, object]:
        """Fingerprint and config of what is there; empty if that is nothing of ours."""
        for name in (layout.MANIFEST, f"{UNFINISHED}/{REQUEST}"):
            if self.has(name):
                return self._content(name)
        return {}

    def _content(self, name: str) -> dict[str, object]:
        try:
            content = read_json(self.path / name)
        except FileError:
            content = None
        return content if isinstance(content, dict) else {"fingerprint": "damaged"}

    def _mismatch(self, found: Mapping[str, object]) -> ConfigMismatchError:
        theirs = found.get("config")
        theirs = theirs if isinstance(theirs, dict) else {}
        names = sorted(name for name, value in self.description.items() if theirs.get(name) != value)
        shown = [
            f"{name} {_short(theirs.get(name))} instead of {_short(self.description[name])}" for name in names
        ]
        return ConfigMismatchError(
            f"{self.path} holds another dataset: {', '.join(shown[:4]) or 'its content differs'}.",
            "Pick another folder, or replace it with --overwrite.",
        )

    def _clear(self) -> None:
        """Remove a dataset of ours, and nothing else that may lie there."""
        self._remove(layout.MANIFEST, layout.CAMERAS, layout.MATERIALS, PREVIEW)
        self._remove_tree(layout.GBUFFER_FOLDER, "*.exr")
        self._remove_tree(layout.BEAUTY_FOLDER, "*.exr", layout.TRANSFORMS)
        self._remove_tree(UNFINISHED, "*.json")

    def _remove(self, *names: str) -> None:
        try:
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_clear(self.path, error) from error

    def _remove_tree(self, name: str, *patterns: str) -> None:
        """Remove files of ours below a folder, and the folders that are empty then."""
        root = self.path / name
        try:
            for pattern in patterns:
                for file in root.rglob(pattern):
                    file.unlink(missing_ok=True)
            folders = [root, *(entry for entry in root.rglob("*") if entry.is_dir())]
            for folder in sorted(folders, key=lambda entry: len(entry.parts), reverse=True):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        except OSError as error:
            raise _cannot_clear(root, error) from error


def _cannot_clear(path: Path, error: OSError) -> FileError:
    return FileError(
        f"Cannot clear {path}: {error.strerror or error}.",
        "Check who may write there, or pick another folder.",
    )


def _renderer_info(content: object) -> layout.RendererInfo:
    if not isinstance(content, dict):
        raise FileError(f"The notes about the renderer are damaged: {content!r}.", "Use --overwrite.")
    return layout.RendererInfo(**content)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
