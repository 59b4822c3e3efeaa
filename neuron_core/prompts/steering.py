"""From a prompt and its edits to a blend of prompts.

Axes go through the words of the grammar: "slightly worn", "worn" and "heavily worn" are stations
on the way, and the encoder and the field learned what they look like. A slider walks along them
from where the prompt already is. Between stations it is the codes of looks that are blended: vectors
between two prompts mean one or the other to a field, which hardly knows anything in between.
W is the width of the encoder's vectors, K is how many prompts are blended.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neuron_core.materials.grammar_tables import CONDITIONS
from neuron_core.materials.words import CONDITIONS as WORDS
from neuron_core.prompts.edits import Edit
from neuron_core.prompts.encoder import PromptEncoder

NOTHING = 1e-6  # a smaller weight is rounding


class Blend(NamedTuple):
    """A look between prompts: its codes are the sum of theirs, each times its weight."""

    weights: np.ndarray  # [K], their sum is 1; negative ones take away
    vectors: np.ndarray  # [K, W] of unit length, all different


def steered(encoder: PromptEncoder, prompt: str, edits: Sequence[Edit]) -> Blend:
    """What a prompt and its edits, in their order, stand for.

    Edits that are off do nothing. Raises PromptError as the encoder does.
    """
    blend = _one(encoder.encode([prompt])[0])
    for edit in edits:
        if edit.enabled:
            blend = _edited(encoder, prompt, blend, edit)
    return blend


def axis_level(prompt: str, axis: str) -> float:
    """How far along an axis a prompt already is, in [0, 1], by its words."""
    found = [level for phrase, level in _phrases(axis) if _occurs(phrase, prompt)]
    return found[0] if found else 0.0


def along_axis(encoder: PromptEncoder, prompt: str, axis: str, level: float) -> Blend:
    """A prompt at a level of an axis in [0, 1], whatever its own words say of it."""
    plain = _without(prompt, axis)
    stations = [(0.0, plain), *((level, f"{plain}, {name}") for name, level in _stations(axis))]
    levels, prompts = zip(*stations, strict=True)
    weights = np.array([np.interp(level, levels, row) for row in np.eye(len(levels))], np.float32)
    near = np.flatnonzero(weights)
    # One by one: a prompt's vector must not depend, not even in its last bit, on what it is encoded with.
    return Blend(weights[near], np.concatenate([encoder.encode([prompts[station]]) for station in near]))


def _edited(encoder: PromptEncoder, prompt: str, blend: Blend, edit: Edit) -> Blend:
    if edit.kind == "axis":
        start = axis_level(prompt, edit.text)
        end = float(np.clip(start + edit.amount, 0.0, 1.0))
        left, reached = (along_axis(encoder, prompt, edit.text, level) for level in (start, end))
        return _sum((blend, 1.0), (reached, 1.0), (left, -1.0))
    there = encoder.encode([edit.text])[0]
    if edit.amount <= 1.0:
        return _sum((blend, 1.0 - edit.amount), (_one(there), edit.amount))
    # Beyond what was asked for there are no codes to blend: the words themselves go on.
    here = blend.weights @ blend.vectors
    return _one(_unit(here + np.float32(edit.amount) * (there - here)))


def _one(vector: np.ndarray) -> Blend:
    return Blend(np.ones(1, np.float32), vector[None])


def _sum(*parts: tuple[Blend, float]) -> Blend:
    """Blends, each times its share; a prompt that several of them hold comes once, or not at all."""
    found: dict[bytes, tuple[float, np.ndarray]] = {}
    for blend, share in parts:
        for weight, vector in zip(blend.weights, blend.vectors, strict=True):
            before = found.get(vector.tobytes(), (0.0, vector))[0]
            found[vector.tobytes()] = (before + share * float(weight), vector)
    kept = [(weight, vector) for weight, vector in found.values() if abs(weight) > NOTHING]
    weights, vectors = zip(*kept, strict=True)
    return Blend(np.array(weights, np.float32), np.stack(vectors))


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / max(length, 1e-6), np.float32)


def _stations(axis: str) -> list[tuple[str, float]]:
    """The conditions of an axis and their levels, ascending."""
    named = [(name, condition.level) for name, condition in CONDITIONS.items() if condition.axis == axis]
    return sorted(named, key=lambda item: item[1])


def _phrases(axis: str) -> list[tuple[str, float]]:
    """Every wording of every station with its level; longer ones first, as they contain shorter ones."""
    phrases = [(phrase, level) for name, level in _stations(axis) for phrase in (name, *WORDS.get(name, ()))]
    return sorted(phrases, key=lambda item: -len(item[0]))


def _occurs(phrase: str, prompt: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", prompt.lower()) is not None


def _without(prompt: str, axis: str) -> str:
    """The prompt without the words of an axis; the prompt itself if nothing else is left."""
    text = prompt
    for phrase, _ in _phrases(axis):
        text = re.sub(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", "", text, flags=re.IGNORECASE)
    parts = [re.sub(r"^\s*and\b|\band\s*$", "", part).strip() for part in text.split(",")]
    kept = ", ".join(" ".join(part.split()) for part in parts if part)
    return kept if any(character.isalnum() for character in kept) else prompt
