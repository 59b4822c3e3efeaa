"""Stacks of edits: nothing is lost, everything can be taken back, and axes go through known words."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.materials.grammar_tables import AXES
from neuron_core.prompts import EncoderId, PromptError
from neuron_core.prompts.edits import (
    MOST_EDITS,
    Edit,
    axis_of,
    moved,
    pushed,
    read_stack,
    switched,
    taken_back,
    understood,
    write_stack,
)
from neuron_core.prompts.steering import Blend, along_axis, axis_level, steered

EDITS = st.one_of(
    st.builds(Edit, st.just("axis"), st.sampled_from(AXES), st.floats(-1, 1), st.booleans()),
    st.builds(Edit, st.just("mix"), st.sampled_from(["gold", "oak wood"]), st.floats(0, 1), st.booleans()),
    st.builds(Edit, st.just("prompt"), st.just("silver"), st.floats(0, 2), st.booleans()),
)
STACKS = st.lists(EDITS, max_size=5).map(tuple)


class WordCounter:
    """An encoder whose vectors count words: what two prompts share, their vectors share."""

    id = EncoderId("counter", "0" * 64)
    width = 64

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(prompts), self.width), np.float32)
        for row, prompt in zip(rows, prompts, strict=True):
            for word in prompt.replace(",", " ").split():
                row[sum(map(ord, word)) % self.width] += 1.0
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        return ()


ENCODER = WordCounter()


@given(STACKS)
def test_a_stack_survives_json_and_leaves_other_details_alone(stack):
    details = {"material": "gold", "supported": True}
    written = write_stack(details, stack)
    assert read_stack(written) == stack
    assert {k: v for k, v in written.items() if k != "edits"} == details
    assert write_stack(written, ()) == details


@given(STACKS, STACKS)
def test_what_was_pushed_can_be_taken_back(stack, more):
    assert taken_back(pushed(stack, more), len(more)) == stack


@given(st.lists(EDITS, min_size=2, max_size=5).map(tuple), st.data())
def test_moving_and_switching_can_be_undone(stack, data):
    places = st.integers(1, len(stack))
    first, second = data.draw(places), data.draw(places)
    assert moved(moved(stack, first, second), second, first) == stack
    assert sorted(map(repr, moved(stack, first, second))) == sorted(map(repr, stack))
    was = stack[first - 1].enabled
    assert switched(switched(stack, first, not was), first, was) == stack


@pytest.mark.parametrize(
    ("kind", "text", "amount"),
    [
        ("prompt", "gold", 2.1), ("mix", "gold", -0.1), ("mix", "gold", float("nan")),
        ("axis", "wear", 1.5), ("axis", "beauty", 0.5), ("prompt", "", 1.0), ("prompt", "\x00", 1.0),
        ("prompt", "gold " * 3000, 1.0),
    ],
)  # fmt: skip
def test_edits_that_cannot_be_are_refused_with_a_hint(kind, text, amount):
    with pytest.raises(PromptError) as caught:
        Edit(kind, text, amount)
    assert caught.value.hint


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"kind": "axis"},
        {"kind": "paint", "text": "x", "amount": 1.0, "enabled": True},
        {"kind": "axis", "text": "wear", "amount": "1", "enabled": True},
    ],
)
def test_damaged_edits_are_refused(value):
    with pytest.raises(PromptError):
        read_stack({"edits": [value]})


def test_places_outside_the_stack_and_too_many_edits_are_refused():
    stack = (Edit("axis", "wear", 0.5),)
    for act in (
        lambda: switched(stack, 2, False),
        lambda: moved(stack, 1, 2),
        lambda: taken_back(stack, 2),
        lambda: pushed(stack, stack * MOST_EDITS),
    ):
        with pytest.raises(PromptError):
            act()


@pytest.mark.parametrize(
    ("text", "axis", "amount"),
    [
        ("more worn", "wear", 1 / 3),
        ("less dirty", "dirt", -1 / 3),
        ("much more weathered", "wear", 2 / 3),
        ("a bit more wet", "wetness", 1 / 6),
        ("MORE  worn", "wear", 1 / 3),
    ],
)
def test_more_and_less_go_along_an_axis(text, axis, amount):
    edit = understood(text, 1.0)
    assert (edit.kind, edit.text, edit.amount) == ("axis", axis, pytest.approx(amount))
    assert understood("more banana", 1.0).kind == "prompt"
    assert axis_of("banana") == ""


def single(prompt: str) -> Blend:
    return Blend(np.ones(1, np.float32), ENCODER.encode([prompt]))


def assert_same(blend: Blend, expected: Blend) -> None:
    np.testing.assert_allclose(blend.weights, expected.weights, atol=1e-6)
    np.testing.assert_allclose(blend.vectors, expected.vectors, atol=1e-6)


def test_without_edits_a_prompt_is_itself():
    assert_same(steered(ENCODER, "gold, worn", ()), single("gold, worn"))
    assert_same(steered(ENCODER, "gold", (Edit("axis", "wear", 0.5, enabled=False),)), single("gold"))


def test_a_mix_blends_and_a_whole_one_arrives():
    assert_same(steered(ENCODER, "gold", (Edit("mix", "oak wood", 1.0),)), single("oak wood"))
    assert_same(steered(ENCODER, "gold", (Edit("mix", "oak wood", 0.0),)), single("gold"))
    both = Blend(np.array([0.75, 0.25], np.float32), ENCODER.encode(["gold", "oak wood"]))
    assert_same(steered(ENCODER, "gold", (Edit("mix", "oak wood", 0.25),)), both)


def test_more_than_the_whole_of_a_prompt_is_a_prompt_beyond_it():
    there, here = ENCODER.encode(["silver", "gold"])
    beyond = here + 1.5 * (there - here)
    expected = Blend(np.ones(1, np.float32), (beyond / np.linalg.norm(beyond))[None])
    assert_same(steered(ENCODER, "gold", (Edit("prompt", "silver", 1.5),)), expected)


@given(STACKS)
def test_blends_sum_to_one_look_and_depend_on_nothing_else(stack):
    blend = steered(ENCODER, "copper, brushed", stack)
    assert blend.weights.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(blend.vectors, axis=1), 1.0, atol=1e-5)
    assert len(np.unique(blend.vectors, axis=0)) == len(blend.vectors)
    again = steered(WordCounter(), "copper, brushed", stack)
    np.testing.assert_array_equal(blend.weights, again.weights)
    np.testing.assert_array_equal(blend.vectors, again.vectors)


def test_sliders_begin_where_the_prompt_is():
    assert axis_level("copper, brushed", "wear") == 0.0
    assert axis_level("copper, slightly worn", "wear") == pytest.approx(1 / 3)
    assert axis_level("copper, heavily worn, dirty", "wear") == 1.0
    assert axis_level("wornington", "wear") == 0.0
    assert_same(steered(ENCODER, "copper, worn", (Edit("axis", "wear", -1.0),)), single("copper"))


def test_an_axis_passes_through_the_words_of_the_grammar():
    for level, text in ((0.0, "gold"), (1 / 3, "gold, slightly worn"), (1.0, "gold, heavily worn")):
        assert_same(along_axis(ENCODER, "gold, worn", "wear", level), single(text))
    half = Blend(np.array([0.5, 0.5], np.float32), ENCODER.encode(["gold", "gold, slightly worn"]))
    assert_same(along_axis(ENCODER, "gold", "wear", 1 / 6), half)
