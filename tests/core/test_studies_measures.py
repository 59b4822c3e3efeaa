"""What the study asks, of artists whose answers are known: one who knows the truth, one who knows nothing."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.datasets.reader import open_dataset
from neuron_core.images.metrics import LARGEST_PSNR
from neuron_core.materials.grammar import combinations, find, material_of
from neuron_core.models.judge.model import Judge
from neuron_core.rendering.tracing import Pictures
from neuron_core.studies.library import measures, second_encoder
from neuron_core.studies.library.artist import Artist, truths
from neuron_core.studies.library.figures import low_to_high
from neuron_core.studies.library.run import StudyConfig, render, train
from neuron_core.studies.library.steps import Steps
from tests.core.plain_samples import TEST, info, write_balls
from tests.core.small_fields import small_field
from tests.core.test_study import Lexicon

# Two bases, worn and not, so that a base can be right where the combination is not.
LOOKS = [look for base in ("copper", "ceramic") for look in combinations() if look.base == base]
WORN = [look for look in LOOKS if look.condition == "worn" and find(measures.clean(look.name))]
PAIRS = [(look.name, measures.clean(look.name)) for look in (WORN[0], WORN[-1])]
CHOSEN = [name for pair in PAIRS for name in pair]
COLORS = {name: (0.1 * step, 0.15 * step, 0.2 * step) for step, name in enumerate(CHOSEN, 1)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    records = {name: material_of(find(name)).to_json() for name in CHOSEN}
    infos = [info(name, "compositional") for name in CHOSEN]
    return open_dataset(write_balls(tmp_path_factory.mktemp("studied") / "balls", COLORS, infos, records))


class Knowing(Artist):
    """Draws for each prompt the true picture of the material that `means` says."""

    def __init__(self, dataset, means):
        super().__init__(small_field().eval(), Lexicon(), dataset)
        self.means = means

    def of_prompts(self, prompts, camera):
        return truths(self.dataset, [self.means(prompt) for prompt in prompts], camera)


def honest(prompt: str) -> str:
    return prompt.removesuffix(" prompt")


def other_of_its_base(prompt: str) -> str:
    own = find(honest(prompt))
    return next(name for name in CHOSEN if find(name).base == own.base and name != own.name)


@pytest.mark.parametrize(
    ("means", "right", "base"),
    [
        (honest, 1.0, 1.0),
        (other_of_its_base, 0.0, 1.0),
        (lambda prompt: CHOSEN[0], 0.25, 0.5),
        (lambda prompt: CHOSEN[(CHOSEN.index(honest(prompt)) + 2) % 4], 0.0, 0.0),
    ],
    ids=["the truth", "another look of the base", "always the same", "the other base"],
)
def test_pictures_are_found_as_often_as_they_are_the_right_ones(dataset, means, right, base):
    """By the distance of pictures and by an encoder that was never trained: equal pictures are nearest."""
    artist, entries = Knowing(dataset, means), dataset.materials
    found = measures.retrieval(artist, entries, TEST[0])
    assert found == {"among": 4.0, "combination_top1": right, "base_top1": base}
    torch.manual_seed(0)
    judged = measures.judged(artist, Judge(4).eval(), entries, TEST)
    assert judged["drawn_combination_top1"] == right and judged["drawn_base_top1"] == base
    assert set(judged) == {
        f"{kind}_{name}_top1" for kind in ("drawn", "true_from_camera_1") for name in ("base", "combination")
    }
    alone = measures.judged(artist, Judge(4).eval(), entries, TEST[:1])
    assert set(alone) == {"drawn_base_top1", "drawn_combination_top1"}


def test_an_artist_who_is_deaf_to_wording_moves_nothing(dataset):
    found = measures.paraphrased(Knowing(dataset, lambda prompt: CHOSEN[0]), dataset.materials, TEST[0])
    assert found == {"within_10_percent": 1.0, "median": 0.0}


def test_an_artist_who_takes_a_paraphrase_for_the_nearest_other_material_moves_by_one(dataset):
    """The ball's colors are even steps apart: the nearest other is one step away."""

    def one_on(prompt: str) -> str:
        if prompt.endswith(" prompt"):
            return honest(prompt)
        texts = {
            text: name
            for name in CHOSEN
            for text in measures.paraphrases(material_of(find(name)), measures.PARAPHRASES, 0)
        }
        index = CHOSEN.index(texts[prompt])
        return CHOSEN[index + 1 if index + 1 < len(CHOSEN) else index - 1]

    found = measures.paraphrased(Knowing(dataset, one_on), dataset.materials, TEST[0])
    assert found["within_10_percent"] == 0.0
    steps = [np.abs(a - b).mean() for a, b in pairwise(truths(dataset, CHOSEN, TEST[0]))]
    nearest = [steps[0], min(steps[:2]), min(steps[1:]), steps[2]]
    went = [*steps, steps[2]]
    shares = [far / near for far, near in zip(went, nearest, strict=True)] * measures.PARAPHRASES
    assert found["median"] == pytest.approx(np.median(shares))


def test_looks_that_differ_on_the_object_alone_are_equal_outside():
    alphas = np.zeros((12, 12), np.float32)
    alphas[3:9, 3:9] = 1.0
    one, other = (
        Pictures(np.full((1, 12, 12, 3), v, np.float32) * alphas[..., None], alphas, "linear")
        for v in (0.1, 0.8)
    )
    assert measures._outside(one, other) == LARGEST_PSNR
    leaking = Pictures(one.rgbs + np.float32(0.1) * (alphas[..., None] - 1), alphas, "linear")
    assert measures._outside(one, leaking) < 40


class Sliding(Artist):
    """Draws a blend by a number that only its position on the axis decides."""

    def __init__(self, dataset, shown):
        super().__init__(small_field().eval(), Lexicon(), dataset)
        self.shown = shown

    def of_blends(self, blends, camera):
        positions = np.linspace(0, 1, len(blends))
        return np.stack([np.full((4, 4, 3), self.shown(position)) for position in positions])


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [(lambda x: x, 1.0), (lambda x: 1 - x**3, 1.0), (lambda x: 4 * (x - 0.5) ** 2 + 0.01 * x, None)],
    ids=["even", "backwards and uneven", "there and back"],
)
def test_a_slider_scores_one_if_its_pictures_keep_the_order_of_its_positions(dataset, shown, wanted):
    found = measures.sliders(Sliding(dataset, shown), TEST[0])
    assert set(found) == set(measures.AXES)
    for value in found.values():
        assert value == pytest.approx(wanted) if wanted is not None else value < 0.6


def test_what_wear_changes_in_the_truth_is_measured_on_pairs_alone(dataset):
    found = measures.true_low_to_high(dataset.path)
    pairs = [(name, measures.clean(name)) for name in CHOSEN if measures.clean(name) != name]
    assert found["pairs"] == len(pairs) == 2
    ratios = [low_to_high(*truths(dataset, pair, dataset.splits["test"][0])) for pair in pairs]
    assert found["low_pass_to_high_pass_median"] == pytest.approx(np.mean(ratios))  # the median of two


def test_worn_and_dirty_materials_are_told_by_their_record(dataset):
    assert [measures._is_worn(entry) for entry in dataset.materials] == [
        measures.clean(name) != name for name in CHOSEN
    ]
    assert {measures._base(entry) for entry in dataset.materials} == {"copper", "ceramic"}


# --- the commands of the study ---


class Written(Steps):
    """Keeps what would be run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.commands: dict[str, list[str]] = {}

    def neuron(self, step: str, *words: object) -> None:
        self.commands[step] = [str(word) for word in words]


def test_every_command_of_the_study_is_one_that_neuron_takes(tmp_path):
    config, steps = StudyConfig(tmp_path / "study", steps=30), Written(tmp_path / "study")
    render(config, steps)
    judged = second_encoder.render(config.folder / "judge", config.materials, steps)
    train(config, steps)
    read = {step: parse(find_task(words[0]), words[1:]) for step, words in steps.commands.items()}
    assert read["train"].dataset == read["train blank"].dataset == read["dataset"].out
    assert (read["train"].steps, read["train blank"].steps) == (30, config.blank_steps)
    assert read["train blank"].encoder == "blank" and read["train"].preset == config.preset
    light = read["second encoder: light_0"]
    assert (light.out,) == judged and light.materials == read["dataset"].materials
    assert light.light != read["dataset"].light and Path(light.geometry).is_file()  # another light and shape
    assert all(find(name) for name in read["pairs"].materials.split(","))
    outs = [one.out for one in read.values()]
    assert len(set(outs)) == len(outs) and all(tmp_path in out.parents for out in outs)


def test_the_shape_of_the_second_encoder_is_written_once(tmp_path):
    steps = Written(tmp_path)
    second_encoder.render(tmp_path / "judge", "builtin", steps)
    mesh = tmp_path / "judge" / "knot.usda"
    stamp = mesh.stat().st_mtime_ns
    second_encoder.render(tmp_path / "judge", "builtin", steps)
    assert mesh.stat().st_mtime_ns == stamp
