"""From a prompt and its edits to one vector.

Axes go through the words of the grammar: "slightly worn", "worn" and "heavily worn" are stations
on the way, and the encoder and the field learned what they look like. A slider walks along them
from where the prompt already is. W is the width of the encoder's vectors.
"""

import re
from collections.abc import Sequence

import numpy as np

from neuron_core.materials.grammar_tables import CONDITIONS
from neuron_core.materials.words import CONDITIONS as WORDS
from neuron_core.prompts.edits import Edit
from neuron_core.prompts.encoder import PromptEncoder


def steered(encoder: PromptEncoder, prompt: str, edits: Sequence[Edit]) -> np.ndarray:
    """The vector [W] of unit length that a prompt and its edits, in their order, stand for.

    Edits that are off do nothing. Raises PromptError as the encoder does.
    """
    vector = encoder.encode([prompt])[0]
    for edit in edits:
        if edit.enabled:
            vector = _edited(encoder, prompt, vector, edit)
    return vector


def axis_level(prompt: str, axis: str) -> float:
    """How far along an axis a prompt already is, in [0, 1], by its words."""
    found = [level for phrase, level in _phrases(axis) if _occurs(phrase, prompt)]
    return found[0] if found else 0.0


def along_axis(encoder: PromptEncoder, prompt: str, axis: str, level: float) -> np.ndarray:
    """The vector [W] of a prompt at a level of an axis in [0, 1], whatever its own words say of it."""
    plain = _without(prompt, axis)
    stations = [(0.0, plain), *((level, f"{plain}, {name}") for name, level in _stations(axis))]
    levels, prompts = zip(*stations, strict=True)
    vectors = encoder.encode(prompts)
    mixed = np.array([np.interp(level, levels, column) for column in vectors.T], np.float32)
    return _unit(mixed)


def _edited(encoder: PromptEncoder, prompt: str, vector: np.ndarray, edit: Edit) -> np.ndarray:
    if edit.kind != "axis":
        return _unit(vector + np.float32(edit.amount) * (encoder.encode([edit.text])[0] - vector))
    start = axis_level(prompt, edit.text)
    end = float(np.clip(start + edit.amount, 0.0, 1.0))
    way = along_axis(encoder, prompt, edit.text, end) - along_axis(encoder, prompt, edit.text, start)
    return _unit(vector + way)


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
