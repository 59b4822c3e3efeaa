"""The limits that tests run under are limits of work, not of time."""

import time

import pytest

from tests.patience import TooMuchWork, limited, wait_until


def test_work_without_end_is_stopped() -> None:
    with pytest.raises(TooMuchWork, match="0.05 seconds of processor time"), limited(0.05, poll=0.01):
        while True:
            pass


def test_waiting_is_no_work() -> None:
    with limited(0.05, poll=0.01):
        time.sleep(0.2)


def test_waiting_ends_when_the_condition_holds() -> None:
    answers = iter([False, False, True])
    wait_until(lambda: next(answers))
    assert next(answers, None) is None
