"""What a dataset may be asked to be."""

from pathlib import Path

import pytest

from neuron_core.foundation.errors import NeuronError
from neuron_core.groundtruth.config import RUN_FIELDS, DatasetConfig, parse_shard


@pytest.mark.parametrize(
    "values",
    [
        {"views": 0},
        {"resolution": 4},
        {"spp": 0},
        {"truth_db": float("nan")},
        {"margin": 0.5},
        {"seed": -1},
        {"lowest_elevation": 50.0, "highest_elevation": 40.0},
        {"shard": "2/1"},
    ],
)
def test_values_that_make_no_dataset_are_refused(values):
    with pytest.raises(NeuronError):
        DatasetConfig(Path("x"), **values)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/2", "1/2/3"])
def test_no_other_text_is_a_shard(text):
    with pytest.raises(NeuronError, match="shard"):
        parse_shard(text)


def test_shards_are_counted_from_one_and_nothing_is_the_whole():
    assert parse_shard("1/4") == (0, 4)
    assert parse_shard("4/4") == (3, 4)
    assert parse_shard("") == (0, 1)


def test_where_and_how_it_runs_is_no_part_of_what_it_is():
    here = DatasetConfig(Path("a"), shard="1/2", variant="scalar", overwrite=True)
    there = DatasetConfig(Path("b"))
    assert here.described() == there.described()
    assert not set(RUN_FIELDS) & set(here.described())
    assert DatasetConfig(Path("a"), seed=1).described() != there.described()
