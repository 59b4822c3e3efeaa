"""Fields as subjects of an evaluation. Imports torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

from neuron_core.assets import slug_of
from neuron_core.datasets.names import MaterialEntry
from neuron_core.foundation.devices import torch_device
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.progress import Reporter
from neuron_core.models.field.model import Field
from neuron_core.models.field.stored import load_field
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.models.field.trained import FIELD, load_run
from neuron_core.prompts import EncoderId, encode_recorded
from neuron_core.rendering.tracing import Tracer


class FieldSubject:
    """A field, which can be asked with any prompt."""

    def __init__(
        self,
        field: Field,
        encoder: EncoderId,
        identity: str,
        representation: str,
        knows: Callable[[MaterialEntry], bool],
        weights: Path | None,
    ) -> None:
        self.representation = representation
        self.identity = f"inr {identity}"
        self._field = field
        self._encoder = encoder
        self._knows = knows
        self._weights = weights

    def trained_on(self, entry: MaterialEntry) -> bool:
        """Whether it has seen pictures of the material."""
        return self._knows(entry)

    def look_of(self, entry: MaterialEntry) -> str | None:
        """The material's canonical prompt."""
        return entry.prompt

    def tracer(self, looks: Sequence[str], report: Reporter) -> Tracer:
        """All prompts share the march through the geometry."""
        vectors = encode_recorded(looks, self._encoder, self._weights, report)
        return FieldTracer(self._field, vectors)


def subject_of_run(path: Path, representation: str, device: str, weights: Path | None) -> FieldSubject:
    """The field of a finished run. Raises RunError."""
    field, info = load_run(path, torch_device(device))
    names = {look.name for look in info.looks}
    identity = sha256_of(path / FIELD)[:32]
    encoder = EncoderId.from_json(info.encoder)
    return FieldSubject(field, encoder, identity, representation, lambda entry: entry.name in names, weights)


def subject_of_asset(path: Path, representation: str, device: str, weights: Path | None) -> FieldSubject:
    """The field that an asset holds beside its voxels. Raises AssetError."""
    field, manifest, encoder = load_field(path)
    materials = {str(look.details.get("material", "")) for look in manifest.looks}
    slugs = {look.slug for look in manifest.looks if "material" not in look.details}

    def knows(entry: MaterialEntry) -> bool:
        return entry.name in materials or slug_of(entry.name) in slugs

    moved = field.to(torch_device(device))
    recorded = encoder
    return FieldSubject(moved, recorded, manifest.digest, representation, knows, weights)
