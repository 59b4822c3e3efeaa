import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.assets import ARCHITECTURES, AssetError, Look, Manifest, is_slug, slug_of
from neuron_core.foundation.records import to_plain
from neuron_core.prompts import EncoderId

MANIFEST = Manifest(
    name="ball",
    aabb=((0.0, 0.0, 0.0), (1.0, 2.0, 3.0)),
    architecture={"inr": "neuron-field-1"},
    looks=(Look("gold", "polished gold", {"seed": 1}),),
    encoder=EncoderId("embedded", "0" * 64),
    metrics={"psnr": 30.5, "views": [1, 2], "nested": {"a": None, "b": True}},
    asset_id="0" * 32,
    digest="f" * 64,
)


def through_json(manifest: Manifest) -> Manifest:
    return Manifest.from_json(json.loads(json.dumps(manifest.to_json())))


def test_a_manifest_survives_json() -> None:
    assert through_json(MANIFEST) == MANIFEST
    assert through_json(replace(MANIFEST, encoder=None, looks=())).encoder is None


@pytest.mark.parametrize("key", sorted(MANIFEST.to_json()))
def test_every_field_is_needed_and_has_one_type(key: str) -> None:
    content = {name: value for name, value in MANIFEST.to_json().items() if name != key}
    with pytest.raises(AssetError, match=f"manifest has no field {key}"):
        Manifest.from_json(content)
    with pytest.raises(AssetError, match=rf"manifest\.{key}"):
        Manifest.from_json(content | {key: 1.5})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": " "}, "name is empty"),
        ({"name": "x" * 257}, "name has 257 characters"),
        ({"name": "a\u202eb"}, "name holds control characters"),
        ({"version": 0}, "version is 0, not between 1"),
        ({"version": True}, "version is True, not an integer"),
        ({"units": "cm"}, "units is 'cm'; it can be m"),
        ({"up_axis": "Z"}, "up_axis is 'Z'; it can be Y"),
        ({"aabb": [[0, 0, 0], [1, 0, 1]]}, "aabb is empty"),
        ({"aabb": [[0, 0, 0], [1, 1, 1e9]]}, "aabb reaches 1000000000.0 m"),
        ({"aabb": [[0, 0], [1, 1]]}, r"aabb\[0\] is a list of 2, not a list of 3"),
        ({"aabb": [[0, 0, 0], [1, 1, True]]}, r"aabb\[1\]\[2\] is True, not a number"),
        ({"aabb": [[0, 0, 0], [1, 1, 10**400]]}, r"aabb\[1\]\[2\] is a huge number"),
        ({"architecture": {}}, "architecture has 0 entries"),
        ({"architecture": {"inr": "neuron-field-9"}}, "It knows neuron-field-1"),
        ({"architecture": {"inr": ["neuron-field-1"]}}, "architecture.inr is a list, not text"),
        ({"encoder": {"id": "", "digest": "0" * 64}}, "encoder.id is empty"),
        ({"encoder": {"id": "a", "digest": "xyz"}}, "encoder.digest is 'xyz'"),
        ({"digest": ""}, "digest is ''"),
        ({"id": "../../x"}, "id is '../../x'"),
        ({"metrics": {"a": float("nan")}}, "metrics.a is nan"),
        ({"metrics": {"a": [0, 1 << 80]}}, r"metrics.a\[1\] is .* beyond 64 bits"),
        (
            {"provenance": {"a\x1b": 1}},
            r"provenance has the key 'a.x1b', which holds control",
        ),
        ({"provenance": {"a": ["\x07"]}}, r"provenance.a\[0\] holds control characters"),
        ({"looks": {}}, "looks is an object, not a list"),
        ({"looks": [to_plain(MANIFEST.looks[0])] * 2}, "two looks named gold"),
        ({"looks": [{"slug": "gold", "prompt": "x"}]}, r"looks\[0\] has no field details"),
        ({"looks": ["gold"]}, r"looks\[0\] is 'gold', not an object"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], match: str) -> None:
    with pytest.raises(AssetError, match=match):
        Manifest.from_json(MANIFEST.to_json() | changes)


def test_deeply_nested_data_is_refused() -> None:
    deep: object = 0
    for _ in range(50):
        deep = [deep]
    with pytest.raises(AssetError, match="nested too deeply"):
        Manifest.from_json(MANIFEST.to_json() | {"metrics": {"a": deep}})


def test_free_data_takes_tuples_and_numpy_float64_but_no_arrays() -> None:
    manifest = replace(MANIFEST, metrics={"a": (1, 2), "b": np.float64(0.5)})
    assert Manifest.from_json(manifest.to_json()).metrics == {"a": [1, 2], "b": 0.5}
    with pytest.raises(AssetError, match="metrics.a is a ndarray, which JSON cannot hold"):
        Manifest.from_json(replace(MANIFEST, metrics={"a": np.zeros(2)}).to_json())


def test_an_unknown_look_names_those_there_are() -> None:
    assert MANIFEST.look("gold").prompt == "polished gold"
    with pytest.raises(AssetError, match="no look 'silver'") as caught:
        MANIFEST.look("silver")
    assert "gold" in caught.value.hint


def test_a_look_is_found_by_its_name_or_its_prompt() -> None:
    looks = (Look("gold", "polished gold"), Look("worn_oak", "Oak, worn"), Look("gold_2", "gold"))
    manifest = replace(MANIFEST, looks=looks)
    for wanted in ("worn_oak", "worn-oak", " Oak, WORN "):
        assert manifest.find_look(wanted) == looks[1]
    assert manifest.find_look("gold") == looks[0]
    assert manifest.look_of_prompt("Gold") == looks[2]
    assert manifest.find_look("silver") is manifest.look_of_prompt("worn_oak") is None
    assert manifest.listed_looks().startswith("gold (polished gold); worn_oak")


def test_the_registry_is_closed() -> None:
    assert all(isinstance(names, frozenset) for names in ARCHITECTURES.values())


@given(text=st.text(max_size=120))
def test_any_text_becomes_a_slug_that_is_not_taken(text: str) -> None:
    first = slug_of(text)
    second = slug_of(text, {first})
    third = slug_of(text, {first, second})
    assert all(is_slug(slug) for slug in (first, second, third))
    assert len({first, second, third}) == 3
    assert slug_of(text) == first


def test_a_slug_can_be_recognized_and_is_its_own_slug() -> None:
    assert slug_of("Brushed copper, worn") == "brushed_copper_worn"
    assert slug_of("brushed_copper_worn") == "brushed_copper_worn"
    assert slug_of("18k gold") == "look_18k_gold"
    assert slug_of("Café") == "cafe"


@pytest.mark.parametrize(
    "text", ["", "A", "a-b", "a__b", "_a", "a_", "1a", "a.b", "../a", "a" * 65, "é", "a\n"]
)
def test_what_is_no_slug_is_known(text: str) -> None:
    assert not is_slug(text)
