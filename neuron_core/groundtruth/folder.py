"""The folder of a dataset while it is made: what is there, what may be resumed, what is cleared.

Beside the files of `datasets.layout` an unfinished dataset holds `unfinished/`: the settings that it
is made with and, per picture, what was measured about it. It goes when the manifest is written.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from neuron_core.datasets import layout
from neuron_core.datasets.manifest import RendererInfo
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import read_bytes, read_json, write_bytes, write_json
from neuron_core.foundation.outputs import Claim, Content, Output, RecordForm, delete
from neuron_core.foundation.records import in_file, read_record_file, read_value, write_record

UNFINISHED = "unfinished"
PREVIEW = "preview.png"
RENDERERS = f"{UNFINISHED}/renderers"
FORM = RecordForm(layout.MANIFEST, unfinished=f"{UNFINISHED}/request.json", digits=64)
PICTURES = (f"{layout.GBUFFER_FOLDER}/**/*.exr", f"{layout.BEAUTY_FOLDER}/**/*.exr")
NOTES = f"{UNFINISHED}/**/*.json"
OURS = (
    *(layout.CAMERAS, layout.MATERIALS, PREVIEW),
    *PICTURES,
    f"{layout.BEAUTY_FOLDER}/**/{layout.TRANSFORMS}",
    NOTES,
)
_damaged = partial(FileError, hint="Delete it and run the same command again.")


class DatasetFolder:
    """Where a dataset is written, for one description of what it holds.

    Several processes may render into a `shared` one, each its own pictures.
    """

    def __init__(self, path: Path, description: Content, shared: bool = False) -> None:
        self.path = path
        self._output = Output(path, description, OURS, "another dataset", FORM, self._is_whole, shared)
        self._claim: Claim | None = None

    @property
    def description(self) -> dict[str, object]:
        """The settings that the dataset follows from."""
        return dict(self._output.depends_on)

    @property
    def fingerprint(self) -> str:
        """Their digest."""
        return self._output.fingerprint

    def claim(self, overwrite: bool) -> Claim:
        """Take the folder, or say that it is done. Raises what `Output.claim` raises."""
        self._claim = self._output.claim(overwrite)
        return self._claim

    def take_over(self, other: Path) -> int:
        """Copy pictures, and notes about them, that another folder of the same dataset has and this one
        lacks; how many files that were. Raises ConfigMismatchError if it holds another dataset."""
        theirs = replace(self._output, path=other)
        found = theirs.found()
        if not found:
            raise FileError(f"{other} holds no shard of a dataset.", "Give a folder that `--shard` wrote to.")
        if not theirs.is_of(found):
            raise theirs.refusal(found)
        files = [file for pattern in (NOTES, *PICTURES) for file in sorted(other.glob(pattern))]
        names = [file.relative_to(other).as_posix() for file in files]
        missing = [name for name in names if not self.has(name)]  # notes first
        for name in missing:
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
        return dict(read_value(Mapping[str, float], read_json(note), "", in_file(note, _damaged)))

    def note(self, path: str, values: Mapping[str, float]) -> None:
        """Remember figures about a picture until the manifest is written."""
        write_json(self._note(path), dict(values))

    def note_renderer(self, info: RendererInfo) -> None:
        """Remember that a renderer took part."""
        write_record(self.path / RENDERERS / f"{info.variant}.json", info)

    def renderer(self) -> RendererInfo:
        """The renderer that took part; where shards used several variants, all of them are named."""
        files = sorted((self.path / RENDERERS).glob("*.json"))
        found = [read_record_file(RendererInfo, file, _damaged) for file in files]
        return replace(found[0], variant="+".join(info.variant for info in found))

    def finish(self, manifest: Content) -> None:
        """Write the manifest: from now on the dataset is whole."""
        assert self._claim is not None, "claim the folder first"
        self._claim.finish(manifest)
        delete(self.path, (NOTES,))

    def _note(self, path: str) -> Path:
        return self.path / UNFINISHED / Path(path).with_suffix(".json")

    def _is_whole(self, manifest: Content) -> bool:
        files = manifest.get("files")
        return isinstance(files, dict) and all(self.has(str(path)) for path in files)
