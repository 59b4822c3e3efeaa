"""Seeds, devices and clocks: values that never change, and choices that need no device to be tested."""

import pytest

from neuron_core.foundation.clocks import Stopwatch, clock_text
from neuron_core.foundation.devices import pick, torch_device, warp_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.seeds import seed_of, step_seed


def test_seeds_never_change():
    """Datasets, libraries and weights that exist were made with these."""
    assert seed_of(0, "turn", "gold") == 80585887
    assert seed_of("oak:noise:0") == 4240845829
    assert step_seed(7, "geometry", 12) == 2018343215


@pytest.mark.parametrize("mix", [seed_of, step_seed])
def test_seeds_of_different_purposes_differ(mix):
    seeds = {mix(seed, purpose, step) for seed in range(4) for purpose in ("a", "b") for step in range(500)}
    assert len(seeds) > 3990
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert mix(1, "a", 2) == mix("1/a/2")


@pytest.mark.parametrize(
    ("name", "has_cuda", "device"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_a_device_is_what_was_asked_for_and_is_there(name: str, has_cuda: bool, device: str):
    assert pick(name, lambda: has_cuda) == device


def test_a_missing_or_unknown_device_is_an_error():
    with pytest.raises(NeuronError, match="no usable CUDA device"):
        pick("cuda", lambda: False)
    with pytest.raises(NeuronError, match="Unknown device 'gpu'"):
        pick("gpu", lambda: True)


def test_the_processor_is_taken_without_asking_for_another():
    def ask() -> bool:
        raise AssertionError

    assert pick("cpu", ask) == "cpu"


def test_torch_and_warp_agree_on_the_processor():
    assert torch_device("cpu") == warp_device("cpu") == "cpu"


def test_a_stopwatch_counts_from_its_start():
    wall, processor = iter([100.0, 103.0, 104.0, 110.0]), iter([5.0, 11.0])
    watch = Stopwatch(lambda: next(wall), lambda: next(processor))
    assert watch.seconds == 3.0
    assert watch.cpu_seconds == 6.0
    assert watch.remaining(1, 4) == 12.0
    assert watch.remaining(5, 10) == 10.0
    assert watch.remaining(0, 10) == 0.0


def test_durations_are_written_as_a_clock_shows_them():
    assert [clock_text(seconds) for seconds in (0, 59.6, 62.0, 600, 3723)] == [
        "0:00",
        "1:00",
        "1:02",
        "10:00",
        "1:02:03",
    ]
