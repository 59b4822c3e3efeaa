"""The figures that the study of the library publishes, and the tables that they stand in."""

import numpy as np
import pytest
import study_library as study
import study_tables
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=12, unique=True))
def test_rank_correlation_knows_order_alone(values):
    ascending = np.array(sorted(values), float)
    assert study.spearman(ascending) == pytest.approx(1.0)
    assert study.spearman(ascending**3) == pytest.approx(1.0)
    assert study.spearman(ascending[::-1]) == pytest.approx(-1.0)


def test_a_change_is_low_where_it_is_wide_and_high_where_it_is_fine():
    rows, columns = np.indices((64, 64))
    before = np.random.default_rng(0).random((64, 64, 3))
    wide = before + 0.2 * np.sin(columns / 20.0)[..., None]
    fine = before + 0.2 * np.where((rows + columns) % 2, 1.0, -1.0)[..., None]
    assert study.low_to_high(wide, before) > 5.0
    assert study.low_to_high(fine, before) < 0.1
    half = before + 0.5 * (fine - before)
    assert study.low_to_high(half, before) == pytest.approx(study.low_to_high(fine, before))


def test_distances_of_pictures_are_a_metric():
    pictures = np.random.default_rng(1).random((5, 4, 4, 3))
    found = study.distances(pictures, pictures)
    assert np.array_equal(found, found.T) and not found.diagonal().any()
    assert (found[:, :, None] + found[None] >= found[:, None] - 1e-12).all()


def test_worn_materials_stand_beside_the_same_without_wear():
    names = study.worn_and_clean().split(",")
    assert len(names) == len(set(names)) > study.PAIRS
    worn = [name for name in names if name.endswith(("worn", "dirty"))]
    assert len(worn) >= study.PAIRS
    assert all(
        name.removesuffix("-dirty").removesuffix("-worn").removesuffix("-heavily") in names for name in worn
    )


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
    errors, others, times = study_tables.tables(figures(kinds)).strip().split("\n\n")
    for table in (errors, others, times):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert [kind for kind in ("metal", "organic", "translucent") if kind in errors] == list(kinds)
    assert "| 10 min |" in times and "prompt-agnostic" not in times
    assert "0.90 / 0.80 / 1.00" in others
