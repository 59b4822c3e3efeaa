"""What is measured: the voxels of an asset, the field beside them, or the field of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from neuron_core.assets import AssetError, Look, slug_of
from neuron_core.datasets.names import MaterialEntry
from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.foundation.files import read_json
from neuron_core.foundation.progress import Reporter
from neuron_core.rendering.tracing import BakedTracer, Tracer
from neuron_core.voxels.baked import Baked, read_baked

EXPORTS = (".ply", ".spz", ".usd", ".usda", ".usdc", ".usdz", ".vdb", ".nvdb")


@runtime_checkable
class Subject(Protocol):
    """One representation of an asset."""

    representation: str  # "nvf", "inr" or "against"
    identity: str  # a digest of what it is

    def trained_on(self, entry: MaterialEntry) -> bool:
        """Whether it has seen pictures of this material."""

    def look_of(self, entry: MaterialEntry) -> str | None:
        """What to draw for this material; None if the subject cannot show it."""

    def tracer(self, looks: Sequence[str], report: Reporter) -> Tracer:
        """What draws those looks."""


class BakedSubject:
    """The voxels of an asset, which have the looks that were baked."""

    def __init__(self, baked: Baked, representation: str, device: str) -> None:
        self.representation = representation
        self.identity = f"nvf {baked.manifest.digest}"
        self._baked = baked
        self._device = device

    def trained_on(self, entry: MaterialEntry) -> bool:
        """Whether one of its looks was trained on pictures of the material."""
        return any(_trained_on(look, entry) for look in self._baked.manifest.looks)

    def look_of(self, entry: MaterialEntry) -> str | None:
        """The look that was trained on the material, or baked by its prompt."""
        looks = self._baked.manifest.looks
        trained = [look.slug for look in looks if _trained_on(look, entry)]
        prompted = [look.slug for look in looks if _same_words(look.prompt, entry.prompt)]
        return next(iter([*trained, *prompted]), None)

    def tracer(self, looks: Sequence[str], report: Reporter) -> Tracer:
        """Needs no torch."""
        return BakedTracer.of(self._baked, looks, warp_device(self._device))


def _trained_on(look: Look, entry: MaterialEntry) -> bool:
    material = look.details.get("material")
    if isinstance(material, str):
        return material == entry.name
    return look.slug == slug_of(entry.name)


def _same_words(a: str, b: str) -> bool:
    return a.strip().lower() == b.strip().lower()


def open_subjects(
    path: Path, wanted: str, device: str, weights: Path | None, against: bool = False
) -> list[Subject]:
    """The representations of a run or asset that are to be measured.

    With `against` it is only the first one, under that name. Raises RunError, AssetError or
    FileError.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"There is nothing at {path}.", "Give a training run or a .neuron file.")
    if path.is_dir():
        if wanted == "nvf":
            raise NeuronError(
                f"{path} is a run and has no baked voxels.", "Bake it first: neuron bake RUN OUT.neuron"
            )
        from neuron_core.evaluation.field_subject import subject_of_run

        return [subject_of_run(path, "against" if against else "inr", device, weights)]
    if path.suffix.lower() != ".neuron":
        raise AssetError(f"{path} is not a .neuron file.", "Give a training run or a .neuron file.")
    return _of_asset(path, wanted, device, weights, against)


def _of_asset(path: Path, wanted: str, device: str, weights: Path | None, against: bool) -> list[Subject]:
    baked = read_baked(path)
    subjects: list[Subject] = []
    if wanted in ("all", "nvf"):
        subjects.append(BakedSubject(baked, "against" if against else "nvf", device))
    has_field = "inr" in baked.manifest.architecture and baked.manifest.encoder is not None
    if wanted == "inr" or (wanted == "all" and has_field and not against):
        from neuron_core.evaluation.field_subject import subject_of_asset

        subjects.append(subject_of_asset(path, "against" if against else "inr", device, weights))
    return subjects


def trained_downscale(path: Path) -> int:
    """By which factor the photographs of a run were scaled down for training; 1 where nothing says so."""
    record = Path(path) / "run.json"
    content = read_json(record) if record.is_file() else {}
    config = content.get("config", {}) if isinstance(content, dict) else {}
    value = config.get("downscale", 1) if isinstance(config, dict) else 1
    return value if isinstance(value, int) else 1
