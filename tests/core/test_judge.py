"""The judge of studies learns as everything does, on a shape of its own."""

from collections import Counter

import numpy as np
import pytest
import torch
from pxr import Usd, UsdGeom

from neuron_core.datasets.layout import DatasetError
from neuron_core.foundation.progress import Silent
from neuron_core.geometry.knot import torus_knot, write_torus_knot
from neuron_core.learning.objective import Step
from neuron_core.learning.plan import Position
from neuron_core.models.judge.data import RENDERED, JudgeConfig, JudgeData, augmented, load_data, plain
from neuron_core.models.judge.family import FAMILY, METRIC, judge_of, view_to_view
from neuron_core.models.judge.model import SIZE, WIDTH, Judge, vectors
from neuron_core.models.judge.objective import PHASE, JudgeObjective, OneCycle
from neuron_core.studies.library.second_encoder import trained
from tests.core import learning_laws as laws
from tests.core.family_runs import judge_data, setup_of
from tests.core.training_samples import write_rendered


@pytest.fixture(scope="module")
def data() -> JudgeData:
    return judge_data()


def test_a_step_is_a_function_of_its_number(data):
    objective = JudgeObjective(Judge(3), data)
    one, again = (objective.draw(Step(2, 0.0, 5, PHASE)) for _ in range(2))
    other = objective.draw(Step(3, 0.0, 5, PHASE))
    assert torch.equal(one[0], again[0]) and torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])


def test_colors_are_told_apart_after_some_steps(data, tmp_path):
    longer = judge_data(12, 12)
    setup = setup_of(FAMILY, longer)
    laws.train(setup, tmp_path)
    judge = judge_of(setup.modules).eval()
    assert view_to_view(judge, longer) == 1.0
    assert FAMILY.measure(setup.modules, longer, "val").baselines["guessing"][METRIC] == pytest.approx(1 / 3)
    assert FAMILY.validate(setup.modules, longer, tmp_path)(Position()) == {METRIC: 1.0}


def test_vectors_have_unit_length_and_do_not_depend_on_their_neighbors(data):
    torch.manual_seed(0)
    judge = Judge(3).eval()
    pictures = plain(data.pictures[:, 0])
    found = vectors(judge, pictures)
    assert found.shape == (3, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(vectors(judge, pictures[1:2]), found[1:2], atol=1e-5)


def test_a_cycle_rises_to_its_peak_and_falls_to_almost_nothing():
    cycle = OneCycle()
    values = [cycle(0, done) for done in np.linspace(0.0, 1.0, 101)]
    assert values[0] == pytest.approx(1 / 25) and values[-1] == pytest.approx(1 / 250_000)
    assert max(values) == values[30] == pytest.approx(1.0)
    assert values[:31] == sorted(values[:31]) and values[30:] == sorted(values[30:], reverse=True)
    assert cycle(0, 0.15) == pytest.approx((1 + 1 / 25) / 2)


def test_augmented_pictures_are_cuts_of_the_picture_in_some_order():
    picture = np.ones((RENDERED, RENDERED, 4), np.float32)
    picture[20:40, 20:40, :3] = 0.0
    shown = augmented(np.stack([picture] * 12), np.random.default_rng(1))
    assert shown.shape == (12, 3, SIZE, SIZE)
    assert ((shown[:, 0] < 0.01).sum(axis=(1, 2)) == 400).all(), "all of the square is in every cut"
    assert len({shown[index].tobytes() for index in range(12)}) > 6


def test_nothing_is_white():
    empty = np.zeros((1, RENDERED, RENDERED, 4), np.float32)
    np.testing.assert_allclose(plain(empty), 1.0, atol=1e-6)


def test_a_judge_reads_supported_materials_of_the_right_size(tmp_path):
    folder = write_rendered(tmp_path / "right", size=(RENDERED, RENDERED))
    read = load_data(JudgeConfig((folder, folder)))
    assert read.names == ["red-paint", "blue-paint"] and read.pictures.shape == (2, 2, 64, 64, 4)
    assert read.recipe["datasets"][0] == read.sources[0] != ""
    with pytest.raises(DatasetError, match="20 pixels, not 64"):
        load_data(JudgeConfig((write_rendered(tmp_path / "small"),)))


def test_a_trained_judge_is_found_and_another_config_makes_another(tmp_path):
    dataset = write_rendered(tmp_path / "data", size=(RENDERED, RENDERED))
    config = JudgeConfig((dataset,), steps=2, batch=4)
    first = trained(tmp_path, config, Silent())
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run-*/*")}
    again = trained(tmp_path, config, Silent())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("run-*/*")} == stamps
    for name, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    assert not again.training and not list(tmp_path.glob("run-*/checkpoint*"))
    trained(tmp_path, JudgeConfig((dataset,), steps=3, batch=4), Silent())
    assert len(list(tmp_path.glob("run-*"))) == 2


def test_a_knot_is_one_closed_surface_of_about_a_meter(tmp_path):
    points, quads = torus_knot(64, 12)
    edges = Counter(
        (min(edge), max(edge))
        for quad in quads.tolist()
        for edge in zip(quad, quad[1:] + quad[:1], strict=True)
    )
    assert set(edges.values()) == {2}, "every edge has two faces"
    directed = Counter(
        edge for quad in quads.tolist() for edge in zip(quad, quad[1:] + quad[:1], strict=True)
    )
    assert set(directed.values()) == {1}, "all faces turn the same way"
    assert len(points) - len(edges) + len(quads) == 0, "one hole"
    assert 0.9 < np.ptp(points, axis=0).max() < 1.5
    write_torus_knot(tmp_path / "knot.usda")
    stage = Usd.Stage.Open(str(tmp_path / "knot.usda"))
    mesh = UsdGeom.Mesh(stage.GetDefaultPrim())
    assert len(mesh.GetPointsAttr().Get()) == 512 * 48 == len(mesh.GetFaceVertexCountsAttr().Get())
