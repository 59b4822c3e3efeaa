"""How the embedded encoder is made: its looks and words, and that what is saved is what was trained."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import train_encoder
from encoder_grammar import all_looks, canonical, describe
from train_encoder import Config, Data, Words, build, load_data, measure, save_encoder, text_features, train

from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.progress import Silent
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.materials import paraphrases, prompts
from neuron_core.materials.grammar import Combination, material_of
from neuron_core.materials.selection import parse
from neuron_core.prompts import load_encoder
from neuron_core.prompts.embedded import words_of
from neuron_core.tasks.dataset.run import run

TINY = Config(steps=2, batch=4, pairs=4)


@pytest.fixture(scope="module")
def words() -> Words:
    return Words()


def without_pictures() -> Data:
    """Noise in place of renders."""
    noise = np.random.default_rng(0)
    size, chosen = train_encoder.RENDERED, parse("builtin:40+12")
    pictures = noise.random((52, 1, size, size, 4)).astype(np.float16)
    worded = list(all_looks()[::20])
    return Data(list(chosen.trained), list(chosen.held_out), worded, pictures[:40], pictures[40:])


def trained(words: Words, out: Path) -> torch.nn.Module:
    torch.manual_seed(TINY.seed)
    model: torch.nn.Module = build(words)
    train(model, words, without_pictures(), TINY, None)
    save_encoder(model, words, out)
    return model.eval()


def test_a_prompt_names_what_is_not_the_default() -> None:
    chance = random.Random(1)
    look = Combination("copper", "brushed", "heavily worn")
    for _ in range(50):
        said = set(words_of(describe(look, chance)))
        assert "copper" in said
        assert said & {"brushed", "hairline", "machined"}
        assert said & {"heavily", "very", "badly", "extremely", "strongly", "out"}


def test_every_word_of_a_prompt_is_in_the_table(words: Words) -> None:
    chance = random.Random(2)
    known = set(words.words)
    for look in chance.sample(list(all_looks()), 400):
        prompt = describe(look, chance)
        assert set(words_of(prompt)) <= known, prompt
        assert 0 not in words.encode(prompt), prompt


def test_every_word_of_every_label_is_in_the_table(words: Words) -> None:
    known = set(words.words)
    for look in all_looks()[::40]:
        material = material_of(look)
        for text in (canonical(look), *prompts(material, 6, 1), *paraphrases(material, 3, 1)):
            assert set(words_of(text)) <= known, text


def test_what_a_dataset_holds_out_is_in_no_training_text(tmp_path: Path) -> None:
    config = DatasetConfig(
        tmp_path / "tiny", materials="builtin:2+1", views=1, val_views=0, test_views=1, resolution=64, spp=1,
        truth_spp=2,
    )  # fmt: skip
    run(config, Silent())
    data = load_data(open_dataset(config.out))
    assert (len(data.seen), len(data.unseen)) == (2, 1)
    assert data.seen_pictures.shape == (2, 1, 64, 64, 4) and data.unseen_pictures.any()
    hidden = {(look.base, look.finish, look.condition) for look in data.unseen}
    assert not hidden & {(look.base, look.finish, look.condition) for look in (*data.seen, *data.worded)}


def test_what_is_saved_is_what_was_trained_and_the_same_seed_repeats_it(words: Words, tmp_path: Path) -> None:
    model = trained(words, tmp_path)
    encoder = load_encoder("embedded", tmp_path / "embedded-3.safetensors")
    texts = ["gold, polished", "a heavily worn walnut, satin", "unknown gold"]
    with torch.no_grad():
        expected = text_features(model, words.batch(texts, None)).numpy()
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=2e-6)
    trained(words, tmp_path / "again")
    for path in tmp_path.glob("embedded-3*"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_figures_are_fractions_and_cosines(words: Words) -> None:
    torch.manual_seed(0)
    figures = measure(build(words), words, without_pictures(), TINY)
    assert figures.pop("candidates") == 12
    assert all(-1.0 <= value <= 1.0 + 1e-5 for value in figures.values())
    assert figures["text_to_image_top1"] <= figures["text_to_image_top5"]
