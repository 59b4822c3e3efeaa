"""What is known of one published version: the record beside its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from neuron_core.foundation.records import Rules, in_file, read_record, to_plain
from neuron_core.usd.published import LibraryError, label_of

RECORD = "publish.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class PublishedLook:
    """A look of a published asset."""

    RECORD: ClassVar[Rules] = Rules(unknown="drop")

    slug: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Version:
    """One published version, as its record says. Paths are relative to the library."""

    RECORD: ClassVar[Rules] = Rules(complete=True, unknown="drop", version="version", newest=FORMAT)

    name: str
    number: int
    digest: str
    asset_id: str
    sha256: str  # of the .neuron file
    looks: tuple[PublishedLook, ...]
    layer: str
    file: str
    preview: str  # "" where the asset has none
    representations: tuple[str, ...]
    attached: Mapping[str, str] = field(default_factory=dict)  # representation -> sha256 of the source
    encoder: str = ""
    licence: str = ""
    aabb: tuple[tuple[float, ...], ...] = ()

    @property
    def label(self) -> str:
        """As in v003."""
        return label_of(self.number)

    def to_json(self) -> dict[str, object]:
        """Plain JSON, the inverse of `from_json`."""
        return to_plain(self)

    @staticmethod
    def from_json(content: object, where: Path) -> "Version":
        """Read it back. Raises LibraryError that names `where` and the field."""
        refusal = in_file(where, partial(LibraryError, hint="Publish it again."))
        return read_record(Version, content, "", refusal)
