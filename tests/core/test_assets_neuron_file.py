import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.assets import (
    AssetError,
    Manifest,
    digest_of,
    read_asset,
    read_header,
    read_preview,
    write_asset,
)
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.voxels.baked import from_tensors, to_tensors
from neuron_core.voxels.nvf import allocate, encode_codes, find_active
from tests.core.asset_samples import MANIFEST, png, tensors


def refusal(path: Path, match: str) -> AssetError:
    """The error that both readers give, with the file's name in it."""
    with pytest.raises(AssetError, match=match) as caught:
        read_asset(path)
    assert str(path) in caught.value.message
    assert caught.value.kind == "asset" and caught.value.hint
    return caught.value


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("asset") / "ball.neuron"
    write_asset(path, MANIFEST, tensors())
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "some.neuron"


def split(content: bytes) -> tuple[dict[str, object], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header: dict[str, object] | str | bytes, data: bytes) -> bytes:
    text = header if isinstance(header, bytes | str) else json.dumps(header)
    raw = text if isinstance(text, bytes) else text.encode()
    return len(raw).to_bytes(8, "little") + raw + data


# What is written is read


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "ball.neuron"
    written = write_asset(path, MANIFEST, tensors())
    asset = read_asset(path)
    assert asset.manifest == written == read_header(path).manifest
    assert asset.manifest.look("cafe").prompt == "Milchkaffee, matt – «café»"
    assert asset.tensors.keys() == tensors().keys()
    for name, expected in tensors().items():
        assert asset.tensors[name].dtype == expected.dtype
        np.testing.assert_array_equal(asset.tensors[name], expected)
    assert asset.group("nvf").keys() == {
        "top", "aabb", "voxel_size", "active", "density", "normals", "features",
    }  # fmt: skip


def test_the_same_content_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    write_asset(tmp_path / "a.neuron", MANIFEST, tensors())
    write_asset(tmp_path / "b.neuron", MANIFEST, dict(reversed(tensors().items())))
    assert (tmp_path / "a.neuron").read_bytes() == (tmp_path / "b.neuron").read_bytes()


def test_a_read_asset_written_again_gives_the_same_bytes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.neuron"
    path.write_bytes(content)
    asset = read_asset(path)
    write_asset(tmp_path / "b.neuron", asset.manifest, asset.tensors)
    assert (tmp_path / "b.neuron").read_bytes() == content


def test_byte_order_and_strides_in_memory_do_not_matter(content: bytes, tmp_path: Path) -> None:
    strange = {
        name: np.array(array, dtype=array.dtype.newbyteorder(">"), order="F")
        for name, array in tensors().items()
    }
    write_asset(tmp_path / "a.neuron", MANIFEST, strange)
    assert (tmp_path / "a.neuron").read_bytes() == content


def test_the_digest_sees_names_dtypes_shapes_and_bytes() -> None:
    base = {"inr.a": np.zeros((2, 4), np.float32)}
    others = [
        {"inr.b": np.zeros((2, 4), np.float32)},
        {"inr.a": np.zeros((2, 4), np.int32)},
        {"inr.a": np.zeros((4, 2), np.float32)},
        {"inr.a": np.full((2, 4), 1e-30, np.float32)},
        {"inr.a": np.zeros((2, 2), np.float32), "inr.b": np.zeros((2, 2), np.float32)},
    ]
    assert len({digest_of(item) for item in [base, *others]}) == 6


def test_a_changed_asset_keeps_its_id_and_changes_its_digest(tmp_path: Path) -> None:
    first = write_asset(tmp_path / "a.neuron", MANIFEST, tensors())
    changed = tensors() | {"inr.step": np.array(8, np.int64)}
    second = write_asset(tmp_path / "b.neuron", first, changed)
    assert second.asset_id == first.asset_id and len(first.asset_id) == 32
    assert second.digest != first.digest


def test_other_safetensors_readers_open_it_with_every_tensor_aligned(content: bytes, scratch: Path) -> None:
    from safetensors.numpy import load

    loaded = load(content)
    for name, expected in tensors().items():
        np.testing.assert_array_equal(loaded[name], expected)
    scratch.write_bytes(content)
    for name, info in read_header(scratch).tensors.items():
        assert info.start % tensors()[name].itemsize == 0


def test_tensors_of_a_read_asset_can_be_changed_without_touching_the_file(
    content: bytes, scratch: Path
) -> None:
    scratch.write_bytes(content)
    read_asset(scratch).tensors["nvf.density"][:] = 0
    assert scratch.read_bytes() == content


def test_a_baked_field_goes_through_a_file(tmp_path: Path) -> None:
    box = np.array([[-1, 0, -1], [1, 2, 1]], np.float32)
    nvf = allocate(box, 24, np.array([[0, 0, 0], [1, 1, 1], [1, 1, 2]]))  # the second brick stays empty
    nvf.density[0, 2:5, 3, 3] = 64.0
    nvf.density[2, 4, 4, 4] = 32.0
    nvf = replace(nvf, active=find_active(nvf.top, nvf.density))
    nvf.normals.reshape(-1, 3)[nvf.active] = (0.0, 1.0, 0.0)
    codes = encode_codes(np.random.default_rng(0).normal(size=(len(nvf.active), 8)).astype(np.float32))
    manifest = replace(MANIFEST, architecture={"nvf": "nvf-1"}, looks=MANIFEST.looks[1:])
    stored = {**to_tensors(nvf, {"cafe": codes}), "shader.weight": np.ones((2, 2), np.float16)}
    write_asset(tmp_path / "a.neuron", manifest, stored)
    again, looks = from_tensors(read_asset(tmp_path / "a.neuron").tensors)
    for name in ("aabb", "top", "active", "normals"):
        np.testing.assert_array_equal(getattr(again, name), getattr(nvf, name))
    np.testing.assert_allclose(again.density, nvf.density, rtol=1e-3)
    np.testing.assert_array_equal(looks["cafe"].codes, codes.codes)


def test_the_preview_is_the_png_that_was_put_in(content: bytes, scratch: Path) -> None:
    scratch.write_bytes(content)
    assert read_preview(scratch) == png()
    with pytest.raises(AssetError, match="no preview 'side'") as caught:
        read_preview(scratch, "side")
    assert "main" in caught.value.hint


def test_headers_and_previews_are_read_with_nothing_but_numpy(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.neuron"
    path.write_bytes(content)
    code = (
        "import sys; from pathlib import Path; from neuron_core.assets import read_header, read_preview\n"
        "read_header(Path(sys.argv[1])); read_preview(Path(sys.argv[1]))\n"
        "print(sorted({'safetensors', 'torch', 'warp', 'pxr'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# What cannot be read back is not written


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        (
            "nvf.density",
            np.array([1, 2, np.nan, 4, 5], np.float16),
            "nvf.density holds 1 values that are not",
        ),
        ("inr.a", np.array([np.inf], np.float32), "inr.a holds 1 values that are not finite"),
        ("nvf.density", np.ones(4, np.float16), "nvf.density has 4 rows, .* has 5"),
        ("nvf.density", np.ones(5, np.float64), "nvf.density is F64"),
        ("nvf.normals", np.zeros((5, 4), np.int8), "nvf.normals has the shape"),
        ("nvf.top", np.zeros((2, 2), np.int32), "nvf.top has 2 dimensions instead of 3"),
        ("nvf.top", np.zeros((2, 1, 1), np.int32), "nvf.top does not number its 2 bricks"),
        ("nvf.top", np.array([[[0, 2]]], np.int32), "nvf.top does not number its 2 bricks"),
        ("nvf.top", np.array([[[0, -2]]], np.int32), "nvf.top holds -2"),
        ("nvf.top", np.arange(6, dtype=np.int32)[None, None], "6 bricks, but only 5 active samples"),
        ("nvf.active", np.array([0, 5, 728, 729, 1458], np.int32), "nvf.active points at sample 1458"),
        (
            "nvf.active",
            np.array([0, 5, 5, 729, 1000], np.int32),
            "nvf.active does not list samples in ascending",
        ),
        ("nvf.active", np.array([0, 5, -5, 729, 1000], np.int32), "nvf.active holds -5"),
        ("nvf.voxel_size", np.zeros(1, np.float32), "nvf.voxel_size holds 0.0"),
        ("nvf.aabb", np.zeros((2, 3), np.float32), "nvf.aabb has sides of 0 x 0 x 0 m, .* 2 x 2 x 1 m"),
        ("nvf.voxel_size", np.array([0.25], np.float32), "nvf.top of 4 x 4 x 2 m"),
        ("looks.cafe.range", np.eye(2, 8, dtype=np.float32)[::1], "looks.cafe.range has a low end above"),
        ("looks.cafe.codes", np.zeros((5, 9), np.uint8), "looks.cafe.codes has the shape"),
        ("looks.other.codes", np.zeros((5, 8), np.uint8), "a look that its manifest does not list"),
        ("looks.cafe.extra", np.zeros((5, 8), np.uint8), "unknown tensor 'looks.cafe.extra'"),
        ("looks.a.b.codes", np.zeros((5, 8), np.uint8), "unknown tensor 'looks.a.b.codes'"),
        ("nvf.other", np.zeros(5, np.float32), "unknown tensor 'nvf.other'"),
        ("code.py", np.zeros(5, np.uint8), "unknown tensor 'code.py'"),
        ("preview.main", np.zeros(64, np.uint8), "preview.main is not a PNG"),
        ("preview.side", np.frombuffer(png(2, 2)[:-1], np.uint8), "preview.side ends in the middle"),
        ("preview.side", np.frombuffer(png(1025, 1), np.uint8), "1025x1 pixels"),
        ("preview.side", np.zeros((4 << 20) + 1, np.uint8), "preview.side has 4194305 bytes"),
        ("inr.empty", np.zeros((0, 3), np.float32), "inr.empty has the impossible shape"),
        ("inr.objects", np.array([{}], object), "inr.objects is object"),
        ("inr.complex", np.zeros(2, np.complex64), "inr.complex is complex64"),
        ("inr/../x", np.zeros(2, np.float32), "not made of words joined by dots"),
        ("__metadata__", np.zeros(2, np.float32), "not made of words joined by dots"),
    ],
)
def test_a_wrong_tensor_is_named_and_nothing_is_written(
    tmp_path: Path, name: str, array: np.ndarray, match: str
) -> None:
    path = tmp_path / "a.neuron"
    path.write_bytes(b"older")
    with pytest.raises(AssetError, match=match) as caught:
        write_asset(path, MANIFEST, tensors() | {name: array})
    assert str(path) in caught.value.message
    assert path.read_bytes() == b"older" and os.listdir(tmp_path) == ["a.neuron"]


@pytest.mark.parametrize("name", sorted(tensors()))
def test_every_tensor_that_the_manifest_promises_is_needed(tmp_path: Path, name: str) -> None:
    optional = {"nvf.features", "preview.main", "inr.step", "inr.geometry.0.weight"}
    kept = {key: value for key, value in tensors().items() if key != name}
    if name in optional:
        write_asset(tmp_path / "a.neuron", MANIFEST, kept)
    else:
        with pytest.raises(AssetError, match="lacks the tensor|no shader"):
            write_asset(tmp_path / "a.neuron", MANIFEST, kept)


def test_tensors_without_an_architecture_are_refused(tmp_path: Path) -> None:
    manifest = replace(MANIFEST, architecture={"nvf": "nvf-1"})
    with pytest.raises(AssetError, match="holds inr tensors, but its manifest names no architecture"):
        write_asset(tmp_path / "a.neuron", manifest, tensors())


# Hostile and damaged files


def hostile(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        header, data = split(content)
        result = change(header)
        return join(header, result if isinstance(result, bytes) else data)

    return apply


def entry(name: str, **fields: object) -> Callable[[bytes], bytes]:
    return hostile(lambda header: header[name].update(fields))


def metadata(**fields: object) -> Callable[[bytes], bytes]:
    prefixed = {f"neuron.{key}": value for key, value in fields.items()}
    return hostile(lambda header: header["__metadata__"].update(prefixed))


def manifest_field(key: str, value: object) -> Callable[[bytes], bytes]:
    """A manifest changed by somebody who also puts the checksum right."""

    def change(header: dict) -> None:
        manifest = json.loads(header["__metadata__"]["neuron.manifest"]) | {key: value}
        text = json.dumps(manifest, ensure_ascii=False)
        header["__metadata__"]["neuron.manifest"] = text
        header["__metadata__"]["neuron.manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()

    return hostile(change)


def bare(header: str | bytes, data: bytes = b"") -> Callable[[bytes], bytes]:
    return lambda content: join(header, data)


def moved(name: str, shift: int) -> Callable[[bytes], bytes]:
    def change(header: dict) -> None:
        header[name]["data_offsets"] = [offset + shift for offset in header[name]["data_offsets"]]

    return hostile(change)


def twin(header: dict) -> None:
    header["inr.twin"] = dict(header["inr.step"])


def gap_at_the_start(header: dict) -> None:
    for name, value in header.items():
        if name != "__metadata__":
            value["data_offsets"] = [offset + 8 for offset in value["data_offsets"]]


def one_tensor(dtype: str, shape: list, offsets: list) -> str:
    return json.dumps(
        {"__metadata__": {}, "inr.a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}
    )


HUGE = 1 << 60
DAMAGES: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda content: b"", "0 bytes, too few"),
    (lambda content: content[:5], "5 bytes, too few"),
    (lambda content: b"\xff" * 8 + content[8:], "header claims 18446744073709551615 bytes"),
    (lambda content: (17 << 20).to_bytes(8, "little") + b" " * (17 << 20), "17825792 bytes; 2 to"),
    (lambda content: b"\0" * 8 + content[8:], "header has 0 bytes"),
    (lambda content: content[:100], "header claims"),
    (lambda content: content[:-1], "ends at byte"),
    (lambda content: content + b"\0", "1 bytes follow the last tensor"),
    (lambda content: b"\0" + content, "header claims|header has"),
    (bare(b"\xff\xfe{}"), "does not start with"),
    (bare(b'{"a":"\xff"}'), "not valid JSON"),
    (bare("[]"), "does not start with"),
    (bare("{}{}"), "not valid JSON"),
    (bare("{}"), "no metadata"),
    (bare('{"__metadata__":[]}'), "no metadata"),
    (bare('{"__metadata__":{"neuron.format":1}}'), "not text"),
    (bare('{"__metadata__":{}}'), "no neuron.format"),
    (bare('{"__metadata__":{},"__metadata__":{}}'), "'__metadata__' appears twice"),
    (bare('{"__metadata__":{"a":"b","a":"c"}}'), "'a' appears twice"),
    (bare('{"a":' + "[" * 200_000 + "]" * 200_000 + "}"), "not valid JSON"),
    (bare('{"a":NaN}'), "NaN is not JSON"),
    (bare('{"a":1e999}'), "too large"),
    (bare('{"a":"\\ud800"}'), "not valid JSON"),
    (bare('{"a":' + "9" * 10_000 + "}"), "not valid JSON"),
    (bare(one_tensor("F32", [HUGE], [0, 4 * HUGE])), "impossible shape"),
    (bare(one_tensor("F32", [1 << 40], [0, 1 << 42])), "ends at byte"),
    (bare(one_tensor("U8", [1 << 40] * 8, [0, 1 << 62])), "its shape needs"),
    (bare(one_tensor("U8", [1] * 9, [0, 1])), "impossible shape"),
    (bare(one_tensor("U8", [4], [int("9" * 4000), int("9" * 4001)])), "impossible offsets"),
    (bare(one_tensor("F32", [-1, -1], [0, 4]), b"1234"), "impossible shape"),
    (bare(one_tensor("F32", [True], [0, 4]), b"1234"), "not a list of integers"),
    (bare(one_tensor("F32", [1.0], [0, 4]), b"1234"), "not a list of integers"),
    (bare(one_tensor("F32", [1], [-4, 0]), b"1234"), "impossible offsets"),
    (bare(one_tensor("F32", [1], [4, 0]), b"1234"), "impossible offsets"),
    (bare(one_tensor("F32", [1], [0, 4, 8]), b"1234"), "impossible offsets"),
    (bare(one_tensor("F32", [1], [0, 5]), b"12345"), "takes 5 bytes, its shape needs 4"),
    (bare(one_tensor("F8_E4M3", [1], [0, 1]), b"1"), "unknown dtype 'F8_E4M3'"),
    (bare('{"__metadata__":{},"inr.a":7}'), "entry of tensor inr.a"),
    (bare('{"__metadata__":{},"inr.a":{"dtype":"U8","shape":[1]}}', b"1"), "entry of tensor inr.a"),
    (bare(json.dumps({"__metadata__": {}} | {f"inr.{n}": 0 for n in range(16_385)})), "16385 tensors"),
    (hostile(twin), "overlaps"),
    (moved("inr.step", 1), "gap|overlaps"),
    (moved("preview.main", 8), "ends at byte|gap"),
    (hostile(gap_at_the_start), "ends at byte|gap"),
    (entry("inr.step", dtype="F64"), "digest differs"),
    (metadata(format="3"), "made by a newer Neuron: format 3, this one reads up to 1"),
    (metadata(format="one"), "not a version number"),
    (metadata(format="²"), "not a version number"),
    (metadata(format="9" * 5000), "not a version number"),
    (metadata(extra="x"), "unknown entry 'neuron.extra'"),
    (metadata(manifest="{"), "manifest is not valid JSON"),
    (metadata(manifest="7"), "manifest is 7, not an object"),
    (metadata(manifest='{"id":1,"id":1}'), "'id' appears twice"),
    (metadata(manifest_sha256="00"), "changed after it was written"),
    (hostile(lambda header: header["__metadata__"].pop("neuron.manifest")), "no neuron.manifest"),
    (manifest_field("architecture", {"inr": "os.system"}), "'os.system', which this version does not know"),
    (manifest_field("architecture", {"pickle": "nvf-1"}), "unknown group 'pickle'"),
    (manifest_field("name", "\x1b[2J"), "control characters"),
    (manifest_field("run", "x"), "unknown field 'run'"),
    (manifest_field("digest", "0" * 64), "digest differs"),
    (manifest_field("looks", []), "a look that its manifest does not list"),
    (
        manifest_field("looks", [{"slug": "new", "prompt": "", "details": {}}]),
        "does not list|lacks the tensor looks.new",
    ),
    (manifest_field("looks", [{"slug": "../x", "prompt": "", "details": {}}]), "not lower-case words"),
]


@pytest.mark.parametrize(("damage", "match"), DAMAGES, ids=[match[:40] for _, match in DAMAGES])
def test_a_hostile_file_is_refused_with_the_reason(
    content: bytes, scratch: Path, damage: Callable[[bytes], bytes], match: str
) -> None:
    scratch.write_bytes(damage(content))
    refusal(scratch, match)


def test_a_claim_of_enormous_tensors_allocates_nothing(scratch: Path) -> None:
    claims = [
        one_tensor("F32", [HUGE], [0, 4 * HUGE]),
        one_tensor("F32", [1 << 40], [0, 1 << 42]),
        one_tensor("U8", [1 << 40, 1 << 20], [0, 1 << 60]),
    ]
    for claim in claims:
        scratch.write_bytes(join(claim, b""))
        tracemalloc.start()
        refusal(scratch, "impossible shape|ends at byte")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20
    scratch.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    tracemalloc.start()
    refusal(scratch, "header claims")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_file_beyond_the_cap_is_refused_before_its_tensors_are_read(content: bytes, scratch: Path) -> None:
    scratch.write_bytes(content)
    with pytest.raises(AssetError, match=f"it has {len(content)} bytes; at most 1000"):
        read_asset(scratch, max_bytes=1000)


def test_a_number_in_a_tensor_that_changed_is_found_by_the_digest(content: bytes, scratch: Path) -> None:
    scratch.write_bytes(content)
    info = read_header(scratch).tensors["looks.cafe.codes"]
    scratch.write_bytes(content[: info.start] + b"\x7f" + content[info.start + 1 :])
    refusal(scratch, "digest differs")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), os.mkfifo])
def test_what_is_no_file_is_a_file_error(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "a.neuron"
    make(path)
    for read in (read_header, read_preview, read_asset):
        with pytest.raises(FileError, match=r"a\.neuron"):
            read(path)


def only_named_errors(path: Path, content: bytes) -> bool:
    """Whether all three readers accept the bytes; they may refuse them only by NeuronError."""
    path.write_bytes(content)
    accepted = 0
    for read in (read_header, read_preview, read_asset):
        try:
            read(path)
            accepted += 1
        except (AssetError, FileError):
            pass
    return accepted == 3


@given(noise=st.binary(max_size=400))
def test_random_bytes_are_never_an_asset(scratch: Path, noise: bytes) -> None:
    assert not only_named_errors(scratch, noise)
    assert not only_named_errors(scratch, join(b"{" + noise, b""))


@given(data=st.data())
def test_any_flipped_bit_is_found(content: bytes, scratch: Path, data: st.DataObject) -> None:
    for _ in range(6):
        place = data.draw(st.integers(0, len(content) - 1))
        damaged = bytearray(content)
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
        assert not only_named_errors(scratch, bytes(damaged))


@given(data=st.data())
def test_any_truncation_is_found(content: bytes, scratch: Path, data: st.DataObject) -> None:
    for _ in range(10):
        assert not only_named_errors(scratch, content[: data.draw(st.integers(0, len(content) - 1))])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data(), value=JSON)
def test_any_value_anywhere_in_the_header_is_read_or_refused(
    content: bytes, scratch: Path, data: st.DataObject, value: object
) -> None:
    header, body = split(content)
    place = data.draw(st.sampled_from(sorted(header)))
    if data.draw(st.booleans()):
        header[place] = value
    else:
        header[place][data.draw(st.sampled_from(sorted(header[place])))] = value
    only_named_errors(scratch, join(header, body))


@given(data=st.data(), value=JSON)
def test_any_value_anywhere_in_the_manifest_is_read_or_refused(
    content: bytes, scratch: Path, data: st.DataObject, value: object
) -> None:
    header, _ = split(content)
    manifest = json.loads(header["__metadata__"]["neuron.manifest"])
    key = data.draw(st.sampled_from(sorted(manifest)))
    try:
        found = Manifest.from_json(manifest | {key: value})
    except NeuronError:
        return
    again = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert Manifest.from_json(again) == found
