"""Figures that are measured in another process. That one imports this module: it imports little."""

import multiprocessing
import os
import signal
import time

import pytest

from neuron_core.bench import process
from neuron_core.bench.config import BenchConfig
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent


def count_up(config, name, report, shared):
    """For the other process: what it got, how often it was called, and which process it is."""
    if name == "dies":
        os._exit(7)
    if name == "refuses":
        raise NeuronError("No such thing.", "Take another.")
    if name == "endless":
        time.sleep(600)
    shared["calls"] = shared.get("calls", 0) + 1
    report.progress(0.5, "bench", name)
    report.warn(f"about {name}")
    return {"name": name, "calls": shared["calls"], "process": os.getpid(), "runs": config.runs}


class Hears(Silent):
    def __init__(self):
        self.heard = []

    def progress(self, fraction, stage, message="", metrics=()):
        self.heard.append((fraction, stage, message))

    def warn(self, message):
        self.heard.append(message)


def test_figures_of_a_group_share_one_other_process_and_come_as_they_are_ready():
    kept, report = [], Hears()
    code = process.measured(count_up, BenchConfig(runs=5), ["a", "b", "dies", "c"], report, kept.append)
    assert code == 7  # of the process, which measured two figures before
    assert [(one["name"], one["calls"], one["runs"]) for one in kept] == [("a", 1, 5), ("b", 2, 5)]
    (other,) = {one["process"] for one in kept}
    assert other != os.getpid()
    assert report.heard == [(0.5, "bench", "a"), "about a", (0.5, "bench", "b"), "about b"]


def test_an_error_there_is_an_error_here_with_its_hint():
    kept = []
    with pytest.raises(NeuronError, match="No such thing") as caught:
        process.measured(count_up, BenchConfig(), ["a", "refuses", "b"], Silent(), kept.append)
    assert caught.value.hint == "Take another." and [one["name"] for one in kept] == ["a"]


def test_a_request_to_stop_ends_the_other_process(monkeypatch):
    def stop():
        raise interrupts.Stopped(signal.SIGTERM)

    monkeypatch.setattr(interrupts, "stop_if_requested", stop)
    with pytest.raises(interrupts.Stopped):
        process.measured(count_up, BenchConfig(), ["endless"], Silent(), lambda figure: None)
    assert not multiprocessing.active_children()
