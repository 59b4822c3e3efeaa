"""What the benchmark promises to programs: names, settings, resumption, and honest arithmetic."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from neuron_core.bench import run as bench
from neuron_core.bench.config import BenchConfig
from neuron_core.bench.delivery_figures import shell
from neuron_core.bench.figure import Figure, exponent, timed
from neuron_core.bench.inputs import Inputs, analytic_ball
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from tests.core.baked_samples import write_ball
from tests.core.composed_samples import aprons_agree


def settings(folder: Path, **changes: object) -> BenchConfig:
    asset = folder / "ball.neuron"
    if not asset.exists():
        write_ball(asset)
    values = {"out": folder / "bench.json", "asset": asset, "runs": 2, "quick": True, "only": "nvf_512_fps"}
    return BenchConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_an_exponent_is_the_power_of_a_power_law() -> None:
    sizes = np.array([64.0, 128.0, 512.0])
    assert exponent(sizes, 3.0 * sizes**1.7) == pytest.approx(1.7)


def test_warm_runs_are_not_counted() -> None:
    calls: list[int] = []
    times = timed(lambda: calls.append(1), runs=5, warm=3)
    assert len(calls) == 8 and len(times.wall) == len(times.cpu) == 5
    low, high = times.spread()
    assert low <= times.median <= high and times.rates()[0] == pytest.approx(1 / high)


def test_figures_are_kept_and_written_as_data_and_as_a_table(tmp_path: Path) -> None:
    body = bench.run(settings(tmp_path), Silent())
    stored = json.loads((tmp_path / "bench.json").read_text())
    figure = stored["figures"][0]
    assert figure["name"] == "nvf_512_fps" and figure["value"] > 0
    assert figure["spread"][0] <= figure["value"] <= figure["spread"][1]
    assert stored["machine"] and stored["versions"]["neuron"] and body["figures"] == stored["figures"]
    table = (tmp_path / "bench.md").read_text()
    assert "nvf_512_fps" in table and ">= 60" in table
    before = (tmp_path / "bench.json").read_bytes()
    bench.run(settings(tmp_path), Silent())
    assert (tmp_path / "bench.json").read_bytes() == before
    bench.run(settings(tmp_path, only="render_cold"), Silent())
    names = [entry["name"] for entry in json.loads((tmp_path / "bench.json").read_text())["figures"]]
    assert names == ["nvf_512_fps", "render_cold_s"]


def test_other_settings_do_not_mix(tmp_path: Path) -> None:
    bench.run(settings(tmp_path), Silent())
    with pytest.raises(ConfigMismatchError, match="other settings"):
        bench.run(settings(tmp_path, runs=3), Silent())
    bench.run(settings(tmp_path, runs=3, overwrite=True), Silent())


def test_unknown_figures_and_missing_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NeuronError, match="no figure 'nvf_9000'"):
        bench.run(settings(tmp_path, only="nvf_9000"), Silent())
    import warp as wp

    if not wp.is_cuda_available():
        with pytest.raises(NeuronError, match="no usable CUDA"):
            bench.run(settings(tmp_path, device="cuda"), Silent())


def test_figures_without_their_inputs_say_so(tmp_path: Path) -> None:
    body = bench.run(settings(tmp_path, only="nvf_psnr_db"), Silent())
    figures = body["figures"]
    assert isinstance(figures, list) and figures[0]["value"] is None and "truth" in figures[0]["detail"]
    assert "not measured" in (tmp_path / "bench.md").read_text()


def test_the_asset_covers_about_a_quarter_of_the_picture(tmp_path: Path) -> None:
    inputs = Inputs(settings(tmp_path), Silent())
    rgba = inputs.renderer().render(inputs.camera(512, 512)).rgba
    assert (rgba[..., 3] > 0.5).mean() == pytest.approx(0.25, abs=0.03)


def test_memory_of_analytic_assets_grows_with_their_surface() -> None:
    balls = [analytic_ball(resolution) for resolution in (64, 128)]
    assert all(aprons_agree(ball.top, ball.density) for ball in balls)
    assert 1.7 < np.log2(len(balls[1].density) / len(balls[0].density)) < 2.4


def test_delivery_is_measured(tmp_path: Path) -> None:
    bench.run(settings(tmp_path, only="splat_fit,vdb_write"), Silent())
    figures = {entry["name"]: entry for entry in json.loads((tmp_path / "bench.json").read_text())["figures"]}
    assert figures["splat_fit_s"]["value"] > 0 and "dB against" in figures["splat_fit_s"]["detail"]
    assert figures["vdb_write_s"]["value"] > 0


def test_the_shell_has_as_many_voxels_as_asked_for_each_once() -> None:
    density, colors = shell(60_000)
    assert len(density) == pytest.approx(60_000, rel=0.01) and len(colors) == len(density)
    assert len(np.unique(density.voxels, axis=0)) == len(density) and density.values.min() > 0


def test_every_figure_has_a_function() -> None:
    assert len({entry.name for entry in bench.ENTRIES}) == len(bench.ENTRIES)
    for entry in bench.ENTRIES:
        module, _, name = entry.measure.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
    assert Figure("a", None, "s").to_json()["value"] is None
