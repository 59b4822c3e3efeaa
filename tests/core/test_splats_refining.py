"""Splats are refined as everything is trained: exactly resumed, downhill, and every term counts."""

import numpy as np
import pytest
import torch

from neuron_core.kernels.splats.raster import rasterize
from neuron_core.kernels.splats.sorting import project
from neuron_core.learning.objective import Step
from neuron_core.models.splats import objective as refining
from neuron_core.models.splats.family import FAMILY, SplatData, likeness, splats_of
from neuron_core.models.splats.module import SplatModule
from neuron_core.models.splats.objective import PHASE, RefineObjective, RefineSettings, halves
from neuron_core.splats import comparing
from neuron_core.splats.cloud import from_shapes, to_shapes
from neuron_core.splats.comparing import Target, error_of
from neuron_core.splats.drawing import lens_of
from tests.core import learning_laws as laws
from tests.core.family_runs import setup_of, splat_data
from tests.core.splat_samples import camera, random_harmonics, random_shapes

STEPS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("refined")


@pytest.fixture(scope="module")
def data(folder) -> SplatData:
    return splat_data(folder, STEPS)


def some_objective(count: int = 30, targets: int = 2, **settings: object) -> RefineObjective:
    """Random splats and random targets."""
    random = np.random.default_rng(4)
    views = [camera(eye=(0.9 - index, 0.7, 1.3)) for index in range(targets)]
    pictures = [random.uniform(0.2, 0.9, (view.height, view.width, 4)).astype(np.float32) for view in views]
    splats = from_shapes(random_shapes(count), random_harmonics(count, 4), "srgb")
    module = SplatModule(splats, 2 * count)
    return RefineObjective(
        module,
        [
            Target(view, picture[..., :3], picture[..., 3])
            for view, picture in zip(views, pictures, strict=True)
        ],
        splats.box(),
        RefineSettings(most_splats=2 * count, **settings),  # type: ignore[arg-type]
    )


def take(objective: RefineObjective, *steps: int) -> None:
    for index in steps:
        list(objective.turns(Step(index, 0.0, 0, PHASE)))


def test_refinement_that_is_killed_after_any_step_ends_as_one_that_is_not(data, tmp_path):
    laws.resumes_exactly(lambda: setup_of(FAMILY, data), tmp_path)
    sizes: set[object] = set()
    laws.train(
        setup_of(FAMILY, data), tmp_path / "sizes", observe=lambda at, found: sizes.add(found["splats"])
    )
    assert len(sizes) > 1, "splats were split on the way"


def test_refined_splats_are_nearer_to_the_field_from_unseen_views(data, folder, tmp_path):
    longer = splat_data(folder, 60)
    setup = setup_of(FAMILY, longer)
    laws.train(setup, tmp_path)
    measured = FAMILY.measure(setup.modules, longer, "val")
    assert measured.metrics["psnr"] > measured.baselines["placed"]["psnr"] + 1
    assert (
        likeness(splats_of(setup.modules), longer.targets) > likeness(data.placed.splats, longer.targets) + 1
    )


def test_a_checkpoint_of_other_splats_is_refused(data, tmp_path):
    laws.refuses_other_tensors(lambda: setup_of(FAMILY, data), tmp_path)


def test_state_of_another_number_of_splats_is_refused():
    objective, other = some_objective(30), some_objective(31)
    with pytest.raises(RuntimeError, match="31 splats, not 30"):
        objective.load_state(other.state())


# --- the loss ---


@pytest.mark.parametrize("encoding", ["linear", "srgb"])
def test_the_gradient_of_a_picture_is_that_of_its_loss(encoding):
    random = np.random.default_rng(0)
    picture = random.uniform(0.1, 0.4, (3, 2, 4))
    picture[..., 3] += 0.5  # what shines through stays below white
    target = Target(camera(2, 3), random.uniform(0.1, 0.9, (3, 2, 3)), random.uniform(0.1, 0.9, (3, 2)))

    def loss(values: np.ndarray) -> float:
        error = error_of(values, target, encoding)
        return error.color + error.alpha

    gradient, h = error_of(picture, target, encoding).gradient, 1e-3  # the curve is float32
    for place in np.ndindex(picture.shape):
        step = np.zeros_like(picture)
        step[place] = h
        slope = (loss(picture + step) - loss(picture - step)) / (2 * h)
        assert slope == pytest.approx(gradient[place], rel=1e-2, abs=1e-5)


def test_opacity_counts_where_colors_agree():
    alphas = np.full((2, 2), 0.5, np.float32)
    target = Target(camera(2, 2), np.full((2, 2, 3), 0.6, np.float32), alphas)
    picture = np.zeros((2, 2, 4), np.float32)
    picture[..., 3] = 0.7
    picture[..., :3] = 0.6 - (1 - 0.7)  # the same over white
    error = error_of(picture, target, "srgb")
    assert error.color < 1e-12 and error.psnr == 100.0
    assert error.alpha == pytest.approx(comparing.ALPHA_WEIGHT * 0.2**2, rel=1e-5)
    assert (error.gradient[..., 3] > 0).all() and np.abs(error.gradient[..., :3]).max() < 1e-6


def test_both_terms_move_splats(monkeypatch):
    """Without the opacities splats go elsewhere; so they do without the colors."""
    whole, colors_only = some_objective(), some_objective()
    take(whole, 0)
    monkeypatch.setattr(comparing, "ALPHA_WEIGHT", 0.0)
    take(colors_only, 0)
    assert np.abs(whole.module.arrays()[0] - colors_only.module.arrays()[0]).max() > 1e-5
    assert np.abs(whole.module.arrays()[1] - random_harmonics(30, 4)).max() > 1e-5


def test_a_step_goes_down_the_slope_that_finite_differences_see():
    objective = some_objective(8, 1)
    target = objective.targets[0]
    lens = lens_of(target.camera, *from_shapes(random_shapes(8), random_harmonics(8, 4), "srgb").box(), 0.08)
    before, harmonics = (array.copy() for array in objective.module.arrays())

    def loss(shapes: np.ndarray) -> float:
        picture = np.empty((lens.height, lens.width, 4), np.float32)
        rasterize(project(lens, shapes, harmonics), picture)
        error = error_of(picture, target, "srgb")
        return error.color + error.alpha

    take(objective, 0)
    moved = objective.module.arrays()[0] - before
    assert np.abs(moved).max() > 0
    agreeing, h = [], 1e-2
    for splat, column in ((n, c) for n in range(8) for c in (3, 4, 5, 10)):
        step = np.zeros_like(before)
        step[splat, column] = h
        slope = (loss(before + step) - loss(before - step)) / (2 * h)
        if abs(slope) > 1e-5:
            agreeing.append(slope * moved[splat, column] < 0)
    assert len(agreeing) > 8 and np.mean(agreeing) > 0.95


# --- the course ---


def test_every_view_is_taken_once_a_round_in_an_order_of_its_own():
    objective = some_objective(targets=5)
    rounds = [[objective.view_of(5 * number + place) for place in range(5)] for number in range(4)]
    assert all(sorted(views) == list(range(5)) for views in rounds)
    assert len({tuple(views) for views in rounds}) > 1
    assert objective.view_of(7) == rounds[1][2], "a function of the step alone"


def test_rates_fall_from_all_to_a_twentieth():
    settings = RefineSettings()
    first, last = settings.rates(0.0), settings.rates(1.0)
    assert first.position == settings.position_rate and first.detail == settings.detail_rate
    assert last.opacity == pytest.approx(refining.LAST_RATE * settings.opacity_rate)
    falling = [settings.rates(part).scale for part in np.linspace(0, 1, 9)]
    assert falling == sorted(falling, reverse=True)


def test_splats_are_split_as_often_as_is_asked_in_the_first_part():
    settings = RefineSettings(steps=100, densifications=4)
    steps = [step for step in range(1, 101) if settings.densifies_after(step)]
    assert len(steps) == 4 and max(steps) == 55
    assert not any(RefineSettings(densifications=0).densifies_after(step) for step in range(1, 101))


def test_a_split_splat_becomes_two_beside_each_other_along_its_longest_axis():
    shapes = random_shapes(6)
    whole, rows = shapes.copy(), np.array([1, 4])
    twins = halves(shapes, rows)
    np.testing.assert_allclose((shapes[rows, :3] + twins[:, :3]) / 2, whole[rows, :3], atol=1e-6)
    np.testing.assert_array_equal(shapes[rows, 3:], twins[:, 3:])
    np.testing.assert_array_equal(np.delete(shapes, rows, 0), np.delete(whole, rows, 0))
    for row, twin in zip(rows, twins, strict=True):
        longest = whole[row, 3:6].argmax()
        assert np.exp(whole[row, 3 + longest] - twin[3 + longest]) == pytest.approx(1.5, rel=1e-5)
        apart = np.linalg.norm(twin[:3] - shapes[row, :3])
        assert apart == pytest.approx(2 * 0.6 * np.exp(whole[row, 3 + longest]), rel=1e-5)


def test_faint_splats_are_given_up_and_the_most_missed_are_split():
    objective = some_objective(30, steps=10, densifications=1)  # after step 6
    shapes, harmonics = (array.copy() for array in objective.module.arrays())
    shapes[:, 10] = 2.0
    shapes[5, 10] = -9.0
    objective.module.assign(shapes, harmonics)
    take(objective, *range(5))
    missed = objective.state()["missed"].numpy().copy()
    assert missed[5] == 0 or missed[5] < np.median(missed)
    take(objective, 5)
    assert len(objective.module) > 29
    assert (objective.module.arrays()[0][:, 10] > np.log(refining.FAINT)).all()
    assert not objective.state()["missed"].any()


def test_there_are_never_more_splats_than_is_asked_for():
    objective = some_objective(30, steps=20, densifications=20)
    for index in range(12):
        take(objective, index)
        assert len(objective.module) <= 60


def test_a_module_holds_splats_as_they_are_and_keeps_its_size():
    splats = from_shapes(random_shapes(7), random_harmonics(7, 4), "linear")
    module = SplatModule(splats, 12)
    sizes = {name: value.shape for name, value in module.state_dict().items()}
    assert len(module) == 7 and module.splats().encoding == "linear"
    np.testing.assert_allclose(module.splats().positions, splats.positions)
    module.assign(to_shapes(splats)[:3], splats.harmonics[:3])
    assert len(module) == 3 and not module.shapes[3:].any()
    assert {name: value.shape for name, value in module.state_dict().items()} == sizes
    other = SplatModule(splats, 12)
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other.shapes, module.shapes)
    assert len(other) == 3
