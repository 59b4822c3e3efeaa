"""The benchmark's arithmetic, its file and its scenes: what holds of figures whatever a machine measures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.bench import pages, scenes
from neuron_core.bench import run as bench
from neuron_core.bench.config import BenchConfig
from neuron_core.bench.dense import _spread, dense_colors
from neuron_core.bench.figure import Figure, Times, exponent, timed
from neuron_core.bench.inputs import Inputs, _distance, analytic_ball
from neuron_core.bench.rendering import _reduced
from neuron_core.bench.table import write_table
from neuron_core.cameras.camera import Camera, resized
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.kernels.baked.layout import CELLS
from neuron_core.rendering.composer import Composer
from neuron_core.rendering.shaded import DeviceField, ShadedAsset
from neuron_core.voxels.baked import read_baked
from neuron_core.voxels.nvf import sample_positions
from tests.core.baked_samples import write_ball

POSITIVE = st.floats(1e-3, 1e6)


@pytest.fixture(scope="module")
def baked(tmp_path_factory):
    return read_baked(write_ball(tmp_path_factory.mktemp("bench") / "ball.neuron"))


# --- arithmetic ---


@given(st.floats(1e-9, 1e9))
def test_a_figure_is_written_with_four_digits_and_reads_back_as_itself(value):
    once = Figure("a", value, "s", spread=(value, value), ratio=value).to_json()
    assert once["value"] == pytest.approx(value, rel=5.1e-4)
    assert (
        Figure("a", once["value"], "s", spread=tuple(once["spread"]), ratio=once["ratio"]).to_json() == once
    )
    assert json.loads(json.dumps(once)) == once


@given(st.lists(POSITIVE, min_size=1, max_size=9), POSITIVE)
def test_rates_are_the_reciprocals_of_times_and_scale_against_them(wall, factor):
    times, slower = Times(tuple(wall), tuple(wall)), Times(tuple(factor * t for t in wall), tuple(wall))
    low, high = times.rates()
    assert (1 / high, 1 / low) == pytest.approx(times.spread())
    assert times.spread()[0] <= times.median <= times.spread()[1]
    assert slower.median == pytest.approx(factor * times.median)
    assert slower.rates() == pytest.approx((low / factor, high / factor))
    assert times.spread(factor) == pytest.approx(slower.spread())


@given(st.floats(-3, 3), st.floats(-3, 3), POSITIVE)
def test_exponents_add_where_costs_multiply_and_know_no_units(first, second, unit):
    sizes = np.array([16.0, 64.0, 100.0, 400.0])
    product = exponent(sizes, unit * sizes**first * sizes**second)
    assert product == pytest.approx(first + second, abs=1e-6)
    assert exponent(unit * sizes, sizes**first) == pytest.approx(first, abs=1e-6)
    assert exponent(sizes[::-1], (sizes**first)[::-1]) == pytest.approx(first, abs=1e-6)


def test_runs_go_on_until_both_their_number_and_their_time_are_reached():
    counted = []
    few = timed(lambda: counted.append(1), runs=3, warm=0, least=0.0)
    assert len(few.wall) == 3 == len(counted)
    filled = timed(lambda: None, runs=2, warm=0, least=0.01)
    assert len(filled.wall) > 2 and sum(filled.wall) >= 0.01 > sum(filled.wall[:-1])


# --- the file and its pages ---


def body_of(*figures):
    return {
        "machine": {"processor": "one", "cores": "2"},
        "versions": {"neuron": "0"},
        "figures": [figure.to_json() for figure in figures],
    }


def test_every_table_of_the_page_has_a_cell_for_every_title(tmp_path):
    figures = (
        Figure("a", 0.00012345, "s", ">= 1", (0.0001, 0.0002), "peer", 2.0, "how", (("x", "y"), ("1", "2"))),
        Figure("b", None, "", detail="no such library"),
        Figure("c", 1234567.0, "rays/s", table=(("z",), ("3",), ("4",))),
    )
    write_table(tmp_path / "page.md", body_of(*figures))
    page = (tmp_path / "page.md").read_text()
    blocks = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    assert [len(block) for block in blocks] == [2 + 3, 2 + 1, 2 + 2]
    assert all(len({line.count("|") for line in block}) == 1 for block in blocks)
    assert page.startswith("processor one, cores 2.\n\nneuron 0.\n\n")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in blocks[0][2:]]
    assert rows[0] == ["a", "0.0001234 s", "0.0001 to 0.0002", ">= 1", "peer", "how"]
    assert rows[1] == ["b", "not measured", "", "", "", "no such library"]
    assert rows[2][1] == "1.235e+06 rays/s"


@given(st.floats(0.001, 99999), st.integers(0, 4))
def test_a_number_may_be_quoted_in_fewer_digits_but_never_by_another_last_one(value, digits):
    value = round(value, 4)
    right, unit = round(value, digits), 10.0**-digits
    assert pages._agrees(f"{value:,.{digits}f}", value)
    for wrong in (right - unit, right + unit):
        assert not pages._agrees(f"{wrong:.{digits}f}", value)


def test_filling_a_page_twice_changes_nothing_and_leaves_what_is_around():
    speed = {"group": "speed", "value": 1234.5, "decimals": 1, "unit": "ms", "label": "A frame", "name": "a"}
    figures = pages.Figures({"a": speed}, {"grown": [["n", "t"], ["1", "2"]]})
    page = (
        f"head\n<!-- figures: speed -->\n{pages.END}\nbetween\n<!-- table: grown -->\nold\n{pages.END}\ntail"
    )
    once = pages.filled(page, figures)
    assert pages.filled(once, figures) == once
    assert "| A frame | 1,234.5 ms |" in once and "| 1 | 2 |" in once and "old" not in once
    assert pages.outside_blocks(once) == pages.outside_blocks(page) == "head\n\nbetween\n\ntail"
    assert pages.misquoted("1,234 ms<!--a--> 1,235 ms<!--a-->", figures) == [
        "a is quoted as 1,235, the file has 1234.5"
    ]


def test_two_figures_of_one_name_are_refused(tmp_path):
    (tmp_path / "figures.json").write_text(json.dumps({"figures": [{"name": "a"}] * 2, "tables": {}}))
    with pytest.raises(pages.FiguresError, match="same name"):
        pages.read_figures(tmp_path / "figures.json")


# --- the command ---


class Machine:
    """Measures in this process: each name counts up, those that `fails` names end the process there."""

    def __init__(self):
        self.calls, self.fails = [], set()

    def __call__(self, measure, config, names, report, keep):
        for name in names:
            self.calls.append(name)
            if name in self.fails:
                return 137
            keep(Figure(name, float(len(self.calls)), "s").to_json())
        return 0


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(bench, "measured", made)
    return made


def values_of(out):
    return {figure["name"]: figure["value"] for figure in json.loads(out.read_text())["figures"]}


def test_figures_are_measured_once_in_the_order_of_the_list_whatever_is_asked_for_first(tmp_path, machine):
    config = BenchConfig(tmp_path / "f.json", runs=1)
    bench.run(replace(config, only="vdb_write,nvf_512"), Silent())
    assert list(values_of(config.out)) == ["nvf_512_fps", "vdb_write_s"]
    bench.run(replace(config, only="nvf"), Silent())
    before = config.out.read_bytes()
    bench.run(replace(config, only="nvf,vdb"), Silent())
    assert config.out.read_bytes() == before
    assert len(machine.calls) == len(set(machine.calls))
    names = [entry.name for entry in bench.ENTRIES]
    assert list(values_of(config.out)) == sorted(values_of(config.out), key=names.index)


def test_a_process_that_ends_costs_the_rest_of_its_group_alone_and_is_tried_again(tmp_path, machine):
    config = BenchConfig(tmp_path / "f.json", only="nvf_512,nvf_1080,frame,vdb", runs=1)
    machine.fails = {"nvf_1080_fps"}
    figures = {figure["name"]: figure for figure in bench.run(config, Silent())["figures"]}
    assert [name for name, figure in figures.items() if figure["value"] is None] == [
        "nvf_1080_fps", "frame_scaling"
    ]  # fmt: skip
    assert figures["frame_scaling"]["detail"] == "its process ended with code 137"
    assert "not measured" in (tmp_path / "f.md").read_text()
    known = values_of(config.out)
    machine.fails, machine.calls[:] = set(), []
    bench.run(config, Silent())
    assert machine.calls == ["nvf_1080_fps", "frame_scaling"]
    after = values_of(config.out)
    assert None not in after.values() and after.items() >= {k: v for k, v in known.items() if v}.items()
    bench.run(config, Silent())
    assert len(machine.calls) == 2


def test_what_could_not_be_measured_stays_in_the_file_while_others_are(tmp_path, machine):
    config = BenchConfig(tmp_path / "f.json", runs=1)
    machine.fails = {"look_ms"}
    bench.run(replace(config, only="look_ms"), Silent())
    bench.run(replace(config, only="vdb"), Silent())
    assert values_of(config.out).keys() == {"look_ms", "vdb_write_s"}
    assert values_of(config.out)["look_ms"] is None


def test_figures_of_each_kind_of_settings_are_apart_and_an_input_folder_is_none(tmp_path, machine):
    config = BenchConfig(tmp_path / "f.json", only="vdb", runs=1)
    bench.run(config, Silent())
    for change in ({"runs": 2}, {"quick": True}, {"asset": tmp_path / "a.neuron"}):
        with pytest.raises(NeuronError, match="figures of other settings"):
            bench.run(replace(config, **change), Silent())
    bench.run(replace(config, inputs=tmp_path / "elsewhere"), Silent())
    assert machine.calls == ["vdb_write_s"]
    bench.run(replace(config, overwrite=True), Silent())
    assert machine.calls == ["vdb_write_s"] * 2


def test_the_record_says_what_machine_and_versions_measured(tmp_path, machine):
    config = BenchConfig(tmp_path / "f.json", only="vdb", runs=3)
    body = bench.run(config, Silent())
    assert set(body["machine"]) >= {"processor", "cores", "memory", "system", "threads"}
    assert body["settings"] == {"device": "cpu", "runs": 3, "quick": False, "asset": None}
    assert {"neuron", "Python", "torch", "numpy"} <= set(body["versions"])
    assert body["message"] == (tmp_path / "f.md").read_text() and body["table"] == str(tmp_path / "f.md")
    assert json.loads(json.dumps(body)) == body


def test_inputs_that_several_figures_need_are_made_once(tmp_path):
    inputs, made = Inputs(BenchConfig(tmp_path / "f.json"), Silent()), []
    assert [inputs.once("a", lambda: made.append(1) or len(made)) for _ in range(3)] == [1, 1, 1]
    assert inputs.once("b", lambda: 7) == 7
    assert inputs.folder == tmp_path / "f-inputs"


# --- what peers are given ---


def test_a_dense_grid_has_every_brick_in_its_place_and_nothing_elsewhere(baked):
    camera = Inputs(BenchConfig(asset=baked.path), Silent()).camera(64, 64)
    look = baked.looks[baked.slugs()[0]]
    colors, density = dense_colors(baked.nvf, baked.shader, look, camera)
    assert density.shape == colors.shape[:3] == tuple(CELLS * side + 1 for side in baked.nvf.top.shape)
    positions = sample_positions(baked.nvf).reshape(-1, 3)
    corners = np.rint((positions - baked.nvf.aabb[0]) / baked.nvf.voxel_size).astype(int)
    np.testing.assert_array_equal(density[tuple(corners.T)], baked.nvf.density.ravel())
    covered = np.zeros(density.shape, bool)
    covered[tuple(corners.T)] = True
    assert not density[~covered].any()
    assert 0.0 <= colors.min() and np.isfinite(colors).all()


def test_colors_are_spread_by_one_voxel_and_what_is_known_stays():
    known = np.zeros((7, 7, 7, 4), np.float32)
    known[3, 3, 3], known[3, 3, 4] = (0.2, 0.4, 0.6, 1.0), (0.4, 0.4, 0.6, 1.0)
    spread = _spread(known)
    np.testing.assert_array_equal(spread[3, 3, 3], known[3, 3, 3, :3])
    np.testing.assert_allclose(spread[2, 2, 3], (0.3, 0.4, 0.6), rtol=1e-6)  # beside both
    np.testing.assert_allclose(spread[2, 2, 2], (0.2, 0.4, 0.6), rtol=1e-6)  # beside the first alone
    assert not spread[1].any() and not spread[:, :, 6].any()
    np.testing.assert_array_equal(_spread(np.swapaxes(known, 0, 1)), np.swapaxes(spread, 0, 1))


def test_an_enlarged_picture_is_averaged_in_linear_before_it_is_encoded():
    small = Camera("small", 2, 3, 2.0, 2.0, 1.0, 1.5, np.eye(4))
    picture = np.random.default_rng(0).random((3, 2, 3))
    enlarged = picture.repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_allclose(_reduced(enlarged, small), linear_to_srgb(picture), atol=1e-6)
    checker = np.indices((6, 4)).sum(axis=0) % 2 * np.ones((3, 6, 4))
    halves = _reduced(checker.transpose(1, 2, 0), small)
    np.testing.assert_allclose(halves, linear_to_srgb(np.full((3, 2, 3), 0.5)), atol=1e-6)


@pytest.mark.parametrize("resolution", [32, 64])
def test_the_analytic_asset_is_dense_inside_and_its_normals_point_out(resolution):
    nvf = analytic_ball(resolution)
    positions = sample_positions(nvf).reshape(-1, 3)[nvf.active].astype(np.float64)
    away = _distance(positions)
    assert (np.sign(nvf.density.reshape(-1)[nvf.active]) == -np.sign(np.float32(away))).mean() > 0.999
    on_ball = (np.abs(np.linalg.norm(positions - [0, 0.05, 0], axis=1) - 0.33) < 1e-2) & (positions[:, 1] > 0)
    outward = (positions - [0, 0.05, 0])[on_ball]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert on_ball.sum() > 50
    assert ((nvf.normals.reshape(-1, 3)[nvf.active][on_ball] * outward).sum(axis=1) > 0.99).all()


# --- scenes ---


@pytest.fixture(scope="module")
def shaded(baked):
    return ShadedAsset(DeviceField(baked.nvf, baked.shader, "cpu"), baked.looks[baked.slugs()[0]])


@pytest.mark.parametrize("side", [1, 4, 5])
def test_a_grid_of_instances_is_even_and_around_the_origin(shaded, side):
    matrices = np.array([one.world_from_local for one in scenes._grid([shaded], side)])
    places = matrices[:, :3, 3].reshape(side, side, 3)
    np.testing.assert_allclose(places.mean(axis=(0, 1)), 0, atol=1e-12)
    size = scenes._extent(shaded)
    np.testing.assert_allclose(
        np.diff(places, axis=1), np.broadcast_to([1.2 * size, 0, 0], (side, side - 1, 3))
    )
    np.testing.assert_allclose(np.swapaxes(places, 0, 1)[..., [2, 1, 0]], places)
    assert (matrices[:, :3, :3] == np.eye(3)).all()


def test_instances_in_one_place_are_turned_about_their_own_axes_and_overlap(shaded):
    (one,) = scenes._grid([shaded], 1)
    found = np.array([other.world_from_local for other in scenes._beside(one, 8)])
    assert len(scenes._beside(one, 1)) == 1 and (found[0] == one.world_from_local).all()
    turns = found[:, :3, :3]
    np.testing.assert_allclose(
        turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(turns), 1.0)
    np.testing.assert_allclose(turns[:, 1], np.broadcast_to([0, 1, 0], (8, 3)))
    apart = np.linalg.norm(found[:, None, :3, 3] - found[None, :, :3, 3], axis=-1)
    assert apart.max() <= 0.1 * scenes._extent(shaded) + 1e-12
    assert len({tuple(turn.ravel().round(6)) for turn in turns}) == 8


def test_what_is_behind_the_camera_is_not_seen_and_what_is_before_it_is(shaded):
    composer, view = (
        Composer(),
        resized(scenes._above(4), 64, 64),
    )
    composer.place(scenes._behind(shaded, 40))
    assert not (composer.render(view).ids >= 0).any()
    composer.place(scenes._grid([shaded], 4))
    alone = composer.render(view)
    assert (alone.ids >= 0).any()
    composer.place([*scenes._grid([shaded], 4), *scenes._behind(shaded, 40)])
    np.testing.assert_array_equal(composer.render(view).ids, alone.ids)


def test_sixteen_instances_share_the_memory_of_one(baked):
    figure = scenes.instances_memory(baked)
    assert 1.0 < figure.value < 1.1 and figure.unit == "times one"
