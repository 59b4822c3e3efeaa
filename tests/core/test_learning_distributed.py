"""Several processes train as one, and a process that is lost is named."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from neuron_core.foundation.interrupts import Stopped
from neuron_core.learning.distributed import DistributedError, Group, Placement, Signals, joined
from tests.core import learning_laws as laws
from tests.core.toy_objectives import CPU, SETUPS

PROJECT = Path(__file__).resolve().parents[2]

# What each process does: all that can be asked of two in one go, as starting them is what takes time.
WORKER = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from neuron_core.foundation.interrupts import Stopped
from neuron_core.learning.distributed import DistributedError, Group, joined
from neuron_core.learning.finite import DivergedError
from neuron_core.learning.run_folder import RunFolder
from tests.core import learning_laws as laws
from tests.core.toy_objectives import SETUPS

out = Path(sys.argv[1])

def train(name, folder, **changes):
    setup = SETUPS[name]()
    loop = laws.loop_of(setup, folder, placement=placement, **changes)
    loop.folder = RunFolder(folder, "toy", ranks=2, writes=placement.first)
    outcome = loop.run(setup.validate)
    return setup, outcome

def work():
    rank = placement.rank
    for name in ("gan", "judged"):
        setup, _ = train(name, out / name)
        save_file(laws.bits(setup), out / f"{name}-{rank}.safetensors")

    def kill(position, metrics):
        if position.total == 3:
            raise laws.Killed
    try:
        train("gan", out / "resumed", observe=kill)
    except laws.Killed:
        pass
    setup, _ = train("gan", out / "resumed")
    save_file(laws.bits(setup), out / f"resumed-{rank}.safetensors")

    group = Group(placement, grace=1.0)
    try:
        group.require_same({"objective": 7, "module.net": rank})
    except DistributedError as error:
        (out / f"apart-{rank}.txt").write_text(str(error))

    setup = SETUPS["fit"]()
    if rank == 1:
        inner = setup.objectives["fit"]
        setup.objectives = {"fit": lambda: laws.Poisoned(inner(), "error", 1)}
    try:
        laws.loop_of(setup, out / f"nan-{rank}", placement=placement).run()
    except DivergedError as error:
        (out / f"nan-{rank}.txt").write_text(str(error))

    if rank == 1:
        os._exit(9)
    try:
        group.from_first(0)
        train("fit", out / "lost")
    except DistributedError as error:
        (out / f"lost-{rank}.txt").write_text(str(error))
    raise Stopped(15)

try:
    with joined("cpu", timeout=60.0) as placement:
        work()
except DistributedError as error:
    (out / f"stopped-{placement.rank}.txt").write_text(str(error))
os._exit(0)
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes left; both were started as torchrun does it."""
    out = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(out)],
            cwd=PROJECT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 9], "\n".join(said)
    return out


def weights(path):
    from neuron_core.learning.stored import load_tensors

    return load_tensors(path)[0]


@pytest.mark.parametrize("name", ["gan", "judged"])
def test_two_processes_train_as_one_with_the_whole_batch(two, name, tmp_path):
    alone = SETUPS[name]()
    laws.train(alone, tmp_path)
    first, second = (weights(two / f"{name}-{rank}.safetensors") for rank in (0, 1))
    laws.assert_same_bits(second, first)
    for key, value in laws.bits(alone).items():
        torch.testing.assert_close(first[key], value, rtol=1e-5, atol=1e-5)


def test_two_processes_resume_bit_for_bit(two):
    laws.assert_same_bits(weights(two / "resumed-0.safetensors"), weights(two / "gan-0.safetensors"))
    laws.assert_same_bits(weights(two / "resumed-1.safetensors"), weights(two / "gan-0.safetensors"))


def test_only_the_first_process_writes(two):
    assert (two / "gan" / "metrics.jsonl").read_text().count("\n") == 5


def test_processes_that_hold_different_values_are_named_by_them(two):
    for rank in (0, 1):
        assert "different values of module.net" in (two / f"apart-{rank}.txt").read_text()


def test_a_nan_of_one_process_ends_all_of_them(two):
    assert "step 1 of the fit phase: error is NaN" in (two / "nan-1.txt").read_text()
    assert "step 1 in another process" in (two / "nan-0.txt").read_text()


def test_a_lost_process_is_named(two):
    assert (two / "lost-0.txt").read_text() == "Process 1 of 2 stopped answering."


def test_who_is_asked_to_stop_because_another_is_lost_names_the_other(two):
    assert (two / "stopped-0.txt").read_text() == "Process 1 of 2 stopped answering."


def test_who_is_asked_to_stop_alone_stops(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Stopped), joined("cpu"):
        raise Stopped(15)


def test_a_single_process_never_communicates_and_changes_nothing():
    gradient = torch.randn(5)
    before = gradient.clone()
    group = Group(Placement(CPU))
    group.mean([gradient], Signals(stop=True))
    group.require_same({"anything": 1})
    assert torch.equal(gradient, before) and group.from_first("mine") == "mine"


def test_without_torchrun_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with joined("cpu") as placement:
        assert placement == Placement(CPU)


@pytest.mark.parametrize("text", ["two", "-1", "0"])
def test_a_count_that_is_not_one_is_refused(monkeypatch, text):
    monkeypatch.setenv("WORLD_SIZE", text)
    with pytest.raises(DistributedError, match="WORLD_SIZE"), joined("cpu"):
        pass
