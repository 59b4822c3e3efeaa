"""A run on disk: what it was asked for, where it is, and how it goes on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.files import read_json, replacing, write_json
from neuron_core.models.field.config import LIBRARY
from neuron_core.models.field.model import Field
from neuron_core.models.field.spec import FieldSpec

RUN = "run.json"
CHECKPOINT = "checkpoint.safetensors"
FIELD = "field.safetensors"
VERSION = 1
AGAIN = "Train again with --overwrite."
PACKAGED = Path(__file__).parent / "library"


class RunError(NeuronError):
    """A training run that is missing, unfinished or damaged."""

    kind = "run"


@dataclass(frozen=True, slots=True)
class TrainedLook:
    """A material or photograph set that the field learned, and the wordings it learned it by."""

    name: str
    prompt: str
    prompts: tuple[str, ...]
    supported: bool = True
    transmissive: bool = False


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What run.json holds: enough to rebuild the field and to know where it came from."""

    config: dict[str, object]
    fingerprint: str
    field: FieldSpec
    encoder: dict[str, str]  # name and digest
    looks: tuple[TrainedLook, ...]
    aabb: tuple[tuple[float, float, float], tuple[float, float, float]]  # of the asset, metres
    dataset: dict[str, object]  # kind, geometry, digest
    finished: bool = False
    metrics: dict[str, float] | None = None
    version: int = VERSION

    def to_json(self) -> dict[str, object]:
        """Plain data for run.json."""
        return {**asdict(self), "field": self.field.to_json()}

    @classmethod
    def read(cls, folder: Path) -> "RunInfo":
        """Read run.json. Raises RunError if the folder holds no run or one of a newer version."""
        path = folder / RUN
        if not path.is_file():
            raise RunError(f"No training run at {folder}.", "Make one with: neuron train DATASET RUN")
        content = read_json(path)
        try:
            if not isinstance(content, dict):
                raise TypeError("it is not an object")
            if content.get("version", 0) > VERSION:
                raise RunError(f"The run at {folder} was made by a newer Neuron.", "Update Neuron.")
            values = {key: content[key] for key in (entry.name for entry in fields(cls))}
            values["field"] = FieldSpec.from_json(values["field"])
            values["looks"] = tuple(
                TrainedLook(**{**look, "prompts": tuple(look["prompts"])}) for look in values["looks"]
            )
            low, high = values["aabb"]
            values["aabb"] = (tuple(map(float, low)), tuple(map(float, high)))
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path} cannot be used: {error}.", AGAIN) from error


def run_folder(path: Path) -> Path:
    """Where a run lies: the folder itself, or that of the library that came with Neuron."""
    return PACKAGED if str(path) == LIBRARY and not (path / RUN).is_file() else path


def fingerprint(content: Mapping[str, object]) -> str:
    """A digest of everything that a result depends on."""
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:32]


def claim(folder: Path, wanted: str, overwrite: bool) -> RunInfo | None:
    """What already lies in `folder` and may be gone on with, or None for a new run.

    Raises ConfigMismatchError if it was made with another config and is not to be overwritten.
    """
    if not (folder / RUN).is_file():
        return None
    existing = RunInfo.read(folder)
    if existing.fingerprint == wanted:
        return existing
    if not overwrite:
        raise ConfigMismatchError(
            f"{folder} holds a run that was made with another config or dataset.",
            "Pick another folder, or add --overwrite to throw it away.",
        )
    for name in (CHECKPOINT, FIELD, "metrics.jsonl", RUN):
        (folder / name).unlink(missing_ok=True)
    return None


def write_run(folder: Path, info: RunInfo) -> None:
    """Write run.json."""
    write_json(folder / RUN, info.to_json())


def save_field(folder: Path, field: Field) -> None:
    """Write the trained weights."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in field.state_dict().items()}
    with replacing(folder / FIELD) as path:
        save_file(tensors, path)


def load_run(folder: Path, device: str = "cpu") -> tuple[Field, RunInfo]:
    """The trained field of a finished run, ready to be asked. Raises RunError."""
    folder = run_folder(folder)
    info = RunInfo.read(folder)
    if not info.finished:
        raise RunError(
            f"The run at {folder} is not finished.", "Give the same `neuron train` command again to go on."
        )
    field = Field(info.field)
    tensors, _ = _read(folder / FIELD)
    try:
        field.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(f"{folder / FIELD} does not fit the field of run.json.") from error
    broken = [name for name, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise RunError(f"{folder / FIELD} has values that are not finite in {broken[0]}.", AGAIN)
    return field.to(device).eval(), info


def save_checkpoint(
    folder: Path,
    field: Field,
    optimizer: torch.optim.Optimizer,
    position: Mapping[str, object],
    stage: Mapping[str, Tensor],
) -> None:
    """Write everything that going on needs.

    `position` is plain data: stage, step and so on; `stage` is what the stage keeps beside the field.
    """
    tensors = {f"field.{name}": value for name, value in field.state_dict().items()}
    tensors |= {f"stage.{name}": value for name, value in stage.items()}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
    with replacing(folder / CHECKPOINT) as path:
        save_file(
            {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()},
            path,
            metadata={"position": json.dumps(position)},
        )


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, object]] | None:
    """The tensors and the position of the last checkpoint, or None if there is none."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    tensors, metadata = _read(path)
    try:
        position = json.loads(metadata["position"])
        return tensors, {str(name): value for name, value in position.items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise RunError(f"{path} does not say where it stopped.", AGAIN) from error


def restore(field: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put the field's tensors back. Raises RunError if they are those of another field."""
    own = {name.removeprefix("field."): value for name, value in tensors.items() if name.startswith("field.")}
    try:
        field.load_state_dict(own)
    except RuntimeError as error:
        raise RunError("The checkpoint is of another field; Neuron may have changed since.", AGAIN) from error


def stage_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the stage kept beside the field."""
    return {
        name.removeprefix("stage."): value for name, value in tensors.items() if name.startswith("stage.")
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the optimizer's state back; its parameters must be those it was saved with."""
    content = optimizer.state_dict()
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            states.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**content, "state": states})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is missing or damaged: {error}.", AGAIN) from error
