"""Look-ups and averages: what holds the truth is found, and nothing is its own nearest neighbor."""

from itertools import permutations

import numpy as np
import pytest

from neuron_core.datasets.contract import View, read_encoded
from neuron_core.datasets.reader import open_dataset
from neuron_core.evaluation.baselines import MEAN, NEAREST, known_materials, measure_baselines, nearest
from neuron_core.evaluation.measure import compare
from neuron_core.images.metrics import LARGEST_PSNR
from tests.core.plain_samples import SIDE, TEST, info, write_balls

PALETTE = {
    "red": (0.6, 0.1, 0.1),
    "blue": (0.1, 0.2, 0.7),
    "gray": (0.4, 0.4, 0.4),
    "same-red": (0.6, 0.1, 0.1),
    "dark": (0.02, 0.03, 0.02),
}
TRAINED, HELD_OUT = ("red", "blue", "gray"), ("same-red", "dark")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    infos = [*map(info, TRAINED), *(info(name, "compositional") for name in HELD_OUT)]
    return write_balls(tmp_path_factory.mktemp("baselines") / "balls", PALETTE, infos)


@pytest.fixture(scope="module")
def dataset(folder):
    return open_dataset(folder)


def baselines(dataset, names=HELD_OUT, cameras=TEST, shown=()):
    entries = [dataset.material(name) for name in names]
    return {
        result.representation: {one.entry.name: one for one in result.measured}
        for result in measure_baselines(dataset, cameras, entries, "compositional", shown)
    }


def picture(dataset, camera, name):
    return read_encoded(dataset, View(camera, name))


def test_a_look_up_that_holds_the_truth_has_no_error(dataset):
    for figures in baselines(dataset)[NEAREST]["same-red"].views:
        assert figures["l1"] == 0.0 and figures["psnr"] == LARGEST_PSNR


def test_no_training_material_is_nearer_than_the_nearest(dataset):
    found = baselines(dataset, ("dark",), shown=TEST)[NEAREST]["dark"]
    for camera, figures in zip(TEST, found.views, strict=True):
        truth = picture(dataset, camera, "dark")
        errors = {name: np.abs(picture(dataset, camera, name) - truth).mean() for name in TRAINED}
        assert figures["l1"] == pytest.approx(min(errors.values()))
        best = min(errors, key=errors.get)
        np.testing.assert_array_equal(found.pictures[camera], picture(dataset, camera, best))


def test_the_mean_image_is_the_mean_of_the_training_pictures(dataset):
    found = baselines(dataset, shown=TEST)[MEAN]
    for camera in TEST:
        mean = sum(picture(dataset, camera, name).astype(float) for name in TRAINED) / len(TRAINED)
        for name in HELD_OUT:  # whatever is asked for
            np.testing.assert_allclose(found[name].pictures[camera], mean, atol=1e-6)
    truth, valid = picture(dataset, TEST[0], "dark"), np.ones((SIDE, SIDE), bool)
    guess = found["dark"].pictures[TEST[0]]
    assert found["dark"].views[0] == pytest.approx(compare(guess, truth, valid))


def test_a_training_material_is_never_its_own_guess(dataset):
    """Asked for red, the look-up answers with another material; only a second red one would do."""
    found = baselines(dataset, ("red",), shown=TEST)[NEAREST]["red"]
    for camera, figures in zip(TEST, found.views, strict=True):
        truth = picture(dataset, camera, "red")
        others = [np.abs(picture(dataset, camera, name) - truth).mean() for name in ("blue", "gray")]
        assert figures["l1"] == pytest.approx(min(others)) and figures["l1"] > 0.0


def test_materials_that_a_test_view_lacks_are_not_looked_up(folder, tmp_path):
    infos = [*map(info, TRAINED), info("same-red", "compositional")]
    partial = open_dataset(write_balls(tmp_path / "balls", PALETTE, infos, unseen={(TEST[1], "red")}))
    assert known_materials(partial, TEST) == ["blue", "gray"]
    assert known_materials(partial, TEST[:1]) == list(TRAINED)
    assert known_materials(partial, ()) == list(TRAINED)
    for figures in baselines(partial, ("same-red",))[NEAREST]["same-red"].views:
        assert figures["l1"] > 0.0


def test_one_training_material_is_no_choice(tmp_path):
    infos = [info("red"), info("dark", "compositional")]
    single = open_dataset(write_balls(tmp_path / "balls", PALETTE, infos))
    assert baselines(single, ("dark",)) == {}


def test_held_out_pictures_that_are_missing_count_in_no_baseline(tmp_path):
    infos = [*map(info, TRAINED), *(info(name, "compositional") for name in HELD_OUT)]
    unseen = {(TEST[0], "dark")}
    partial = open_dataset(write_balls(tmp_path / "balls", PALETTE, infos, unseen=unseen))
    found = baselines(partial)
    for kind in (NEAREST, MEAN):
        assert len(found[kind]["dark"].views) == 1 and len(found[kind]["same-red"].views) == 2
        alone = baselines(partial, ("dark",), TEST[1:])[kind]["dark"]
        assert found[kind]["dark"].views == alone.views


def test_masked_pixels_choose_no_neighbor(folder):
    masked = open_dataset(folder, mask=[0, 0, SIDE, SIDE - 1])  # a row of background is left
    for kind in (NEAREST, MEAN):
        for figures in baselines(masked)[kind]["dark"].views:
            assert figures["l1"] == pytest.approx(0.0, abs=1e-6)


# --- the look-up itself ---


def test_every_order_of_the_pictures_finds_the_same_one():
    random = np.random.default_rng(0)
    pictures, valid = random.random((4, 6, 5, 3)), random.random((6, 5)) < 0.6
    names, truth = "abcd", random.random((6, 5, 3))
    errors = [np.abs(one - truth)[valid].mean() for one in pictures]
    wanted = names[np.argmin(errors)]
    for order in permutations(range(4)):
        shuffled = [names[index] for index in order]
        assert shuffled[nearest(pictures[list(order)], shuffled, "other", truth, valid)] == wanted


def test_pixels_that_are_not_valid_may_hold_anything():
    random = np.random.default_rng(1)
    pictures, truth = random.random((5, 6, 5, 3)), random.random((6, 5, 3))
    valid = random.random((6, 5)) < 0.5
    found = nearest(pictures, "abcde", "x", truth, valid)
    for _ in range(10):
        pictures[:, ~valid], truth[~valid] = random.random((2, 1)) * 100
        assert nearest(pictures, "abcde", "x", truth, valid) == found


def test_a_picture_is_found_again_under_noise_that_is_smaller_than_half_of_the_distance():
    random = np.random.default_rng(2)
    pictures = random.random((6, 8, 8, 3))
    valid = np.ones((8, 8), bool)
    apart = min(np.abs(pictures[i] - pictures[j]).mean() for i in range(6) for j in range(i))
    for index in range(6):
        noise = random.uniform(-1, 1, pictures[index].shape)
        noise *= 0.49 * apart / np.abs(noise).mean()
        assert nearest(pictures, "abcdef", "x", pictures[index] + noise, valid) == index
