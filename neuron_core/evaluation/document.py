"""An evaluation on disk: a table for people, the same as data, and a sheet of pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.foundation.files import write_bytes, write_json
from neuron_core.images.pictures import encode_png

TABLE, DATA, SHEET = "table.md", "table.json", "contact_sheet.png"


@dataclass(frozen=True, slots=True)
class Document:
    """What was measured, before it is written."""

    content: Mapping[str, object]  # plain data
    table: str  # Markdown
    sheet: np.ndarray  # uint8 sRGB [H, W, 3]

    def write(self, folder: Path, more: Mapping[str, object] | None = None) -> dict[str, object]:
        """Write the three files, the data last and with `more` beside it; returns the result body."""
        write_bytes(folder / TABLE, self.table.encode())
        write_bytes(folder / SHEET, encode_png(self.sheet))
        write_json(folder / DATA, {**self.content, **(more or {})})
        return result_of(self.content, folder)


def is_whole(folder: Path) -> bool:
    """Whether all files of an evaluation are there."""
    return all((folder / name).is_file() for name in (TABLE, DATA, SHEET))


def result_of(content: Mapping[str, object], folder: Path) -> dict[str, object]:
    """The result of the task: the content, its files and a summary for people."""
    files = {"table": TABLE, "data": DATA, "contact_sheet": SHEET}
    summary = (folder / TABLE).read_text(encoding="utf-8").rstrip()
    return {**content, **{key: str(folder / name) for key, name in files.items()}, "summary": summary}
