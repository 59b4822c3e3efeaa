"""What `neuron render` and `neuron anchor` are asked for about light that things take from each other."""

from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from neuron_core.foundation.values import ValueNotationError
from neuron_core.rendering.visibility import HIGH, Occlusion
from neuron_core.usd.records import SceneSnapshot


@runtime_checkable
class Asked(Protocol):
    """What the configs of both tasks say about how a stage is drawn."""

    @property
    def device(self) -> Literal["auto", "cpu", "cuda"]:
        """Where to draw."""

    @property
    def encoder_weights(self) -> Path | None:
        """Local weights of the prompt encoder."""

    @property
    def library(self) -> Path | None:
        """Where assets have to lie, if that is restricted."""

    @property
    def contact_shadows(self) -> bool:
        """Whether neighbours take the light of a lamp."""

    @property
    def ambient_occlusion(self) -> bool:
        """Whether neighbours take the light from all around."""

    @property
    def lamp(self) -> str:
        """The direction to the lamp in the axes of the stage."""

    @property
    def occlusion_reach(self) -> float:
        """Metres; 0 is half the size of a usual asset."""


def check(asked: Asked) -> None:
    """Raises ValueNotationError for a direction that is none."""
    _lamp(asked.lamp)


def occlusion_in(asked: Asked, snapshot: SceneSnapshot) -> Occlusion:
    """The same in the engine's world."""
    lamp = _lamp(asked.lamp)
    if lamp is not None:
        x, y, z = (snapshot.engine_from_stage[:3, :3] @ lamp / snapshot.meters_per_unit).tolist()
    else:
        x, y, z = HIGH
    return Occlusion(asked.ambient_occlusion, asked.contact_shadows, (x, y, z), asked.occlusion_reach)


def description(asked: Asked) -> dict[str, object]:
    """What pictures depend on; empty where nothing was asked for."""
    found: dict[str, object] = {} if asked.library is None else {"restricted": True}
    if asked.ambient_occlusion or asked.contact_shadows:
        asks = {"ambient": asked.ambient_occlusion, "contact": asked.contact_shadows}
        found["occlusion"] = {**asks, "lamp": asked.lamp.strip(), "reach": asked.occlusion_reach}
    return found


def approximations(asked: Asked) -> list[str]:
    """What of a picture is approximate, in words."""
    named = {"contact shadows": asked.contact_shadows, "ambient occlusion": asked.ambient_occlusion}
    return [f"{name} between assets" for name, wanted in named.items() if wanted]


def _lamp(text: str) -> np.ndarray | None:
    if not text.strip():
        return None
    try:
        lamp = np.array([float(part) for part in text.split(",")])
    except ValueError:
        lamp = np.zeros(0)
    if lamp.shape != (3,) or not np.isfinite(lamp).all() or not 1e-9 < np.abs(lamp).max() < 1e9:
        raise ValueNotationError(f"--lamp {text!r} is no direction.", "Write x,y,z, as 0.4,1,0.3.")
    return lamp
