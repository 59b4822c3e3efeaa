"""A run on disk comes back as it was, and damage is named."""

import json
from dataclasses import replace

import pytest
import torch

from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.learning.outcome import Outcome
from neuron_core.learning.run_folder import RUN, RunFolder
from neuron_core.learning.stored import RunError
from neuron_core.models.field import trained
from neuron_core.models.field.trained import RunInfo, TrainedLook
from tests.core.small_fields import small_field


def a_run(**changes: object) -> RunInfo:
    values: dict[str, object] = {
        "config": {"preset": "cpu", "seed": 0},
        "fingerprint": "abc",
        "field": small_field().spec,
        "encoder": {"name": "embedded", "digest": "d" * 8},
        "looks": (TrainedLook("gold", "polished gold", ("gold", "shiny gold"), True, False),),
        "aabb": ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        "dataset": {"kind": "rendered", "digest": "e" * 8},
        "finished": True,
        "metrics": {"psnr": 31.5},
    }
    return RunInfo(**{**values, **changes})


def save_field(folder, field) -> None:
    RunFolder(folder, weights=trained.FIELD).save_weights({"field": field})


def write_finished(folder) -> None:
    trained.write_run(folder, a_run())
    save_field(folder, small_field())


def test_a_description_comes_back(tmp_path):
    trained.write_run(tmp_path, a_run())
    assert RunInfo.read(tmp_path) == a_run()


def test_a_field_comes_back_bit_for_bit(tmp_path):
    write_finished(tmp_path)
    field, info = trained.load_run(tmp_path)
    assert info == a_run() and not field.training
    expected = small_field().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in field.state_dict().items())


@pytest.mark.parametrize(
    "change",
    [
        {"aabb": [1, 2]},
        {"looks": [{"name": "gold"}]},
        {"looks": 3},
        {"field": {"center": [0, 0, 0]}},
        {"field": None},
        {"version": 99},
        {"version": "new"},
    ],
)
def test_a_damaged_description_is_an_error_of_the_user(tmp_path, change):
    write_finished(tmp_path)
    content = json.loads((tmp_path / RUN).read_text())
    (tmp_path / RUN).write_text(json.dumps({**content, **change}))
    with pytest.raises(NeuronError):
        trained.load_run(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1}'])
def test_what_is_no_description_is_an_error_of_the_user(tmp_path, text):
    write_finished(tmp_path)
    (tmp_path / RUN).write_text(text)
    with pytest.raises(NeuronError):
        trained.load_run(tmp_path)


@pytest.mark.parametrize("part", [0, 7, 0.3, 0.99])
def test_a_truncated_field_is_named(tmp_path, part):
    write_finished(tmp_path)
    path = tmp_path / trained.FIELD
    content = path.read_bytes()
    path.write_bytes(content[: int(part if part >= 1 else part * len(content))])
    with pytest.raises(RunError, match="field.safetensors"):
        trained.load_run(tmp_path)


def test_a_field_of_another_shape_is_named(tmp_path):
    trained.write_run(tmp_path, a_run())
    save_field(tmp_path, small_field(geometry_width=16))
    with pytest.raises(RunError, match="does not fit"):
        trained.load_run(tmp_path)


def test_numbers_that_are_none_are_no_field(tmp_path):
    trained.write_run(tmp_path, a_run())
    field = small_field()
    with torch.no_grad():
        field.shader.tints.bias[0] = torch.nan
    save_field(tmp_path, field)
    with pytest.raises(RunError, match="finite"):
        trained.load_run(tmp_path)


def test_missing_runs_and_unfinished_ones_say_what_to_do(tmp_path):
    with pytest.raises(RunError, match="No training run") as missing:
        trained.load_run(tmp_path)
    trained.write_run(tmp_path, a_run(finished=False))
    with pytest.raises(RunError, match="not finished") as unfinished:
        trained.load_run(tmp_path)
    assert "neuron train" in missing.value.hint and "neuron train" in unfinished.value.hint


def test_an_output_of_another_config_is_kept_unless_it_may_go(tmp_path):
    with RunFolder(tmp_path, "field", weights=trained.FIELD) as folder:
        assert folder.claim({"seed": 0}) == "fresh"
        folder.finish({"field": small_field()}, Outcome(tmp_path, {"psnr": 31.5}), description())
    with RunFolder(tmp_path, "field", weights=trained.FIELD) as folder:
        assert folder.claim({"seed": 0}) == "done"
        with pytest.raises(ConfigMismatchError, match="another config.*seed 0 instead of 1"):
            folder.claim({"seed": 1})
        assert (tmp_path / trained.FIELD).is_file()
        assert folder.claim({"seed": 1}, overwrite=True) == "fresh"
        assert not (tmp_path / trained.FIELD).exists()


def test_a_finished_run_folder_is_a_trained_field(tmp_path):
    with RunFolder(tmp_path, "field", weights=trained.FIELD) as folder:
        folder.claim({"seed": 0}, description=description())
        with pytest.raises(RunError, match="not finished"):
            trained.load_run(tmp_path)
        folder.finish({"field": small_field()}, Outcome(tmp_path, {"psnr": 31.5}), description())
    field, info = trained.load_run(tmp_path)
    assert info == replace(a_run(), fingerprint=info.fingerprint)
    expected = small_field().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in field.state_dict().items())


def description():
    """What a family says of the run."""
    known = a_run().to_json()
    return {key: known[key] for key in ("config", "field", "encoder", "looks", "aabb", "dataset")}
