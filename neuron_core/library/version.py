"""What is known of one published version: the record beside its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neuron_core.assets import Look
from neuron_core.usd.published import LibraryError, label_of

RECORD = "publish.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Version:
    """One published version, as its record says. Paths are relative to the library."""

    name: str
    number: int
    digest: str
    asset_id: str
    sha256: str  # of the .neuron file
    looks: tuple[Look, ...]
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
        return {
            "version": FORMAT,
            "name": self.name,
            "number": self.number,
            "digest": self.digest,
            "asset_id": self.asset_id,
            "sha256": self.sha256,
            "looks": [{"slug": look.slug, "prompt": look.prompt} for look in self.looks],
            "layer": self.layer,
            "file": self.file,
            "preview": self.preview,
            "representations": list(self.representations),
            "attached": dict(self.attached),
            "encoder": self.encoder,
            "licence": self.licence,
            "aabb": [list(corner) for corner in self.aabb],
        }

    @staticmethod
    def from_json(content: object, where: Path) -> "Version":
        """Read it back. Raises LibraryError that names `where`."""
        try:
            if not isinstance(content, dict) or content["version"] != FORMAT:
                raise TypeError
            texts = {key: content[key] for key in ("name", "digest", "asset_id", "sha256", "layer", "file")}
            texts |= {key: content[key] for key in ("preview", "encoder", "licence")}
            if (
                not all(isinstance(text, str) for text in texts.values())
                or type(content["number"]) is not int
            ):
                raise TypeError
            return Version(
                **texts,
                number=content["number"],
                looks=tuple(Look(str(look["slug"]), str(look["prompt"])) for look in content["looks"]),
                representations=tuple(map(str, content["representations"])),
                attached={str(key): str(value) for key, value in content["attached"].items()},
                aabb=tuple(tuple(map(float, corner)) for corner in content["aabb"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise LibraryError(f"{where} is no record of a published version.", "Publish it again.") from None
