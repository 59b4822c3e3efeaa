"""A trained field on disk: what its run was, the looks it learned, the library that came with Neuron."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch

from neuron_core.foundation.records import Rules, read_record_file, to_plain, write_record
from neuron_core.learning.run_folder import RUN
from neuron_core.learning.stored import AGAIN, RunError, load_tensors
from neuron_core.models.field.config import LIBRARY
from neuron_core.models.field.model import Field
from neuron_core.models.field.spec import FieldSpec

FIELD = "field.safetensors"
VERSION = 1
PACKAGED = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True)
class TrainedLook:
    """A material or photograph set that the field learned, and the paraphrases it learned it by."""

    name: str
    prompt: str
    prompts: tuple[str, ...]
    supported: bool = True
    transmissive: bool = False


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What run.json holds: enough to rebuild the field and to know where it came from."""

    RECORD: ClassVar[Rules] = Rules(unknown="drop", version="version", newest=VERSION)

    config: dict[str, object]
    fingerprint: str
    field: FieldSpec
    encoder: dict[str, str]  # name and digest
    looks: tuple[TrainedLook, ...]
    aabb: tuple[tuple[float, float, float], tuple[float, float, float]]  # of the asset, meters
    dataset: dict[str, object]  # kind, geometry, digest
    finished: bool = False
    metrics: dict[str, float] | None = None
    version: int = VERSION

    def to_json(self) -> dict[str, object]:
        """Plain data for run.json."""
        return to_plain(self)

    @classmethod
    def read(cls, folder: Path) -> "RunInfo":
        """Read run.json. Raises RunError if the folder holds no run or one of a newer version."""
        path = folder / RUN
        if not path.is_file():
            raise RunError(f"No training run at {folder}.", "Make one with: neuron train DATASET RUN")
        return read_record_file(cls, path, partial(RunError, hint=AGAIN))


def run_folder(path: Path) -> Path:
    """Where a run lies: the folder itself, or that of the library that came with Neuron."""
    return PACKAGED if str(path) == LIBRARY and not (path / RUN).is_file() else path


def write_run(folder: Path, info: RunInfo) -> None:
    """Write run.json."""
    write_record(folder / RUN, info)


def load_run(folder: Path, device: str = "cpu") -> tuple[Field, RunInfo]:
    """The trained field of a finished run, ready to be asked. Raises RunError."""
    folder = run_folder(folder)
    info = RunInfo.read(folder)
    if not info.finished:
        raise RunError(
            f"The run at {folder} is not finished.",
            "Give the same `neuron train` command again to resume it.",
        )
    field = Field(info.field)
    tensors, _ = load_tensors(folder / FIELD)
    try:
        field.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(f"{folder / FIELD} does not fit the field of run.json.") from error
    broken = [name for name, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise RunError(f"{folder / FIELD} has values that are not finite in {broken[0]}.", AGAIN)
    return field.to(device).eval(), info
