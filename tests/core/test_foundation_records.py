"""Strict records: what is written is read back, and what is wrong is named with its place."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.foundation.checks import length, matching, text, unprintable, within
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.foundation.records import (
    Rules,
    read_record,
    read_record_file,
    read_value,
    to_plain,
    write_record,
)
from neuron_core.foundation.strict_json import canonical, parse


class RecordError(NeuronError):
    kind = "record"


class Side(Enum):
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Look:
    slug: Annotated[str, matching("[a-z]+", "a word")]
    prompt: Annotated[str, text(20)] = ""


@dataclass(frozen=True, slots=True)
class Asset:
    RECORD: ClassVar[Rules] = Rules(keys={"asset_id": "id"}, version="version", newest=2)

    asset_id: str
    box: tuple[tuple[float, float], tuple[float, float]]
    looks: Annotated[tuple[Look, ...], length(0, 3)] = ()
    side: Side = Side.LEFT
    preset: Literal["fast", "best", 3] = "fast"
    weights: Path | None = None
    value: float | tuple[float, float, float] = 0.0
    count: Annotated[int, within(0, 9)] = 0
    extra: Mapping[str, object] = field(default_factory=dict)
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Open:
    RECORD: ClassVar[Rules] = Rules(rest="more")

    name: str
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Whole:
    RECORD: ClassVar[Rules] = Rules(complete=True, unknown="drop")

    name: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A record that is kept by other rules than its own in one of two places."""

    own: Open
    other: Annotated[Asset, Rules(keys={"asset_id": "name"}, version="format", newest=5)] | None = None


ASSET = Asset(
    "a",
    ((0.0, 1.0), (2.0, 3.5)),
    (Look("gold", "polished gold"), Look("oak")),
    Side.RIGHT,
    3,
    Path("weights.bin"),
    (1.0, 0.5, 0.25),
    7,
    {"steps": [1, 2.5, None, {"deep": True}]},
    False,
)


def read_asset(content: object) -> Asset:
    return read_record(Asset, content, "asset", RecordError)


# --- round trip ---

# A type hint and values of it, whichever dataclass they end up in.
numbers = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**63) + 1, 2**63 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | integers | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
scalars: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, texts),
    (int, integers),
    (float, numbers),
    (bool, st.booleans()),
    (object, json_values),
    (Side, st.sampled_from(Side)),
    (Literal["a", 1, True], st.sampled_from(["a", 1, True])),
    (Path, st.sampled_from([Path("a"), Path("b/c.exr")])),
]


def composed(inner: st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]) -> st.SearchStrategy[Any]:
    """Hints made of hints, with the values that fit."""
    endless = inner.map(lambda one: (tuple[one[0], ...], st.lists(one[1], max_size=3).map(tuple)))
    pair = st.tuples(inner, inner).map(
        lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))
    )
    mapping = inner.map(lambda one: (Mapping[str, one[0]], st.dictionaries(texts, one[1], max_size=3)))
    optional = inner.map(lambda one: (one[0] | None, st.none() | one[1]))
    nested = st.lists(inner, min_size=1, max_size=3).map(dataclass_of)
    return st.one_of(endless, pair, mapping, optional, nested)


def dataclass_of(parts: Sequence[tuple[Any, st.SearchStrategy[Any]]]) -> tuple[Any, st.SearchStrategy[Any]]:
    names = [f"field_{index}" for index in range(len(parts))]
    entries = [(name, hint) for name, (hint, _) in zip(names, parts, strict=True)]
    kind = make_dataclass("Made", entries, frozen=True, slots=True)
    return kind, st.builds(kind, **{name: values for name, (_, values) in zip(names, parts, strict=True)})


hints = st.recursive(st.sampled_from(scalars), composed, max_leaves=5)


@given(st.lists(hints, min_size=1, max_size=4).map(dataclass_of).flatmap(lambda one: one[1]))
def test_any_record_survives_json(record: Any):
    content = json.loads(json.dumps(to_plain(record)))
    again = read_record(type(record), content, "made", RecordError)
    assert again == record
    assert canonical(to_plain(again)) == canonical(content)


@given(
    st.lists(hints, min_size=1, max_size=4).map(dataclass_of).flatmap(lambda one: one[1]),
    st.sampled_from([object(), b"x", {1}, float("nan"), 2**70]),
    st.integers(0, 3),
)
def test_what_no_json_holds_is_named_wherever_it_is(record: Any, strange: object, place: int):
    content = to_plain(record)
    key = list(content)[place % len(content)]
    with pytest.raises(RecordError, match=rf"^made\.{key}"):
        read_record(type(record), {**content, key: strange}, "made", RecordError)


def test_a_file_keeps_a_record(tmp_path: Path):
    write_record(tmp_path / "asset.json", ASSET)
    assert read_record_file(Asset, tmp_path / "asset.json", RecordError) == ASSET


def test_types_come_back_and_not_only_values():
    again = read_asset(json.loads(json.dumps(to_plain(ASSET))))
    for entry in fields(Asset):
        assert type(getattr(again, entry.name)) is type(getattr(ASSET, entry.name))
    assert is_dataclass(again.looks[0])


def test_whole_numbers_are_numbers():
    asset = read_asset(to_plain(ASSET) | {"box": [[0, 1], [2, 3]]})
    assert asset.box == ((0.0, 1.0), (2.0, 3.0))
    assert all(type(value) is float for corner in asset.box for value in corner)


# --- refusals name the place ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 3}, "asset.id is 3, not text"),
        ({"box": [[0, 1], [2]]}, r"asset.box\[1\] is a list of 1, not a list of 2"),
        ({"box": [[0, 1], [2, "x"]]}, r"asset.box\[1\]\[1\] is 'x', not a number"),
        ({"box": [[0, 1], [2, math.inf]]}, r"asset.box\[1\]\[1\] is inf, not a finite number"),
        ({"box": [[0, 1], [2, 10**400]]}, r"asset.box\[1\]\[1\] is a huge number, not a finite number"),
        ({"box": [[0, 1], [2, True]]}, r"asset.box\[1\]\[1\] is True, not a number"),
        ({"looks": {}}, "asset.looks is an object, not a list"),
        ({"looks": [{"slug": "oak"}, {"slug": "a b"}]}, r"asset.looks\[1\].slug is 'a b', not a word"),
        ({"looks": [{"slug": "oak", "prompt": "x" * 21}]}, r"asset.looks\[0\].prompt has 21 characters"),
        ({"looks": [{"slug": "oak", "prompt": "\x1b[2J"}]}, r"asset.looks\[0\].prompt holds control"),
        ({"looks": [{"prompt": "oak"}]}, r"asset.looks\[0\] has no field slug"),
        ({"looks": [{"slug": "oak", "colour": 1}]}, r"asset.looks\[0\] has the unknown field 'colour'"),
        ({"looks": [{"slug": "oak"}] * 4}, "asset.looks has 4 entries, not 0 to 3"),
        ({"side": "up"}, "asset.side is 'up'; it can be left, right"),
        ({"preset": True}, "asset.preset is True; it can be fast, best, 3"),
        ({"preset": 3.0}, "asset.preset is 3.0; it can be fast, best, 3"),
        ({"weights": 1}, "asset.weights is 1, not text"),
        ({"value": [1, 2]}, "asset.value is a list of 2, not a list of 3"),
        ({"count": 10}, "asset.count is 10, not between 0 and 9"),
        ({"count": 1.0}, "asset.count is 1.0, not an integer"),
        ({"count": 2**63}, "asset.count is .*, beyond 64 bits"),
        ({"kept": 1}, "asset.kept is 1, not true or false"),
        ({"extra": {"a": {"b": math.nan}}}, "asset.extra.a.b is nan, not a finite number"),
        ({"extra": {"a": [object()]}}, r"asset.extra.a\[0\] is a object, which JSON cannot hold"),
        ({"extra": {1: 2}}, "asset.extra has the key 1, which is not text"),
        ({"stray": 1}, "asset has the unknown field 'stray'"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(change: dict[str, object], message: str):
    with pytest.raises(RecordError, match=message):
        read_asset(to_plain(ASSET) | change)


@pytest.mark.parametrize("key", ["id", "box", "version"])
def test_what_has_no_default_may_not_be_missing(key: str):
    content = to_plain(ASSET)
    del content[key]
    with pytest.raises(RecordError, match=f"asset has no field {key}"):
        read_asset(content)


def test_defaults_fill_what_is_missing():
    short = {"version": 1, "id": "a", "box": [[0, 1], [2, 3]]}
    assert read_asset(short) == Asset("a", ((0.0, 1.0), (2.0, 3.0)))


def test_a_complete_record_lacks_nothing_and_drops_what_it_does_not_know():
    assert read_record(Whole, {"name": "a", "number": 1, "x": 2}, "whole", RecordError) == Whole("a", 1)
    with pytest.raises(RecordError, match="whole has no field number"):
        read_record(Whole, {"name": "a"}, "whole", RecordError)


def test_unknown_keys_are_kept_where_a_record_says_so():
    content = {"name": "a", "colour": [1, 2], "deep": {"x": None}}
    record = read_record(Open, content, "", RecordError)
    assert record.more == {"colour": [1, 2], "deep": {"x": None}}
    assert to_plain(record) == content


def test_a_record_can_be_kept_by_the_rules_of_where_it_is():
    record = Elsewhere(Open("a"), ASSET)
    content = to_plain(record)
    assert isinstance(content["other"], dict)
    assert content["other"]["name"] == "a" and content["other"]["format"] == 5
    assert read_record(Elsewhere, content, "", RecordError) == record
    assert read_record(Elsewhere, to_plain(Elsewhere(Open("a"))), "", RecordError).other is None
    with pytest.raises(RecordError, match="^other has no field name"):
        read_record(Elsewhere, {**content, "other": {**to_plain(ASSET), "format": 5}}, "", RecordError)


def test_a_check_can_say_where_inside_a_value_it_fails():
    with pytest.raises(RecordError, match=r"^free\.a\[1\]\.b holds control characters"):
        hint = Annotated[object, unprintable]
        read_value(hint, {"a": [1, {"b": "\x07"}]}, "free", RecordError)


def test_a_newer_version_is_refused_before_its_other_fields():
    with pytest.raises(
        RecordError, match="asset has version 3; this Neuron reads versions up to 2"
    ) as caught:
        read_asset({"version": 3, "looks": "of another kind"})
    assert "Update" in caught.value.hint


def test_no_place_at_the_top_reads_as_a_sentence():
    with pytest.raises(RecordError, match="The content is a list, not an object"):
        read_record(Asset, [], "", RecordError)
    with pytest.raises(RecordError, match=r"^looks\[0\] is 5, not an object"):
        read_record(Asset, to_plain(ASSET) | {"looks": [5]}, "", RecordError)


def test_what_a_class_refuses_itself_gets_the_place():
    @dataclass(frozen=True)
    class Ordered:
        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low lies above high")

    @dataclass(frozen=True)
    class Holder:
        parts: tuple[Ordered, ...]

    with pytest.raises(RecordError, match=r"^holder\.parts\[0\]: low lies above high\."):
        read_record(Holder, {"parts": [{"low": 2, "high": 1}]}, "holder", RecordError)


def test_errors_keep_the_hint_that_they_are_made_with():
    refuse = partial(RecordError, hint="Publish it again.")
    with pytest.raises(RecordError) as caught:
        read_record(Asset, 5, "asset", refuse)
    assert caught.value.hint == "Publish it again."


def test_deep_content_is_refused_before_python_gives_up():
    deep: object = 0
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(RecordError, match="nested too deeply"):
        read_value(object, deep, "deep", RecordError)


# --- JSON text ---


@pytest.mark.parametrize(
    "content", [b'{"a": 1, "a": 1}', b"[NaN]", b"[1e999]", b'"\\ud800"', b"\xff", b"{", b"[" * 100_000]
)
def test_json_with_two_meanings_is_refused(content: bytes):
    with pytest.raises(RecordError, match="file.json is not valid JSON"):
        parse(content, "file.json", RecordError)


def test_an_error_in_a_file_names_the_file_and_the_place(tmp_path: Path):
    path = tmp_path / "asset.json"
    path.write_text(json.dumps({**to_plain(ASSET), "looks": [{"slug": 3}]}))
    hinted = partial(RecordError, hint="Publish it again.")
    with pytest.raises(RecordError, match=r"asset\.json: looks\[0\]\.slug is 3, not text") as caught:
        read_record_file(Asset, path, hinted)
    assert caught.value.hint == "Publish it again."
    path.write_text(json.dumps({"version": 9}))
    with pytest.raises(RecordError, match=r"asset\.json has version 9") as caught:
        read_record_file(Asset, path, hinted)
    assert "Update" in caught.value.hint


def test_a_missing_file_is_a_file_error(tmp_path: Path):
    with pytest.raises(FileError):
        read_record_file(Asset, tmp_path / "none.json", RecordError)


@given(json_values)
def test_canonical_text_parses_to_the_value(value: object):
    assert parse(canonical(value), "value", RecordError) == value
