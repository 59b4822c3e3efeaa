"""Training into a folder: what counts as done, what is measured, and what a finished run gives back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.learning.distributed import Placement
from neuron_core.learning.outcome import read_curve
from neuron_core.learning.run_folder import weights_of
from neuron_core.learning.smoke import SmokeError
from neuron_core.learning.stored import RunError
from neuron_core.learning.training import RunSettings, train, trained_modules
from tests.core import learning_laws as laws
from tests.core.toy_family import POINTS, ToyConfig, ToyData, ToyFamily
from tests.core.toy_objectives import CPU

FAMILY, HERE = ToyFamily(), Placement(CPU)


def data(folder, **changes):
    return ToyData(ToyConfig(Path("none"), folder, **changes))


def trained(folder, **changes):
    """State and outcome of a toy run."""
    settings = RunSettings(folder, HERE, timing=laws.ALWAYS)
    return train(FAMILY, data(folder), replace(settings, **changes), Silent())


def steps_in(folder):
    return [row["step"] for row in read_curve(folder / "metrics.jsonl")]


def test_a_finished_run_is_found_done_with_the_same_outcome(tmp_path):
    first = trained(tmp_path)
    again = trained(tmp_path)
    assert (first[0], again[0]) == ("fresh", "done") and again[1] == first[1]
    assert first[1].metrics["score"] < 0 and first[1].baselines["zero"]["score"] < 0


def test_the_modules_of_a_finished_run_are_those_that_were_trained_ready_for_use(tmp_path):
    kept = {}

    def keep(fresh, built, phases, placement, seed):
        kept.update({name: value.clone() for name, value in weights_of(built.modules).items()})

    _, outcome = trained(tmp_path, check=keep)
    modules = trained_modules(FAMILY, data(tmp_path), tmp_path, HERE)
    laws.assert_same_bits(weights_of(modules), kept)
    assert not any(module.training for module in modules.values())
    assert FAMILY.measure(modules, data(tmp_path), "val").metrics == outcome.metrics


def test_the_modules_of_a_run_of_another_size_or_of_none_are_refused_by_name(tmp_path):
    trained(tmp_path / "run")
    with pytest.raises(RunError, match=r"toy.safetensors does not fit: 0.weight is float32 \[8, 2\], not"):
        trained_modules(FAMILY, data(tmp_path, width=16), tmp_path / "run", HERE)
    with pytest.raises(RunError, match="toy.safetensors is missing or damaged"):
        trained_modules(FAMILY, data(tmp_path), tmp_path / "none", HERE)


def test_without_a_measurement_the_last_figures_of_training_count_and_the_weights_are_the_same(tmp_path):
    trained(tmp_path / "measured")
    _, outcome = trained(tmp_path / "plain", measures=False)
    assert "score" not in outcome.metrics and outcome.baselines == {}
    laws.assert_same_bits(
        *(
            weights_of(trained_modules(FAMILY, data(tmp_path), tmp_path / name, HERE))
            for name in ("plain", "measured")
        )
    )


def test_a_check_sees_fresh_modules_beside_the_trained_ones_and_every_phase(tmp_path):
    seen = []

    def look(fresh, built, phases, placement, seed):
        untrained = FAMILY.build(data(tmp_path), HERE).modules
        laws.assert_same_bits(weights_of(fresh.modules), weights_of(untrained))
        with torch.no_grad():
            assert not torch.equal(built.modules["net"](POINTS), fresh.modules["net"](POINTS))
        seen.append(([(phase.name, phase.rate) for phase in phases], placement, seed))

    trained(tmp_path, check=look, rate=2.0, seed=4)
    assert seen == [([("fit", 2e-2)], HERE, 4)]


def test_a_run_that_failed_its_check_is_not_done_and_resumes_at_its_end(tmp_path):
    def fails(*_):
        raise SmokeError("It does not fall.")

    with pytest.raises(SmokeError):
        trained(tmp_path, check=fails)
    assert json.loads((tmp_path / "run.json").read_text())["finished"] is False
    assert not (tmp_path / FAMILY.weights).exists()
    curve = steps_in(tmp_path)
    assert trained(tmp_path)[0] == "resume"
    assert steps_in(tmp_path) == curve == list(range(1, 13))
    trained(tmp_path / "whole")
    laws.assert_same_bits(
        *(
            weights_of(trained_modules(FAMILY, data(tmp_path), folder, HERE))
            for folder in (tmp_path, tmp_path / "whole")
        )
    )


def test_what_weights_follow_from_is_in_the_recipe_and_a_change_of_it_is_refused(tmp_path):
    trained(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    for changes, said in (({"rate": 2.0}, "rate"), ({"size": "trial"}, "size"), ({"also": {"a": 1}}, "a")):
        with pytest.raises(ConfigMismatchError, match=f"another config or dataset: {said}"):
            trained(tmp_path, **changes)
    assert (tmp_path / "run.json").read_bytes() == before
    assert trained(tmp_path, rate=2.0, overwrite=True)[0] == "fresh"


def test_a_folder_in_which_another_process_trains_is_refused_and_left_alone(tmp_path):
    def nested(*_):
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(NeuronError, match="in use by another process"):
            trained(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    assert trained(tmp_path, check=nested)[1].stopped == "finished"
