"""Finds assets and looks by words: through the encoder that the assets were made with, or plainly."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.assets.encoders import encoder_named
from neuron_core.library.index import read_library
from neuron_core.library.version import Version
from neuron_core.prompts import PromptError, check_prompt


@dataclass(frozen=True, slots=True)
class Hit:
    """One look of the latest version of an asset."""

    score: float  # 0 to 2: share of the words that stand in it, plus likeness by the encoder
    name: str
    version: str
    look: str
    prompt: str
    entry: str  # layer that follows the asset
    preview: str  # picture, or ""


def search(library: Path, text: str, warn: Callable[[str], None]) -> list[Hit]:
    """All looks that share words with the text or are like it, best first.

    Where an encoder cannot be had, words alone count, and `warn` says so. Raises PromptError for a
    text without words, LibraryError where there is no library.
    """
    words = check_prompt(text)
    latest = [versions[-1] for versions in read_library(library).values()]
    hits: list[Hit] = []
    for encoder in sorted({version.encoder for version in latest}):
        group = [version for version in latest if version.encoder == encoder]
        hits += _ranked(library, words, group, _likeness(encoder, words, group, warn))
    return sorted(hits, key=lambda hit: (-hit.score, hit.name, hit.look))


def _ranked(library: Path, text: str, versions: list[Version], likeness: dict[str, float]) -> list[Hit]:
    hits = []
    for version in versions:
        for look in version.looks:
            plain = shared_words(text, f"{version.name} {look.slug} {look.prompt}")
            score = plain + likeness.get(look.prompt, 0.0)
            if score > 0:
                entry = str(library / version.name / f"{version.name}.usd")
                preview = str(library / version.preview) if version.preview else ""
                hits.append(
                    Hit(round(score, 4), version.name, version.label, look.slug, look.prompt, entry, preview)
                )
    return hits


def shared_words(text: str, other: str) -> float:
    """The share of the words of a text that begin a word of the other one."""
    wanted = re.findall(r"[^\W_]+", text.lower())
    found = re.findall(r"[^\W_]+", other.lower())
    return sum(any(word.startswith(one) for word in found) for one in wanted) / max(len(wanted), 1)


def _likeness(
    encoder: str, text: str, versions: list[Version], warn: Callable[[str], None]
) -> dict[str, float]:
    """By prompt, the cosine to the text where it stands out from the mean of the prompts, 0 to 1."""
    prompts = sorted({look.prompt for version in versions for look in version.looks if look.prompt.strip()})
    if not encoder or not prompts:
        return {}
    try:
        vectors = encoder_named(encoder).encode([text, *prompts])
    except PromptError as error:
        warn(f"Only words are compared: {error.message}")
        return {}
    cosines = np.asarray(vectors[1:] @ vectors[0], np.float64)
    above = cosines - (cosines.mean() if len(prompts) > 2 else 0.0)
    return {prompt: float(value) for prompt, value in zip(prompts, above.clip(0.0, 1.0), strict=True)}
