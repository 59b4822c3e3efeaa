"""The demo's config, record, commands and charts: what holds without running it."""

import re
import shlex
from dataclasses import fields, replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.demo import charts
from neuron_core.demo import machine as described
from neuron_core.demo.config import FULL, NOT_IN_FINGERPRINT, PROMPTS, QUICK, DemoConfig
from neuron_core.demo.journal import Journal
from neuron_core.demo.report import clock
from neuron_core.demo.run import ENDS, Paths, _commands, _name_of
from neuron_core.foundation.errors import ClaimedError

# --- what makes another demo ---

OTHER = {
    "out": Path("b"), "quick": True, "materials": "oak", "geometry": "a.usd", "assign": ("/a",),
    "prompt": ("red",), "device": "cpu", "seed": 1, "overwrite": True,
}  # fmt: skip


def test_every_setting_but_place_and_device_makes_another_demo():
    config = DemoConfig()
    assert set(OTHER) == {item.name for item in fields(config)}
    seen = {str(config.described())}
    for name, value in OTHER.items():
        changed = str(replace(config, **{name: value}).described())
        assert (changed in seen) == (name in NOT_IN_FINGERPRINT), name
        seen.add(changed)


def test_prompts_that_are_the_default_are_the_default():
    assert DemoConfig(prompt=PROMPTS).described() == DemoConfig().described()
    assert len(set(PROMPTS)) == len(PROMPTS) == 8  # as the page says


def test_the_quick_demo_is_smaller_in_everything():
    for item in fields(FULL):
        quick, full = getattr(QUICK, item.name), getattr(FULL, item.name)
        assert full is None or quick <= full, item.name
    assert DemoConfig(quick=True).plan() is QUICK and DemoConfig().plan() is FULL


def test_stages_end_one_after_another_within_the_whole():
    ends = list(ENDS.values())
    assert all(0 < before < after < 1 for before, after in pairwise(ends))


@pytest.mark.parametrize(
    ("geometry", "name"),
    [
        ("shaderball", "shaderball"),
        ("models/chair.usd", "chair"),
        ("a/chair.v2.usdz@/World/chair", "chair.v2"),
        ("@/prim", "asset"),
    ],
)
def test_the_asset_is_called_like_the_file_of_its_shape(geometry, name):
    assert _name_of(geometry) == name
    paths = Paths(Path("out"), _name_of(geometry))
    assert paths.asset == Path("out") / f"{name}.neuron"
    everything = [getattr(paths, item) for item in dir(Paths) if isinstance(getattr(Paths, item), property)]
    assert len(set(everything)) == len(everything) and all(Path("out") in path.parents for path in everything)


def test_every_command_that_the_page_proposes_is_one_that_neuron_takes():
    paths = Paths(Path("my demo"), "ball")
    for what, text in _commands(paths):
        assert what[0].isupper()
        for line in text.replace("my demo", "my-demo").splitlines():
            program, name, *words = shlex.split(line)
            assert program == "neuron"
            parse(find_task(name), words)


# --- the record ---


def test_time_adds_up_over_calls_until_a_stage_is_done(tmp_path):
    for _ in range(3):
        with pytest.raises(KeyError), Journal(tmp_path, {"a": 1}, False) as journal, journal.timed("bake"):
            journal._progress.seconds["bake"] = journal.seconds.get("bake", 0.0) + 10.0  # as if it took that
            raise KeyError
    with Journal(tmp_path, {"a": 1}, False) as journal:
        assert journal.seconds["bake"] == pytest.approx(30.0, abs=1.0)
        with journal.timed("bake"):
            pass
        with journal.timed("bake"):
            journal._progress.seconds["bake"] += 0.0
    with Journal(tmp_path, {"a": 1}, False) as journal:
        assert journal.seconds["bake"] == pytest.approx(30.0, abs=1.0)


def test_two_demos_do_not_write_the_same_folder(tmp_path):
    with Journal(tmp_path, {"a": 1}, False):
        with pytest.raises(ClaimedError):
            Journal(tmp_path, {"a": 1}, False)
    with Journal(tmp_path, {"a": 1}, False) as journal:  # it was released
        journal.finish({"seconds": 2.0})
    with Journal(tmp_path, {"a": 1}, False) as journal:
        assert journal.result == {"seconds": 2.0}


# --- the machine ---


def test_the_machine_is_described_in_words_that_are_there(monkeypatch):
    found = described.machine()
    assert list(found)[:4] == ["processor", "cores", "memory", "system"]
    assert all(value.strip() == value and value for value in found.values())
    assert int(found["cores"]) >= 1
    assert found["memory"] == "unknown" or float(found["memory"].removesuffix(" GiB")) > 0


def test_what_a_system_does_not_tell_is_unknown(monkeypatch):
    def refuses(*args, **options):
        raise OSError

    monkeypatch.setattr(described.os, "sysconf", refuses)
    monkeypatch.setattr(described.Path, "read_text", refuses)
    monkeypatch.delattr(described.os, "sched_getaffinity")
    monkeypatch.setattr(described.os, "cpu_count", lambda: None)
    monkeypatch.setattr(described.platform, "processor", lambda: "")
    monkeypatch.setattr(described.platform, "machine", lambda: "")
    found = described.machine()
    assert (found["processor"], found["cores"], found["memory"]) == ("unknown", "1", "unknown")


def test_versions_are_those_of_the_packages_and_missing_ones_are_named(monkeypatch):
    found = described.versions()
    for name in described.PACKAGES:
        assert found[name] == metadata.version(name)

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(described.metadata, "version", missing)
    bare = described.versions()
    assert {bare[name] for name in described.PACKAGES} == {"not installed"} and bare["neuron"] == found[
        "neuron"
    ]


# --- charts ---


def points_of(svg):
    texts = re.findall(r'points="([^"]*)"', svg)
    return [np.array([pair.split(",") for pair in text.split()], float) for text in texts]


def curve(seed, count=50):
    values = np.exp(np.random.default_rng(seed).normal(size=count)).tolist()
    return [(float(step), value) for step, value in enumerate(values)]


def test_a_logarithmic_axis_knows_no_units():
    """Ten times every value is the same picture, one power of ten further up."""
    named = {"a": curve(0), "b": curve(1)}
    tenfold = {name: [(x, 10 * y) for x, y in one] for name, one in named.items()}
    drawn = [points_of(charts.curves("t", one, "step")) for one in (named, tenfold)]
    for before, after in zip(*drawn, strict=True):
        np.testing.assert_allclose(before, after, atol=0.11)


def test_curves_share_their_axes_and_keep_their_order_of_values():
    named = {"a": curve(2), "b": [(x, 2 * y) for x, y in curve(2)]}
    first, second = points_of(charts.curves("t", named, "step"))
    np.testing.assert_array_equal(first[:, 0], second[:, 0])
    lifts = first[:, 1] - second[:, 1]
    assert (lifts > 0).all() and np.ptp(lifts) < 0.21  # a factor is a distance
    low, high = np.argsort([y for _, y in curve(2)])[[0, -1]]
    assert first[low, 1] == first[:, 1].max() and first[high, 1] == first[:, 1].min()


@given(st.integers(2, 600), st.integers(0, 99))
def test_thinning_keeps_the_span_the_count_and_the_geometric_mean(count, seed):
    whole = curve(seed, count)
    thin = charts._thinned(whole)
    assert len(thin) <= charts.MOST_POINTS
    if count <= charts.MOST_POINTS:
        np.testing.assert_allclose(thin, whole)
    xs = [x for x, _ in thin]
    assert xs == sorted(xs) and whole[0][0] <= xs[0] and xs[-1] <= whole[-1][0]
    if count % -(-count // charts.MOST_POINTS) == 0:  # groups of one size
        means = [np.log([y for _, y in one]).mean() for one in (whole, thin)]
        assert means[0] == pytest.approx(means[1])


def test_a_curve_of_one_value_and_bars_of_nothing_are_still_charts():
    (flat,) = points_of(charts.curves("t", {"a": [(0.0, 3.0), (1.0, 3.0)]}, "step"))
    assert flat[0, 1] == flat[1, 1] and charts.TOP <= flat[0, 1] <= charts.HEIGHT - charts.BOTTOM
    bars = charts.bars("t", {"a": 0.0}, "s")
    assert re.findall(r'<rect[^>]*width="([\d.]+)"', bars) == ["1.0"]


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_longer_time_never_reads_shorter(first, second):
    def seconds(text):
        number, unit = text.split()
        parts = [int(part) for part in number.split(":")]
        return sum(part * 60**power for power, part in enumerate(reversed(parts)))

    low, high = sorted((first, second))
    assert seconds(clock(low)) <= seconds(clock(high))
    assert abs(seconds(clock(high)) - high) <= 1.0
