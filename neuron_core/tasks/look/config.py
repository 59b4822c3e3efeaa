"""What `neuron look` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuron_core.foundation.errors import NeuronError


@dataclass(frozen=True, slots=True)
class LookConfig:
    """Ask a .neuron file for a look by its prompt, or edit a look that it has. Nothing is trained.

    A look keeps its prompt and a stack of edits that can be listed, turned off, moved and taken
    back; without edits it is bit for bit what was baked. Several actions of one command run in the
    order of this list: undo, disable, enable, move, then prompt, mix and slider as new edits.
    """

    asset: Path
    """The .neuron file."""
    prompt: str = ""
    """A new look; with --look, an edit of it: "more worn", or where to go with --weight."""
    look: str = ""
    """The look to edit, by its name or its prompt. Default: the new look of --prompt, else the first."""
    out: Path | None = None
    """The .neuron file to write, which may be the asset itself. Default: only a picture is made."""
    preview: Path | None = None
    """A PNG of the look. Default: ASSET.LOOK.png beside the asset, unless a file is written."""
    name: str = ""
    """What a new look is called in the file. Default: made from its prompt."""
    weight: float = 1.0
    """How far an edit by --prompt goes: 0.5 half of the way, 1 all of it, up to 2 beyond."""
    mix: tuple[str, ...] = ()
    """LOOK=SHARE or TEXT=SHARE: go that part of the way, 0 to 1, to another look. May be repeated."""
    slider: tuple[str, ...] = ()
    """wear=AMOUNT, dirt=AMOUNT or wetness=AMOUNT, -1 to 1, from where the look is. May be repeated."""
    edits: bool = False
    """Only list the looks and their edits."""
    undo: int = 0
    """Take back so many of the last edits."""
    disable: tuple[int, ...] = ()
    """Turn off the edit of this number, counted from 1. May be repeated."""
    enable: tuple[int, ...] = ()
    """Turn it on again."""
    move: str = ""
    """FROM:TO moves an edit to another place in the stack."""
    size: int = 256
    """Pixels along a side of the preview."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes CUDA where it works."""
    encoder_weights: Path | None = None
    """Local weights of the OpenCLIP encoder that the asset was trained with, if it was one."""
    overwrite: bool = False
    """Replace another file at OUT."""

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 4096:
            raise NeuronError(f"A preview of {self.size} pixels cannot be had.", "Give 16 to 4096.")
        if not 0.0 <= self.weight <= 2.0:  # NaN fails too
            raise NeuronError(f"A weight of {self.weight:g} cannot be had.", "Give 0 to 2; 1 is usual.")
        if self.undo < 0:
            raise NeuronError(f"{self.undo} edits cannot be taken back.", "Give 0 or more.")

    def changes_stack(self) -> bool:
        """Whether any action is asked of an existing look's edits."""
        return bool(self.undo or self.disable or self.enable or self.move or self.mix or self.slider)
