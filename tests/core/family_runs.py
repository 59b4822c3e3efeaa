"""Runs of the smaller families that train in a moment, as the laws of learning take them."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neuron_core.foundation.progress import Silent
from neuron_core.learning.distributed import Placement
from neuron_core.learning.family import Family
from neuron_core.materials.selection import parse
from neuron_core.models.judge.data import RENDERED as JUDGED
from neuron_core.models.judge.data import JudgeConfig, JudgeData
from neuron_core.models.judge.family import FAMILY as JUDGE
from neuron_core.models.prompt_encoder.data import RENDERED, EncoderConfig, EncoderData
from neuron_core.models.prompt_encoder.family import FAMILY as ENCODER
from neuron_core.models.prompt_encoder.language import all_looks
from neuron_core.models.prompt_encoder.vocabulary import Vocabulary
from neuron_core.models.splats.family import FAMILY as SPLATS
from neuron_core.models.splats.family import SplatConfig, SplatData
from neuron_core.splats.fitting import FitSettings
from tests.core.baked_samples import write_ball
from tests.core.toy_objectives import CPU, Setup

COLORS = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))


def setup_of(family: Family[Any, Any], data: Any) -> Setup:
    """Fresh modules and objectives of prepared data."""
    built = family.build(data, Placement(CPU))
    return Setup(built.modules, list(family.phases(data, "full")), built.objectives)


# --- prompt encoder ---


@cache
def vocabulary() -> Vocabulary:
    """That of the grammar, made once."""
    return Vocabulary()


@cache
def noise_for_renders() -> np.ndarray:
    """Pictures of 52 looks from two cameras."""
    random = np.random.default_rng(0)
    return random.random((52, 2, RENDERED, RENDERED, 4)).astype(np.float16)


def encoder_data(steps: int = 5, batch: int = 4, **changes: Any) -> EncoderData:
    """Noise in place of renders."""
    settings = {"pairs": batch, "siblings": 2, "learning_rate": 8e-3, **changes}
    config = EncoderConfig(Path("none"), steps=steps, batch=batch, **settings)
    chosen, pictures = parse("builtin:40+12"), noise_for_renders()
    worded = list(all_looks()[::20])
    data = EncoderData(config, chosen.trained, chosen.held_out, worded, pictures[:40], pictures[40:])
    data.__dict__["vocabulary"] = vocabulary()
    return data


def encoder_run(steps: int, batch: int) -> Setup:
    """An encoder that learns from noise."""
    return setup_of(ENCODER, encoder_data(steps, batch))


# --- judge ---


@cache
def colored_squares() -> np.ndarray:
    """Three materials that their color tells apart, two views each."""
    random = np.random.default_rng(0)
    pictures = np.ones((len(COLORS), 2, JUDGED, JUDGED, 4), np.float32)
    pictures[..., :3] = np.array(COLORS)[:, None, None, None]
    pictures[..., :3] *= random.uniform(0.7, 1.0, (*pictures.shape[:4], 1))
    return pictures


def judge_data(steps: int = 3, batch: int = 4, names: Sequence[str] = ("red", "green", "blue")) -> JudgeData:
    """Colors to tell apart."""
    return JudgeData(JudgeConfig((), steps=steps, batch=batch), names, colored_squares())


def judge_run(steps: int, batch: int) -> Setup:
    """A judge that learns colors."""
    return setup_of(JUDGE, judge_data(steps, batch))


# --- splats ---


@cache
def splat_data(folder: Path, steps: int = 5) -> SplatData:
    """A few hundred splats of a ball and three small views of it."""
    asset = folder / "ball.neuron"
    if not asset.exists():
        write_ball(asset)
    settings = FitSettings(400, 1, "srgb", steps, views=3, view_size=32)
    return SPLATS.prepare(SplatConfig(asset, fit=settings), Silent())


def splat_run(folder: Path, steps: int) -> Setup:
    """Splats that are refined."""
    return setup_of(SPLATS, splat_data(folder, steps))
