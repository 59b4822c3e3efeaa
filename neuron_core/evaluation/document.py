"""An evaluation on disk: a table for people, the same as data, and a sheet of pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.foundation.files import write_bytes, write_json
from neuron_core.foundation.outputs import FINGERPRINT, Claim, Output, RecordForm
from neuron_core.images.pictures import encode_png

TABLE, DATA, SHEET = "table.md", "table.json", "contact_sheet.png"
FORM = RecordForm(DATA, unfinished="unfinished.json")


@dataclass(frozen=True, slots=True)
class Document:
    """What was measured, before it is written."""

    content: Mapping[str, object]  # plain data
    table: str  # Markdown
    sheet: np.ndarray  # uint8 sRGB [H, W, 3]

    def write(self, folder: Path, claim: Claim | None = None) -> dict[str, object]:
        """Write the three files, the data last, by the claim if there is one; returns the result body."""
        write_bytes(folder / TABLE, self.table.encode())
        write_bytes(folder / SHEET, encode_png(self.sheet))
        if claim is not None:
            claim.finish(self.content)
        else:
            write_json(folder / DATA, dict(self.content))
        return result_of(self.content, folder)


def output_of(folder: Path, depends_on: Mapping[str, object]) -> Output:
    """The folder of an evaluation that follows from `depends_on`."""

    def is_whole(record: Mapping[str, object]) -> bool:
        return all((folder / name).is_file() for name in (TABLE, SHEET))

    kind = "an evaluation of something else"
    return Output(folder, depends_on, (TABLE, SHEET), kind, FORM, is_whole)


def measured_before(claim: Claim) -> dict[str, object]:
    """The result of an evaluation that is done."""
    content = {name: value for name, value in claim.found.items() if name not in (FORM.config, FINGERPRINT)}
    return result_of(content, claim.output.path)


def result_of(content: Mapping[str, object], folder: Path) -> dict[str, object]:
    """The result of the task: the content, its files and a summary for people."""
    files = {"table": TABLE, "data": DATA, "contact_sheet": SHEET}
    summary = (folder / TABLE).read_text(encoding="utf-8").rstrip()
    return {**content, **{key: str(folder / name) for key, name in files.items()}, "summary": summary}
