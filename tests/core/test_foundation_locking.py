"""One holds a lock or several share it, on POSIX systems and on Windows alike."""

import errno
import os

import pytest

from neuron_core.foundation import locking
from neuron_core.foundation.claims import Lock
from neuron_core.foundation.errors import ClaimedError, FileError
from neuron_core.foundation.locking import Flock, Ranges, locking_here
from neuron_core.foundation.outputs import Output
from tests.core.windows_disk import WindowsDisk


@pytest.fixture
def windows(monkeypatch):
    disk = WindowsDisk()
    disk.install(monkeypatch)
    monkeypatch.setattr(locking, "LOCKING", Ranges(disk))
    return disk


@pytest.fixture(params=["posix", "windows"])
def system(request):
    """Locks of both systems."""
    return request.getfixturevalue("windows") if request.param == "windows" else None


def is_free(path, shared=False):
    try:
        Lock(path, path.parent, shared).release()
    except ClaimedError:
        return False
    return True


def test_one_holds_a_lock_and_others_are_refused_and_learn_who_holds_it(system, tmp_path):
    path = tmp_path / ".lock"
    with Lock(path, tmp_path):
        for shared in (False, True):
            with pytest.raises(
                ClaimedError, match=rf"in use by another process \({os.getpid()} on "
            ) as caught:
                Lock(path, tmp_path, shared)
            assert caught.value.hint
        assert path.is_file()
    assert is_free(path) and not path.exists()


def test_several_share_a_lock_that_nobody_takes_alone(system, tmp_path):
    path = tmp_path / ".lock"
    first, second, third = (Lock(path, tmp_path, shared=True) for _ in range(3))
    assert not is_free(path)
    for one in (second, first):
        one.release()
        assert not is_free(path) and is_free(path, shared=True) and path.is_file()
    third.release()
    assert is_free(path) and not path.exists()


def test_who_shares_a_lock_gets_it_alone_only_while_no_other_does_and_shares_it_again(system, tmp_path):
    path = tmp_path / ".lock"
    first = Lock(path, tmp_path, shared=True)
    second = Lock(path, tmp_path, shared=True)
    with pytest.raises(ClaimedError), first.alone():
        pass
    first.release()
    with second.alone():
        assert not is_free(path, shared=True)
    assert is_free(path, shared=True) and not is_free(path)
    second.release()
    assert is_free(path)


def test_a_process_that_ends_without_letting_go_frees_its_lock(system, tmp_path):
    path = tmp_path / ".lock"
    lock = Lock(path, tmp_path)
    os.close(lock._handle)  # what the system does at the end of a process
    assert path.is_file()
    lock._handle = None
    if isinstance(locking.LOCKING, Ranges):
        locking.LOCKING._held.clear()  # the memory of that process
    assert is_free(path) and not path.exists()


def test_letting_go_twice_is_letting_go_once(system, tmp_path):
    lock = Lock(tmp_path / ".lock", tmp_path)
    lock.release()
    with Lock(tmp_path / ".lock", tmp_path):
        lock.release()
        assert not is_free(tmp_path / ".lock")


def test_an_output_is_claimed_resumed_shared_and_cleared(system, tmp_path):
    def output(views, shared=False):
        return Output(tmp_path / "out", {"views": views}, ("*.png",), shared=shared)

    with output(3).claim() as claim:
        assert claim.state == "fresh"
        (tmp_path / "out" / "a.png").write_text("")
        with pytest.raises(ClaimedError):
            output(3).claim()
    with output(3, shared=True).claim() as first, output(3, shared=True).claim() as second:
        assert (first.state, second.state) == ("resume", "resume")
        with pytest.raises(ClaimedError):
            output(4, shared=True).claim(overwrite=True)
    with output(4, shared=True).claim(overwrite=True) as claim:
        assert claim.state == "fresh" and not (tmp_path / "out" / "a.png").exists()
        claim.finish({})
    assert output(4).claim().state == "done"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["output.json"]


def test_whatever_happens_no_range_stays_locked_and_no_file_open(windows, tmp_path):
    path = tmp_path / ".lock"
    shared = [Lock(path, tmp_path, shared=True) for _ in range(locking.SLOTS)]
    with pytest.raises(ClaimedError):
        Lock(path, tmp_path, shared=True)  # all slots are taken
    for lock in shared:
        lock.release()
    with pytest.raises(ZeroDivisionError), Lock(path, tmp_path):
        raise ZeroDivisionError
    assert windows.locked == 0 and windows.handles == {} and not path.exists()


def test_a_lock_file_that_another_has_opened_meanwhile_stays_and_does_no_harm(windows, tmp_path):
    path = tmp_path / ".lock"
    lock = Lock(path, tmp_path)
    reader = os.open(path, os.O_RDONLY)
    lock.release()
    assert path.is_file()
    os.close(reader)
    assert is_free(path) and not path.exists()


@pytest.mark.parametrize(
    ("code", "granted"), [(errno.ENOSYS, True), (errno.ENOLCK, True), (errno.EIO, False)]
)
def test_a_file_system_without_locks_grants_every_claim_and_other_faults_are_errors(
    code, granted, windows, tmp_path, monkeypatch
):
    def fails(handle, mode, count):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(windows, "locking", fails)
    if granted:
        with Lock(tmp_path / ".lock", tmp_path), Lock(tmp_path / ".lock", tmp_path):
            pass
    else:
        with pytest.raises(FileError, match="Cannot write"):
            Lock(tmp_path / ".lock", tmp_path)
    assert windows.handles == {}


def test_each_system_has_its_locks_and_one_without_any_grants_every_claim(monkeypatch, tmp_path):
    assert isinstance(locking_here(), Flock)
    monkeypatch.setattr(locking, "fcntl", None)
    monkeypatch.setattr(locking, "msvcrt", WindowsDisk())
    assert isinstance(locking_here(), Ranges)
    monkeypatch.setattr(locking, "msvcrt", None)
    monkeypatch.setattr(locking, "LOCKING", locking_here())
    with Lock(tmp_path / ".lock", tmp_path), Lock(tmp_path / ".lock", tmp_path):
        assert not (tmp_path / ".lock").exists()
