"""What counts as a trip through a file, and which calls lead upwards, in a little engine of two layers."""

import importlib
import sys
import threading

import pytest

from neuron_core.bench.trips import Trips

LOW = """
class Tool:
    limit = max(3, 4)

    def turn(self):
        return self.limit

def helper():
    return Tool().turn()

def call(function):
    return function()

def reach():
    import little.high.top
    return little.high.top.work()

registry = []

def call_registered():
    return [function() for function in registry]
"""
HIGH = """
from little.low import base

def work():
    return 1

def downwards():
    return base.helper()

def callback():
    return base.call(work)

def through_a_registry():
    base.registry.append(work)
    return base.call_registered()
"""


@pytest.fixture
def little(tmp_path, monkeypatch):
    """The modules of both layers, and a meter for them."""
    for name, text in (("low/base", LOW), ("high/top", HIGH)):
        file = tmp_path / "little" / f"{name}.py"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    low, high = (importlib.import_module(f"little.{name}") for name in ("low.base", "high.top"))
    yield low, high, lambda: Trips(tmp_path / "little", ("low", "high"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "little"]:
        del sys.modules[name]


def test_a_file_counts_once_however_often_it_is_entered(little):
    _, high, meter = little
    with meter() as trips:
        for _ in range(3):
            high.downwards()
    assert trips.files == ["high/top.py", "low/base.py"] and trips.rooms == ["low", "high"]


def test_what_is_only_imported_does_not_count(little):
    low, _, meter = little
    with meter() as trips:
        importlib.reload(low)
    assert trips.files == []


def test_what_other_threads_enter_counts(little):
    low, _, meter = little
    with meter() as trips:
        thread = threading.Thread(target=low.helper)
        thread.start()
        thread.join()
    assert trips.files == ["low/base.py"]


def test_nothing_is_watched_after_the_block(little):
    low, _, meter = little
    with meter() as trips:
        pass
    low.helper()
    assert trips.files == [] and sys.getprofile() is None


@pytest.mark.parametrize("name", ["downwards", "callback", "through_a_registry"])
def test_what_was_handed_down_is_no_call_upwards(little, name):
    _, high, meter = little
    with meter() as trips:
        getattr(high, name)()
    assert len(trips.files) == 2 and trips.upwards == []


def test_a_lower_layer_that_fetches_a_higher_one_calls_upwards(little):
    low, _, meter = little
    with meter() as trips:
        low.reach()
    assert trips.upwards == [("low/base.py", "high/top.py")]


def test_a_lower_layer_that_holds_a_function_of_a_higher_one_by_name_calls_upwards(little):
    low, high, meter = little
    low.borrowed = high.work
    low.registry.append(low.borrowed)
    with meter() as trips:
        low.call_registered()
    assert trips.upwards == [("low/base.py", "high/top.py")]
