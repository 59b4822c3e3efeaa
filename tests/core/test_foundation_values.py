"""The small notations of the command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.foundation.values import ValueNotationError, comma_list, frames, size


@given(st.lists(st.text("abc/_-1", min_size=1), unique=True))
def test_a_list_comes_back_from_its_own_text(items):
    assert comma_list(",".join(items)) == tuple(items)


@given(st.integers(1, 16384), st.integers(1, 16384))
def test_a_size_comes_back_from_its_own_text(width, height):
    assert size(f"{width}x{height}") == (width, height)


@given(st.integers(-1000, 1000), st.integers(0, 1000), st.integers(1, 50))
def test_frames_are_those_between_both_ends_that_the_step_meets(first, count, step):
    found = list(frames(f"{first}-{first + count}x{step}"))
    assert found == [f for f in range(first, first + count + 1) if (f - first) % step == 0]


def test_one_number_is_a_square_and_one_frame():
    assert size("64") == (64, 64)
    assert list(frames("-3")) == [-3]


def test_spaces_around_items_do_not_count():
    assert comma_list(" depth , normal ") == ("depth", "normal")
    assert comma_list("  ") == ()


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (comma_list, "a,,b"),
        (comma_list, "a,b,a"),
        (size, "0x4"),
        (size, "4x"),
        (size, "99999x4"),
        (size, "٤x٤"),
        (frames, "5-1"),
        (frames, "1-5x0"),
        (frames, "1-999999999"),
        (frames, "1..5"),
    ],
)
def test_a_text_in_no_notation_is_named_and_explained(read, text):
    with pytest.raises(ValueNotationError) as caught:
        read(text)
    assert caught.value.hint
