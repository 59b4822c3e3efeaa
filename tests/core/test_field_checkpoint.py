"""A run on disk comes back as it was, and damage is named."""

import json

import pytest
import torch

from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.models.field import checkpoint
from neuron_core.models.field.checkpoint import RunError, RunInfo, TrainedLook
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


def write_finished(folder) -> None:
    checkpoint.write_run(folder, a_run())
    checkpoint.save_field(folder, small_field())


def test_a_description_comes_back(tmp_path):
    checkpoint.write_run(tmp_path, a_run())
    assert RunInfo.read(tmp_path) == a_run()


def test_a_field_comes_back_bit_for_bit(tmp_path):
    write_finished(tmp_path)
    field, info = checkpoint.load_run(tmp_path)
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
    content = json.loads((tmp_path / checkpoint.RUN).read_text())
    (tmp_path / checkpoint.RUN).write_text(json.dumps({**content, **change}))
    with pytest.raises(NeuronError):
        checkpoint.load_run(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1}'])
def test_what_is_no_description_is_an_error_of_the_user(tmp_path, text):
    write_finished(tmp_path)
    (tmp_path / checkpoint.RUN).write_text(text)
    with pytest.raises(NeuronError):
        checkpoint.load_run(tmp_path)


@pytest.mark.parametrize("part", [0, 7, 0.3, 0.99])
def test_a_truncated_field_is_named(tmp_path, part):
    write_finished(tmp_path)
    path = tmp_path / checkpoint.FIELD
    content = path.read_bytes()
    path.write_bytes(content[: int(part if part >= 1 else part * len(content))])
    with pytest.raises(RunError, match="field.safetensors"):
        checkpoint.load_run(tmp_path)


def test_a_field_of_another_shape_is_named(tmp_path):
    checkpoint.write_run(tmp_path, a_run())
    checkpoint.save_field(tmp_path, small_field(geometry_width=16))
    with pytest.raises(RunError, match="does not fit"):
        checkpoint.load_run(tmp_path)


def test_numbers_that_are_none_are_no_field(tmp_path):
    checkpoint.write_run(tmp_path, a_run())
    field = small_field()
    with torch.no_grad():
        field.shader.tints.bias[0] = torch.nan
    checkpoint.save_field(tmp_path, field)
    with pytest.raises(RunError, match="finite"):
        checkpoint.load_run(tmp_path)


def test_missing_runs_and_unfinished_ones_say_what_to_do(tmp_path):
    with pytest.raises(RunError, match="No training run") as missing:
        checkpoint.load_run(tmp_path)
    checkpoint.write_run(tmp_path, a_run(finished=False))
    with pytest.raises(RunError, match="not finished") as unfinished:
        checkpoint.load_run(tmp_path)
    assert "neuron train" in missing.value.hint and "neuron train" in unfinished.value.hint


def save_some(folder):
    field = small_field()
    optimizer = torch.optim.Adam(field.parameters(), 1e-2)
    field.query(torch.rand(9, 3), torch.rand(6), torch.rand(9, 3))[0].sum().backward()
    optimizer.step()
    checkpoint.save_checkpoint(
        folder, field, optimizer, {"stage": 1, "step": 5}, {"gains": torch.arange(3.0)}
    )
    return field, optimizer


def test_a_checkpoint_brings_back_field_optimizer_stage_and_position(tmp_path):
    field, optimizer = save_some(tmp_path)
    tensors, position = checkpoint.load_checkpoint(tmp_path)
    other = small_field()
    checkpoint.restore(other, tensors)
    again = torch.optim.Adam(other.parameters(), 1e-2)
    checkpoint.restore_optimizer(again, tensors)
    assert position == {"stage": 1, "step": 5}
    assert torch.equal(checkpoint.stage_state(tensors)["gains"], torch.arange(3.0))
    assert all(torch.equal(a, b) for a, b in zip(field.parameters(), other.parameters(), strict=True))
    states, expected = again.state_dict()["state"], optimizer.state_dict()["state"]
    assert states.keys() == expected.keys()
    for index in expected:
        assert all(torch.equal(states[index][key], value) for key, value in expected[index].items())


@pytest.mark.parametrize("part", [0, 9, 0.5])
def test_a_damaged_checkpoint_is_named(tmp_path, part):
    save_some(tmp_path)
    path = tmp_path / checkpoint.CHECKPOINT
    content = path.read_bytes()
    path.write_bytes(content[: int(part if part >= 1 else part * len(content))])
    with pytest.raises(RunError, match="checkpoint.safetensors"):
        checkpoint.load_checkpoint(tmp_path)


def test_an_output_of_another_config_is_kept_unless_it_may_go(tmp_path):
    write_finished(tmp_path)
    assert checkpoint.claim(tmp_path, "abc", overwrite=False) == a_run()
    with pytest.raises(ConfigMismatchError, match="another config"):
        checkpoint.claim(tmp_path, "other", overwrite=False)
    assert (tmp_path / checkpoint.FIELD).is_file()
    assert checkpoint.claim(tmp_path, "other", overwrite=True) is None
    assert not (tmp_path / checkpoint.FIELD).exists()


def test_fingerprints_depend_on_content_and_not_on_order():
    first = checkpoint.fingerprint({"a": 1, "b": [2, 3]})
    assert first == checkpoint.fingerprint({"b": [2, 3], "a": 1})
    assert first != checkpoint.fingerprint({"a": 1, "b": [3, 2]})


def test_a_checkpoint_of_another_field_is_an_error_of_the_user(tmp_path):
    save_some(tmp_path)
    tensors, _ = checkpoint.load_checkpoint(tmp_path)
    with pytest.raises(RunError, match="another field"):
        checkpoint.restore(small_field(geometry_width=16), tensors)
