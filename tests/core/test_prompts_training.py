"""How the embedded encoder is made: its looks and words, and that what is saved is what was trained."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import train_encoder
from encoder_grammar import BASES, Look, all_looks, canonical, describe, material_of
from train_encoder import Config, Data, Words, build, choose, measure, save_encoder, text_features, train

from neuron_core.materials import principled
from neuron_core.prompts import load_encoder
from neuron_core.prompts.embedded import words_of

TINY = Config(looks=40, unseen=12, views=1, steps=2, batch=4, pairs=4)


@pytest.fixture(scope="module")
def words() -> Words:
    return Words()


def without_pictures(config: Config) -> Data:
    """Noise in place of renders."""
    noise = np.random.default_rng(0)
    size = train_encoder.RENDERED
    seen, unseen, worded = choose(config)
    pictures = noise.random((config.looks + config.unseen, config.views, size, size, 4)).astype(np.float16)
    return Data(seen, unseen, worded[:100], pictures[: config.looks], pictures[config.looks :])


def trained(words: Words, out: Path) -> torch.nn.Module:
    torch.manual_seed(TINY.seed)
    model: torch.nn.Module = build(words)
    train(model, words, without_pictures(TINY), TINY, None)
    save_encoder(model, words, out)
    return model.eval()


def test_every_look_has_its_own_name_and_can_be_rendered() -> None:
    looks = list(all_looks())
    assert len({look.name() for look in looks}) == len(looks) > 5000
    assert len({canonical(look) for look in looks}) == len(looks)
    for look in random.Random(0).sample(looks, 200):
        assert principled(material_of(look)).supported, look


def test_a_prompt_names_what_is_not_the_default() -> None:
    chance = random.Random(1)
    look = Look("copper", "brushed", "worn", degree="heavy")
    for _ in range(50):
        said = set(words_of(describe(look, chance)))
        assert "copper" in said
        assert said & {"brushed", "hairline", "machined"}
        assert said & {"heavily", "very", "badly", "extremely", "strongly"}


def test_every_word_of_a_prompt_is_in_the_table(words: Words) -> None:
    chance = random.Random(2)
    known = set(words.words)
    for look in chance.sample(list(all_looks()), 400):
        prompt = describe(look, chance)
        assert set(words_of(prompt)) <= known, prompt
        assert 0 not in words.encode(prompt), prompt


def test_unseen_combinations_are_in_no_training_text() -> None:
    seen, unseen, worded = choose(TINY)
    hidden = {(look.base, look.finish, look.condition, look.color) for look in unseen}
    assert not hidden & {(look.base, look.finish, look.condition, look.color) for look in (*seen, *worded)}
    assert len({look.base for look in (*seen, *unseen)}) == len(BASES)


def test_what_is_saved_is_what_was_trained_and_the_same_seed_repeats_it(words: Words, tmp_path: Path) -> None:
    model = trained(words, tmp_path)
    encoder = load_encoder("embedded", tmp_path / "embedded-1.safetensors")
    prompts = ["gold, polished", "a heavily worn walnut, satin", "unknown gold"]
    with torch.no_grad():
        expected = text_features(model, words.batch(prompts, None)).numpy()
    np.testing.assert_allclose(encoder.encode(prompts), expected, atol=2e-6)
    trained(words, tmp_path / "again")
    for path in tmp_path.glob("embedded-1*"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_figures_are_fractions_and_cosines(words: Words) -> None:
    torch.manual_seed(0)
    figures = measure(build(words), words, without_pictures(TINY), TINY)
    assert figures.pop("candidates") == TINY.unseen
    assert all(-1.0 <= value <= 1.0 + 1e-5 for value in figures.values())
    assert figures["text_to_image_top1"] <= figures["text_to_image_top5"]
