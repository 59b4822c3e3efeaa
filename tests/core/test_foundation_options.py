"""What configs say of their fields: help as the command line shows it, types, ranges."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import pytest

from neuron_core.cli.arguments import HelpRequested, parse
from neuron_core.cli.registry import TASKS, config_of
from neuron_core.foundation.checks import within
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.options import Option, check_ranges, help_of, options_of


@dataclass(frozen=True)
class Sample:
    """A config with a field of every kind."""

    out: Path
    """Where it goes,
    on two lines."""
    kind: Literal["one", "two"] = "two"
    """Which of two."""
    prompts: tuple[str, ...] = ()
    count: Annotated[int, within(1, 8)] = 4
    """How many."""
    share: Annotated[float | None, within(0.0, 1.0)] = None
    """How much."""
    quiet: bool = False
    """Say nothing."""


def test_fields_say_their_type_default_choices_and_range():
    assert list(options_of(Sample).values()) == [
        Option("out", Path, MISSING),
        Option("kind", str, "two", choices=("one", "two")),
        Option("prompts", str, (), many=True),
        Option("count", int, 4, limits=within(1, 8)),
        Option("share", float, None, optional=True, limits=within(0.0, 1.0)),
        Option("quiet", bool, False),
    ]
    assert [option.name for option in options_of(Sample).values() if option.required] == ["out"]


def test_the_help_of_a_field_is_the_text_below_it_on_one_line():
    assert list(help_of(Sample).values()) == [
        "Where it goes, on two lines.",
        "Which of two.",
        "",
        "How many.",
        "How much.",
        "Say nothing.",
    ]


@pytest.mark.parametrize("task", TASKS, ids=[task.name for task in TASKS])
def test_the_command_line_shows_the_same_help_and_every_option_has_one(task):
    config = config_of(task.name)
    with pytest.raises(HelpRequested) as shown:
        parse(task, ["--help"])
    text = "".join(str(shown.value).split())  # lines break at hyphens too
    assert list(help_of(config)) == [field.name for field in fields(config)]
    for name, help_text in help_of(config).items():
        assert help_text and "".join(help_text.split()) in text, name


@pytest.mark.parametrize(("count", "share"), [(0, None), (9, 0.5), (4, -0.1), (4, 1.5), (4, float("nan"))])
def test_a_number_out_of_its_range_is_an_error_with_the_range(count, share):
    with pytest.raises(NeuronError, match=r"of a sample cannot be") as caught:
        check_ranges(Sample(Path(), count=count, share=share), "a sample")
    assert caught.value.hint in ("Give 1 to 8.", "Give 0.0 to 1.0.")


@pytest.mark.parametrize(("count", "share"), [(1, None), (8, 0.0), (4, 1.0)])
def test_the_ends_of_a_range_and_nothing_at_all_are_in_it(count, share):
    check_ranges(Sample(Path(), count=count, share=share), "a sample")
