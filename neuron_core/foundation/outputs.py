"""Outputs on disk: claim, resume, refuse, replace. One rule for every command that writes a folder.

A folder carries a record, a JSON file with the settings that its content follows from and their
digest, the fingerprint. The same command again resumes or finds it done; other settings are refused
with the names of what differs; `--overwrite` deletes what is ours and nothing else. While a process
writes, it holds the folder's lock.

What can be left by a process that is killed: before the claim an empty folder; after it an unfinished
output that the same command resumes; while the old content is being deleted a record that only says
so, after which any command may take the folder.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from neuron_core.foundation.claims import Lock
from neuron_core.foundation.errors import ConfigMismatchError, FileError
from neuron_core.foundation.files import read_json, write_json

State = Literal["fresh", "resume", "done"]
Content = Mapping[str, object]

CLEARING = "clearing"  # the only key of a record while the old content is deleted
FINISHED = "finished"
FINGERPRINT = "fingerprint"
SHOWN = 4  # differences in a message
_SHORTEST_DIGEST = 32
_REPLACE = "Pick another {place}, or replace it with --overwrite."


def fingerprint_of(depends_on: Content, digits: int = _SHORTEST_DIGEST) -> str:
    """The fingerprint of settings: hex digits of the SHA-256 of their JSON text, keys sorted.

    What JSON does not know, such as paths, counts as its text.
    """
    text = json.dumps(depends_on, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def is_same_fingerprint(one: object, other: object) -> bool:
    """Whether two fingerprints are equal as far as the shorter one goes; 32 digits are the least."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return False
    digits = min(len(one), len(other))
    return digits >= _SHORTEST_DIGEST and one[:digits] == other[:digits]


def differences(wanted: Content, found: Content) -> list[str]:
    """What is set differently, as "name OLD instead of NEW", by name.

    Settings that the found record does not have are named alone, and only if nothing else differs.
    """
    asked = _plain(wanted)
    named = [
        f"{name} {_short(found[name])} instead of {_short(value)}"
        for name, value in sorted(asked.items())
        if name in found and json.dumps(found[name], sort_keys=True) != json.dumps(value, sort_keys=True)
    ]
    return named or sorted(name for name in asked if name not in found)


@dataclass(frozen=True, slots=True)
class RecordForm:
    """How an output's record is kept. The defaults suit new kinds of outputs."""

    name: str = "output.json"
    unfinished: str = ""  # another file that has it until the output is finished; then it is removed
    config: str = "config"  # the key of the settings; empty where they stand beside the other keys
    digits: int = _SHORTEST_DIGEST  # of the fingerprint


@dataclass(frozen=True, slots=True)
class Output:
    """A folder to write, described by everything that its content follows from.

    `ours` are globs relative to the folder: all that `--overwrite` may delete beside the record.
    `kind` finishes the sentence "FOLDER holds ..." when the folder is refused. `is_done` decides by
    the record whether the output is whole, where more than the record has to be there. Processes may
    write one `shared` output together, each a part of it.
    """

    path: Path
    depends_on: Content
    ours: tuple[str, ...] = ()
    kind: str = "an output that was made with other settings"
    form: RecordForm = field(default_factory=RecordForm)
    is_done: Callable[[Content], bool] | None = None
    shared: bool = False

    @property
    def fingerprint(self) -> str:
        """The digest of `depends_on`."""
        return fingerprint_of(self.depends_on, self.form.digits)

    def claim(self, overwrite: bool = False) -> "Claim":
        """Take the folder. Use the answer as a context, or `release` it.

        Raises ConfigMismatchError if the folder holds something else that is not to be overwritten,
        ClaimedError if another process is writing it, FileError if it cannot be written. A finished
        output is only looked at: its folder may be read-only.
        """
        if self.path.exists() and not self.path.is_dir():
            raise FileError(f"{self.path} is a file.", "Give a folder.")
        found = self.found()
        if self._state(found) == "done":
            return Claim(self, "done", found, None)
        self._require_same(found, overwrite)
        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"Cannot write {self.path}: {error.strerror or error}.",
                "Pick a place that can be written.",
            ) from error
        lock = Lock(self.path / lock_name(self.form), self.path, self.shared)
        try:
            return self._claimed(lock, overwrite, is_new)
        except BaseException:
            lock.release()
            raise

    def _claimed(self, lock: Lock, overwrite: bool, is_new: bool) -> "Claim":
        found = self.found()  # again: before the lock another process may have finished
        state = self._state(found)
        if state == "done":
            lock.release()
            return Claim(self, state, found, None)
        self._require_same(found, overwrite)
        if found and state == "fresh":
            with lock.alone():
                self._clear()
                self._begin({})
        elif state == "fresh" or (self.form.unfinished and self._has_record()):
            self._begin({})
        return Claim(self, state, found if state == "resume" else {}, lock, is_new)

    def found(self) -> dict[str, object]:
        """The record in the folder, empty if there is none. A damaged one is of no settings."""
        return _record_at(self.path / self.form.name) or _record_at(self.path / self._unfinished)

    def content_of(self, result: Content) -> dict[str, object]:
        """The record with settings, fingerprint and `result`."""
        plain = _plain(self.depends_on)
        settings = {self.form.config: plain} if self.form.config else plain
        return {**settings, FINGERPRINT: self.fingerprint, **result}

    @property
    def _unfinished(self) -> str:
        return self.form.unfinished or self.form.name

    def _has_record(self) -> bool:
        return (self.path / self.form.name).is_file()

    def _state(self, found: Content) -> State:
        if not self.is_of(found):
            return "fresh"
        return "done" if self._is_done(found) else "resume"

    def _is_done(self, found: Content) -> bool:
        if not self._has_record():
            return False
        if self.is_done is not None:
            return self.is_done(found)
        return bool(self.form.unfinished) or found.get(FINISHED) is True

    def is_of(self, found: Content) -> bool:
        """Whether a record is of these settings."""
        return is_same_fingerprint(found.get(FINGERPRINT), self.fingerprint)

    def refusal(self, found: Content) -> ConfigMismatchError:
        """The error that a record of other settings calls for."""
        settings = found.get(self.form.config, {}) if self.form.config else found
        return mismatch(self.path, self.kind, self.depends_on, settings if isinstance(settings, dict) else {})

    def _require_same(self, found: Content, overwrite: bool) -> None:
        """Raise ConfigMismatchError unless the folder is free, ours, being cleared, or given up."""
        if found and not (overwrite or CLEARING in found or self.is_of(found)):
            raise self.refusal(found)

    def _begin(self, content: Content) -> None:
        """Write the record of an unfinished output; nothing says any more that it is finished."""
        write_json(self.path / self._unfinished, self.content_of(content))
        if self.form.unfinished:
            delete(self.path, (self.form.name,))

    def _clear(self) -> None:
        """Delete an earlier output. Once it began, the folder belongs to nobody until it is done."""
        marker = self.path / self._unfinished
        write_json(marker, {CLEARING: True})
        delete(self.path, (self.form.name, *self.ours), keep=marker)


class Claim:
    """An output that this process may write; `state` says what it holds already.

    `found` is the record of what is resumed or done. A `with` block that fails before it wrote anything
    leaves nothing behind: a fresh folder is free again.
    """

    def __init__(
        self, output: Output, state: State, found: Content, lock: Lock | None, is_new: bool = False
    ) -> None:
        self.output = output
        self.state = state
        self.found = found
        self._lock = lock
        self._is_new = is_new  # nobody had made the folder before

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and self.state == "fresh" and self._lock and not self.output.shared:
            self._withdraw()
        self.release()
        if kind is not None and self._is_new:
            remove_if_empty(self.output.path)

    def _withdraw(self) -> None:
        """Remove the record of an output that has nothing else."""
        form, path = self.output.form, self.output.path
        own = {path / (form.unfinished or form.name), path / lock_name(form)}
        if all(file in own for file in path.rglob("*") if not file.is_dir()):
            delete(path, ((form.unfinished or form.name),))

    def save(self, content: Content) -> None:
        """Write the record of an unfinished output with more than its settings."""
        assert self._lock is not None, "only what is claimed and not finished can be written"
        self.output._begin(content)

    def finish(self, result: Content) -> None:
        """Write the record of a finished output, after all its files, and let go of the folder."""
        assert self._lock is not None, "only what is claimed and not finished can be written"
        form, path = self.output.form, self.output.path
        marked = result if form.unfinished else {FINISHED: True, **result}
        write_json(path / form.name, self.output.content_of(marked))
        if form.unfinished:
            delete(path, (form.unfinished,))
        self.release()

    def release(self) -> None:
        """Let others have the folder. What is unfinished stays to be resumed."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def lock_name(form: RecordForm) -> str:
    """The file that is locked while an output is written."""
    return f".{form.name}.lock"


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def mismatch(path: Path, kind: str, wanted: Content, found: Content) -> ConfigMismatchError:
    """The refusal of a folder or file at `path` that was made with other settings; names them."""
    named = differences(wanted, found)
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    what = f": {', '.join(named[:SHOWN])}{more}" if named else ""
    place = "file" if path.is_file() else "folder"
    return ConfigMismatchError(f"{path} holds {kind}{what}.", _REPLACE.format(place=place))


def delete(folder: Path, globs: Iterable[str], keep: Path | None = None) -> None:
    """Delete the files that fit, and the folders below `folder` that are empty then.

    Links are deleted, not followed. Raises FileError if something cannot be deleted.
    """
    touched: set[Path] = set()
    try:
        for pattern in globs:
            for file in list(folder.glob(pattern)):
                if file != keep and (file.is_symlink() or not file.is_dir()):
                    file.unlink(missing_ok=True)
                    touched.add(file.parent)
        for parent in sorted(touched, key=lambda one: len(one.parts), reverse=True):
            _remove_empty(parent, folder)
    except OSError as error:
        raise FileError(
            f"Cannot clear {folder}: {error.strerror or error}.",
            "Check who may write there, or pick another folder.",
        ) from error


def _remove_empty(parent: Path, top: Path) -> None:
    while parent != top and top in parent.parents and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()
        parent = parent.parent


# --- single files ---


def claim_file(
    path: Path, overwrite: bool, kind: str, wanted: Content, read: Callable[[Path], Content]
) -> Literal["fresh", "done"]:
    """Whether the file at `path` has to be written, or is already what is wanted.

    `read` returns the settings that the file was made with. Where a file keeps a `fingerprint` of more
    than those, that decides. Raises ConfigMismatchError, with what differs, if the file is another one
    and not to be overwritten.
    """
    if overwrite or not path.exists():
        return "fresh"
    found = read(path)
    settings = {name: value for name, value in wanted.items() if name != FINGERPRINT}
    whole = FINGERPRINT in wanted
    same = is_same_fingerprint(found.get(FINGERPRINT), wanted[FINGERPRINT]) if whole else False
    if same or not (whole or differences(settings, found)):
        return "done"
    raise mismatch(path, kind, settings, found)


def require_free(paths: Iterable[Path], overwrite: bool) -> None:
    """Raise ConfigMismatchError if one of the files is there and not to be overwritten."""
    taken = [path for path in paths if path.exists() and not overwrite]
    if taken:
        raise ConfigMismatchError(f"{taken[0]} is already there.", _REPLACE.format(place="file"))


def require_writable(path: Path) -> None:
    """Raise FileError, before minutes of work, if a file could not be written at their end."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise FileError(f"Cannot write {path}.", "Pick a file in a folder that can be written.")


@contextmanager
def all_or_none(paths: Iterable[Path]) -> Iterator[None]:
    """Files that only make sense together: if the block fails, those that were not there before go."""
    fresh = [path for path in paths if not path.exists()]
    folders = {path.parent for path in fresh if not path.parent.exists()}
    try:
        yield
    except BaseException:
        for path in fresh:
            path.unlink(missing_ok=True)
        for folder in folders:
            remove_if_empty(folder)
        raise


def _record_at(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        content = read_json(path)
    except FileError:
        content = None
    return content if isinstance(content, dict) and content else {"damaged": True}


def _plain(settings: Content) -> dict[str, object]:
    """As JSON gives it back: lists for tuples, texts for paths."""
    content: dict[str, object] = json.loads(json.dumps(settings, default=str))
    return content


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
