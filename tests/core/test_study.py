"""The figures that the study of the library publishes, and the tables that they stand in."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import read_json
from neuron_core.prompts import EncoderId
from neuron_core.prompts.steering import Blend
from neuron_core.studies.library import measures, tables
from neuron_core.studies.library.artist import Artist, artist_of
from neuron_core.studies.library.figures import (
    closeness,
    distances,
    evenness,
    hits,
    low_to_high,
    moved,
    spearman,
)
from neuron_core.studies.library.steps import Steps
from tests.core.small_fields import small_field
from tests.core.training_samples import write_rendered

WIDTH = 6  # of the prompts of a small field


class Lexicon:
    """A prompt encoder with a fixed random vector for every text."""

    id = EncoderId("lexicon", "0" * 64)
    width = WIDTH

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        seeds = [sum(map(ord, prompt)) for prompt in prompts]
        return np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds]).astype(np.float32)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        return ()


@pytest.fixture(scope="module")
def artist(tmp_path_factory):
    dataset = open_dataset(write_rendered(tmp_path_factory.mktemp("study") / "ball"))
    return Artist(small_field().eval(), Lexicon(), dataset)


def camera_of(artist: Artist) -> str:
    return artist.dataset.splits["test"][0]


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=12, unique=True))
def test_rank_correlation_knows_order_alone(values):
    ascending = np.array(sorted(values), float)
    assert spearman(ascending) == pytest.approx(1.0)
    assert spearman(ascending**3) == pytest.approx(1.0)
    assert spearman(ascending[::-1]) == pytest.approx(-1.0)


def test_a_slider_is_even_if_its_pictures_go_one_way_at_any_pace():
    ends = np.random.default_rng(0).random((2, 4, 4, 3))
    paces = np.array([0.0, 0.05, 0.1, 0.7, 0.9, 1.0])
    pictures = ends[0] + paces[:, None, None, None] * (ends[1] - ends[0])
    assert evenness(pictures) == pytest.approx(1.0)
    back_and_forth = pictures[[0, 3, 1, 4, 2, 5]]
    assert evenness(back_and_forth) < 0.9


def test_a_change_is_low_where_it_is_wide_and_high_where_it_is_fine():
    rows, columns = np.indices((64, 64))
    before = np.random.default_rng(0).random((64, 64, 3))
    wide = before + 0.2 * np.sin(columns / 20.0)[..., None]
    fine = before + 0.2 * np.where((rows + columns) % 2, 1.0, -1.0)[..., None]
    assert low_to_high(wide, before) > 5.0
    assert low_to_high(fine, before) < 0.1
    half = before + 0.5 * (fine - before)
    assert low_to_high(half, before) == pytest.approx(low_to_high(fine, before))


def test_distances_of_pictures_are_a_metric():
    pictures = np.random.default_rng(1).random((5, 4, 4, 3))
    found = distances(pictures, pictures)
    assert np.array_equal(found, found.T) and not found.diagonal().any()
    assert (found[:, :, None] + found[None] >= found[:, None] - 1e-12).all()


def test_a_hit_of_the_base_need_not_be_the_right_combination():
    bases = ("gold", "gold", "oak", "oak")
    assert hits(np.arange(4), bases) == {"combination_top1": 1.0, "base_top1": 1.0}
    assert hits(np.array([1, 0, 3, 2]), bases) == {"combination_top1": 0.0, "base_top1": 1.0}
    assert hits(np.array([2, 1, 2, 0]), bases) == {"combination_top1": 0.5, "base_top1": 0.5}


def test_a_picture_that_becomes_the_nearest_other_material_moved_by_one():
    true = np.stack([np.full((4, 4, 3), value) for value in (0.1, 0.3, 0.9)])
    found = moved(true[[0, 2]], true[[1, 2]], true, (0, 2))
    np.testing.assert_allclose(found, [1.0, 0.0])
    assert closeness(found) == {"within_10_percent": 0.5, "median": 0.5}


def test_worn_materials_come_with_the_same_without_wear():
    names = measures.worn_and_clean().split(",")
    assert len(names) == len(set(names)) > measures.PAIRS
    worn = [name for name in names if name.endswith(("worn", "dirty"))]
    assert len(worn) >= measures.PAIRS
    assert all(
        name.removesuffix("-dirty").removesuffix("-worn").removesuffix("-heavily") in names for name in worn
    )
    assert {measures.clean(name) for name in worn} == set(names) - set(worn)


# --- asking a field ---


def test_looks_are_drawn_together_or_apart_alike(artist):
    vectors = np.random.default_rng(0).normal(size=(18, WIDTH)).astype(np.float32)  # more than at once
    together = artist.of_vectors(vectors, camera_of(artist))
    alone = artist.of_vectors(vectors[17:], camera_of(artist))
    assert together.shape[0] == 18
    np.testing.assert_allclose(together[17:], alone, atol=1e-5)


def test_a_blend_of_one_prompt_is_that_prompt(artist):
    vectors = artist.encoder.encode(["red", "blue"])
    blends = [Blend(np.float32([0.0, 1.0]), vectors), Blend(np.float32([1.0]), vectors[:1])]
    shown = artist.of_blends(blends, camera_of(artist))
    np.testing.assert_allclose(shown, artist.of_prompts(["blue", "red"], camera_of(artist)), atol=1e-5)


def test_a_prompt_of_a_field_moves_no_density(artist):
    found = measures.locality(artist, [], camera_of(artist), points=2000)
    assert found["largest_density_change"] == 0.0 and found["alphas_identical"] == 1.0


def test_a_field_that_mixes_prompts_into_its_geometry_is_found_out(artist):
    class Leaky(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner
            self.calls = 0

        def forward(self, units: torch.Tensor) -> object:
            self.calls += 1
            found = self.inner(units)
            return found._replace(values=found.values + 0.01 * (self.calls % 2))

    field = small_field().eval()
    field.geometry = Leaky(field.geometry)
    leaky = Artist(field, artist.encoder, artist.dataset)
    assert measures.locality(leaky, [], camera_of(artist), points=2000)["largest_density_change"] > 0.0


def test_a_folder_without_a_run_has_no_artist(artist, tmp_path):
    with pytest.raises(NeuronError, match="No training run"):
        artist_of(tmp_path, artist.dataset)


# --- steps ---


def test_a_step_keeps_its_longest_time(tmp_path):
    steps = Steps(tmp_path / "study")
    steps.keep("train", 12.34)
    steps.keep("train", 0.5)  # found it done
    steps.keep("dataset", 3.0)
    assert Steps(tmp_path / "study").seconds == {"train": 12.3, "dataset": 3.0}
    assert read_json(tmp_path / "study" / "times.json") == {"train": 12.3, "dataset": 3.0}


def test_a_failing_step_ends_the_study_and_says_which(tmp_path):
    with pytest.raises(NeuronError, match="'inspect' failed: neuron inspect missing"):
        Steps(tmp_path).neuron("inspect", "inspect", "missing")


# --- tables ---


def figures(kinds):
    rows = [("inr", "all"), ("nearest material", "all"), ("against", "all"), ("mean image", "all")]
    keys = ("l1_mean", "l1_median", "l1_mean_ratio", "l1_median_ratio", "psnr_mean", "ssim_mean")
    return {
        "categories": [
            {"representation": kind, "category": category, "materials": 7, **dict.fromkeys(keys, 0.5)}
            for kind, category in (*rows, *(("inr", kind) for kind in kinds))
        ],
        "retrieval_by_picture": {"among": 7.0, "base_top1": 1.0, "combination_top1": 0.5},
        "retrieval_by_second_encoder": {
            f"{who}_{what}_top1": 0.25
            for who in ("drawn", "true_from_camera_1")
            for what in ("base", "combination")
        },
        "paraphrases": {"within_10_percent": 0.9, "median": 0.03},
        "locality": {
            "largest_density_change": 0.0, "alphas_identical": 1.0, "psnr_outside": 100.0,
            "low_pass_to_high_pass_median": 1.5,
        },
        "locality_of_truth": {"low_pass_to_high_pass_median": 1.0},
        "sliders": {"wear": 0.9, "dirt": 0.8, "wetness": 1.0},
        "latency": {"encode_ms": 2.0},
        "seconds": {"dataset": 600.0, "train": 1800.0},
    }  # fmt: skip


@pytest.mark.parametrize("kinds", [("metal", "translucent"), ()])
def test_tables_have_a_cell_for_every_head(kinds):
    errors, others, times = tables.tables(figures(kinds)).strip().split("\n\n")
    for table in (errors, others, times):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert [kind for kind in ("metal", "organic", "translucent") if kind in errors] == list(kinds)
    assert "| 10 min |" in times and "prompt-agnostic" not in times
    assert "0.90 / 0.80 / 1.00" in others
