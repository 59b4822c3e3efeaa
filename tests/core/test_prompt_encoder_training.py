"""How the embedded encoder is made: its looks and words, its losses, and that what is saved was trained."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.reader import open_dataset
from neuron_core.learning.objective import Step
from neuron_core.learning.plan import Position
from neuron_core.materials import paraphrases, prompts
from neuron_core.materials.grammar import Combination, material_of
from neuron_core.materials.selection import parse
from neuron_core.models.prompt_encoder.data import (
    PICTURE,
    RENDERED,
    EncoderConfig,
    EncoderData,
    load_data,
    pictures_to_input,
)
from neuron_core.models.prompt_encoder.family import FAMILY
from neuron_core.models.prompt_encoder.language import all_looks, canonical, describe, families_of
from neuron_core.models.prompt_encoder.measures import hit_rate, measure, nearest_others, readable
from neuron_core.models.prompt_encoder.model import Composition, Readers, build_towers, text_features
from neuron_core.models.prompt_encoder.objective import LARGEST_SCALE, PHASE, ContrastObjective, own_rows
from neuron_core.models.prompt_encoder.stored import save_encoder, write_card
from neuron_core.models.prompt_encoder.vocabulary import CONTEXT, Vocabulary
from neuron_core.prompts import load_encoder
from neuron_core.prompts.embedded import words_of
from tests.core import learning_laws as laws
from tests.core.family_runs import encoder_data, setup_of, vocabulary
from tests.core.training_samples import write_rendered

TINY = EncoderConfig(Path("none"))


@pytest.fixture(scope="module")
def data() -> EncoderData:
    return encoder_data()


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


def objective_of(data: EncoderData) -> ContrastObjective:
    return setup_of(FAMILY, data).objectives[PHASE]()  # type: ignore[return-value]


# --- words ---


def test_a_prompt_names_what_is_not_the_default():
    chance = random.Random(1)
    look = Combination("copper", "brushed", "heavily worn")
    for _ in range(50):
        said = set(words_of(describe(look, chance)))
        assert "copper" in said
        assert said & {"brushed", "hairline", "machined"}
        assert said & {"heavily", "very", "badly", "extremely", "strongly", "out"}


def test_every_word_of_a_prompt_is_in_the_table(words):
    chance = random.Random(2)
    known = set(words.words)
    for look in chance.sample(list(all_looks()), 400):
        prompt = describe(look, chance)
        assert set(words_of(prompt)) <= known, prompt
        assert 0 not in words.encode(prompt), prompt


def test_every_word_of_every_label_is_in_the_table(words):
    known = set(words.words)
    for look in all_looks()[::40]:
        material = material_of(look)
        for text in (canonical(look), *prompts(material, 6, 1), *paraphrases(material, 3, 1)):
            assert set(words_of(text)) <= known, text


def test_families_share_base_and_color_and_have_more_than_one_member():
    families = families_of(all_looks()[::3])
    assert all(len({(look.base, look.color) for look in family}) == 1 for family in families)
    assert min(map(len, families)) > 1
    keys = [(family[0].base, family[0].color) for family in families]
    assert len(set(keys)) == len(keys)


def test_blanks_are_added_to_prompts_and_take_nothing_away(words):
    texts = ["gold, polished", "a heavily worn walnut"] * 40
    plain, blanked = words.batch(texts, None), words.batch(texts, random.Random(3))
    assert (plain == 0).sum() < (blanked == 0).sum()
    assert blanked.shape[1] <= CONTEXT
    for before, after in zip(plain, blanked, strict=True):
        assert [n for n in after.tolist() if n] == [n for n in before.tolist() if n]


# --- pictures ---


def test_pictures_are_cut_from_the_middle_over_gray(data):
    picture = np.zeros((1, RENDERED, RENDERED, 4), np.float32)
    shown = pictures_to_input(picture, None)
    assert shown.shape == (1, 3, PICTURE, PICTURE)
    assert shown.std() < 1e-6 and float(shown.mean()) == pytest.approx((0.7353569 - 0.5) / 0.25, abs=1e-5)
    picture[0, RENDERED // 2, RENDERED // 2] = (1, 1, 1, 1)
    spot = pictures_to_input(picture, None)[0, 0]
    assert divmod(int(spot.argmax()), PICTURE) == (PICTURE // 2, PICTURE // 2)


def test_augmented_pictures_differ_and_repeat_with_their_seed(data):
    twice = np.stack([data.seen_pictures[0, 0]] * 2)
    one, again = (pictures_to_input(twice, np.random.default_rng(4)) for _ in range(2))
    assert torch.equal(one, again) and not torch.equal(one[0], one[1])


def test_what_a_dataset_holds_out_is_in_no_training_text(tmp_path):
    chosen = parse("builtin:2+1")
    colors = {look.name: (0.5, 0.3, 0.1) for look in (*chosen.trained, *chosen.held_out)}
    held_out = [look.name for look in chosen.held_out]
    dataset = write_rendered(tmp_path / "tiny", colors, held_out, (RENDERED, RENDERED), "builtin:2+1")
    data = load_data(open_dataset(dataset), TINY)
    assert (len(data.seen), len(data.unseen)) == (2, 1)
    assert data.seen_pictures.shape == (2, 5, 64, 64, 4) and data.unseen_pictures.any()
    hidden = {(look.base, look.finish, look.condition) for look in data.unseen}
    assert not hidden & {(look.base, look.finish, look.condition) for look in (*data.seen, *data.worded)}
    assert data.materials == "builtin:2+1" and data.recipe["dataset"] == data.source != ""


def test_a_dataset_of_other_pictures_is_refused(tmp_path):
    dataset = write_rendered(tmp_path / "small", {parse("builtin:2+1").trained[0].name: (0.5, 0.3, 0.1)})
    with pytest.raises(DatasetError, match="20 pixels, not 64") as caught:
        load_data(open_dataset(dataset), TINY)
    assert "--resolution 64" in caught.value.hint


def test_a_dataset_of_other_materials_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no red-paint") as caught:
        load_data(open_dataset(write_rendered(tmp_path / "ball")), TINY)
    assert "builtin" in caught.value.hint


# --- training ---


def test_a_step_is_a_function_of_its_number(data):
    objective, other = objective_of(data), objective_of(data)
    step = Step(2, 0.0, 7, PHASE)
    list(other.turns(Step(1, 0.0, 7, PHASE)))
    one, two = (each.draw(step, random.Random(5)) for each in (objective, other))
    assert one.texts == two.texts and one.looks == two.looks and torch.equal(one.pictures, two.pictures)
    assert objective.draw(Step(3, 0.0, 7, PHASE), random.Random(5)).pictures is None


def test_half_of_the_pairs_come_from_families(data):
    objective = objective_of(replace(encoder_data(batch=24, siblings=4), worded=list(all_looks())))
    pairs = objective.pairs(random.Random(0))
    assert len(set(pairs)) == len(pairs) == 24
    siblings = [look for look in pairs[12:] for other in pairs[12:] if other != look]
    assert len({(look.base, look.color) for look in pairs[12:]}) <= 4 and siblings


def test_own_rows_have_their_gradient_times_the_processes_and_others_none():
    values = torch.ones(5, 2, requires_grad=True)
    found = []
    for rank in range(2):
        own = own_rows(3.0 * values, Step(0, 0.0, 0, PHASE, rank, 2))
        assert torch.equal(own, 3.0 * values)
        (gradient,) = torch.autograd.grad(own.sum(), values)
        assert set(gradient[rank::2].flatten().tolist()) == {6.0}
        assert not gradient[1 - rank :: 2].any()
        found.append(gradient)
    assert torch.equal((found[0] + found[1]) / 2, torch.full((5, 2), 3.0))


def test_the_scale_of_pictures_and_prompts_stays_in_its_limits(data):
    objective = objective_of(data)
    with torch.no_grad():
        objective.towers.logit_scale.fill_(99.0)
    list(objective.turns(Step(0, 0.0, 7, PHASE)))
    assert float(objective.towers.logit_scale.detach()) == pytest.approx(LARGEST_SCALE)


def test_heads_read_and_compose_the_tags_of_looks():
    looks = list(all_looks()[::500])
    composition, readers = Composition(), Readers()
    with torch.no_grad():
        parts = [
            table(composition.numbers(tag, looks))
            for tag, table in zip(("base", "finish", "condition", "color"), composition.tables, strict=True)
        ]
        whole = torch.nn.functional.normalize(sum(parts), dim=-1)  # type: ignore[arg-type]
        assert float(composition(whole, looks)) == pytest.approx(0.0, abs=1e-6)
        assert float(composition(-whole, looks)) == pytest.approx(2.0, abs=1e-6)
        for head in readers.heads:
            head.weight.zero_()
            head.bias.zero_()
        chance = np.mean([np.log(len(values)) for values in readers.values.values()])
        assert float(readers(whole, looks)) == pytest.approx(chance, rel=1e-5)


# --- figures ---


def test_figures_are_fractions_and_cosines(data, words):
    torch.manual_seed(0)
    figures = dict(measure(build_towers(words), data))
    assert figures.pop("candidates") == 12
    assert all(-1.0 <= value <= 1.0 + 1e-5 for value in figures.values())
    assert figures["text_to_image_top1"] <= figures["text_to_image_top5"]
    measured = FAMILY.measure(setup_of(FAMILY, data).modules, data, "test")
    assert measured.metrics.keys() == {*figures, "candidates"}
    assert measured.baselines["guessing"]["paraphrase_to_image_top1"] == pytest.approx(1 / 12)
    setup = setup_of(FAMILY, data)
    assert (
        FAMILY.validate(setup.modules, data, Path())(Position())
        == FAMILY.measure(setup.modules, data, "val").metrics
    )


def test_a_hit_is_a_row_whose_own_column_is_among_the_best():
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.5, 0.6], [0.1, 0.2, 0.3]])
    assert hit_rate(torch.eye(3), 1) == 1.0
    assert hit_rate(scores, 1) == pytest.approx(2 / 3)
    assert hit_rate(scores, 2) == pytest.approx(2 / 3)
    assert hit_rate(scores, 3) == hit_rate(scores, 9) == 1.0


def test_the_nearest_other_vector_is_never_the_vector_itself():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    torch.testing.assert_close(nearest_others(vectors), torch.tensor([0.6, 0.8, 0.8]))


def test_tags_that_are_directions_are_read_linearly():
    looks = list(all_looks()[::60])
    bases = sorted({look.base for look in looks})
    random_rows = torch.randn(len(bases), 40, generator=torch.Generator().manual_seed(0))
    vectors = random_rows[[bases.index(look.base) for look in looks]]
    assert readable(vectors, vectors, looks, looks, "base") == 1.0
    assert readable(torch.zeros_like(vectors), torch.zeros_like(vectors), looks, looks, "base") < 0.3


# --- files ---


def test_what_is_saved_is_what_was_trained_and_the_same_seed_repeats_it(data, words, tmp_path):
    made = []
    for name in ("first", "again"):
        setup = setup_of(FAMILY, data)
        laws.train(setup, tmp_path / f"run-{name}")
        made.append(save_encoder(setup.modules["towers"].eval(), words, tmp_path / name))
    encoder = load_encoder("embedded", made[0])
    texts = ["gold, polished", "a heavily worn walnut, satin", "unknown gold"]
    with torch.no_grad():
        expected = text_features(setup.modules["towers"], words.batch(texts, None)).numpy()
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=2e-6)
    for path in made[0].parent.iterdir():
        assert path.read_bytes() == (made[1].parent / path.name).read_bytes()


def test_the_card_says_what_was_measured(data, words, tmp_path):
    save_encoder(build_towers(words), words, tmp_path, "embedded/9")
    write_card(data, 5, {"candidates": 12.0, "text_to_image_top1": 0.25}, tmp_path, "embedded/9")
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert card.startswith("# embedded/9") and "| text_to_image_top1 | 0.250 |" in card
    assert "candidates |" not in card and "`embedded-9-image.safetensors`" in card
