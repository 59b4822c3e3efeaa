"""The files of an encoder follow from its config alone, however often the command is given."""

import json
from pathlib import Path

import pytest

from neuron_core.foundation.interrupts import Stopped, clear, request_stop
from neuron_core.foundation.progress import Silent
from neuron_core.models.prompt_encoder import making
from neuron_core.models.prompt_encoder.data import EncoderConfig
from neuron_core.models.prompt_encoder.family import EncoderFamily
from neuron_core.models.prompt_encoder.making import make_encoder
from tests.core.family_runs import encoder_data


class Prepared(EncoderFamily):
    """The family with noise in place of renders."""

    def prepare(self, config, report):
        return encoder_data(config.steps, config.batch)


@pytest.fixture(autouse=True)
def noise(monkeypatch):
    monkeypatch.setattr(making, "FAMILY", Prepared())


def made(folder, report=None):
    """The figures and the bytes of all files."""
    config = EncoderConfig(Path("none"), steps=3, batch=4, seed=7)
    figures = make_encoder(config, folder / "run", folder / "out", report or Silent(), "test/1")
    return figures, {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


class Stops(Silent):
    """Asks the process to stop once training begins."""

    def progress(self, fraction, stage, message="", metrics=()):
        request_stop()


def test_stopped_resumed_and_repeated_an_encoder_is_the_same_to_the_byte(tmp_path):
    whole = made(tmp_path / "whole")
    assert whole[0]["steps"] == 3 and "MODEL_CARD.md" in whole[1]
    with pytest.raises(Stopped):
        made(tmp_path / "stopped", Stops())
    clear()
    assert not (tmp_path / "stopped" / "out").exists()
    (run,) = (tmp_path / "stopped" / "run").iterdir()
    assert (run / "checkpoint.safetensors").is_file()
    assert made(tmp_path / "stopped") == whole
    stamp = (run / "weights.safetensors").stat().st_mtime_ns
    assert made(tmp_path / "stopped") == whole, "a finished run is only read"
    assert (run / "weights.safetensors").stat().st_mtime_ns == stamp
    assert json.loads((run / "run.json").read_text())["finished"] is True
