"""`neuron bake` on disk: the same command finds its file, another one is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from neuron_core.assets import read_asset
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.models.field.config import LIBRARY
from neuron_core.tasks.bake.config import BakeConfig
from neuron_core.tasks.bake.run import run


@pytest.fixture(scope="module")
def baked(tmp_path_factory):
    config = BakeConfig(Path(LIBRARY), tmp_path_factory.mktemp("baked") / "a.neuron", ("gold",), resolution=8)
    return config, run(config, Silent())


def test_the_same_command_finds_its_file(baked):
    config, result = baked
    stamp = config.out.stat().st_mtime_ns
    again = run(config, Silent())
    assert config.out.stat().st_mtime_ns == stamp and "already baked" in str(again["summary"])
    assert {**again, "summary": ""} == {**result, "summary": ""}


def test_the_same_bake_has_the_same_bytes(baked, tmp_path):
    config, result = baked
    other = replace(config, out=tmp_path / "a.neuron")
    assert run(other, Silent())["digest"] == result["digest"]
    assert other.out.read_bytes() == config.out.read_bytes()


def test_other_settings_replace_a_file_only_with_overwrite(baked, tmp_path):
    config, _ = baked
    wanted = replace(config, out=tmp_path / "b.neuron")
    wanted.out.write_bytes(config.out.read_bytes())
    other = replace(wanted, prompt=("brass", "gold"))
    with pytest.raises(ConfigMismatchError, match="other settings"):
        run(other, Silent())
    assert wanted.out.read_bytes() == config.out.read_bytes()
    assert [look["prompt"] for look in run(replace(other, overwrite=True), Silent())["looks"]] == [
        "brass",
        "gold",
    ]
    assert {look.slug for look in read_asset(wanted.out).manifest.looks} == {"brass", "gold"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"out": Path("a.usd")}, "does not end in .neuron"),
        ({"resolution": 4}, "resolution of a bake cannot be 4"),
    ],
)
def test_what_cannot_be_baked_is_refused_before_the_field_is_read(baked, change, said):
    with pytest.raises(NeuronError, match=said):
        run(replace(baked[0], run=Path("missing"), **change), Silent())
