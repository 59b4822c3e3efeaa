"""`neuron look`: new looks are what the field says, edits destroy nothing, and undo is bit-exact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.assets import AssetError, Look, Manifest, read_asset, write_asset
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.images.pictures import decode_image
from neuron_core.models.field import stored
from neuron_core.models.field.looks import LookMaker, distinct_places
from neuron_core.models.field.model import Field
from neuron_core.models.field.spec import ARCHITECTURE
from neuron_core.models.field.voxelize import codes_of, voxelize
from neuron_core.prompts import EncoderId, PromptError, load_encoder
from neuron_core.tasks.look.config import LookConfig
from neuron_core.tasks.look.run import run
from neuron_core.voxels.baked import from_tensors, to_tensors
from neuron_core.voxels.nvf import Nvf, encode_codes, sample_positions
from tests.core.small_fields import small_field

RESOLUTION = 20


def box_of(field: Field) -> np.ndarray:
    center = np.array(field.spec.center, np.float32)
    return np.stack([center - 0.3, center + 0.3])


def field_of_a_ball() -> Field:
    """Random material branch; geometry taught by a few steps to be about a ball."""
    torch.manual_seed(5)
    field = Field(replace(small_field().spec, prompt_width=load_encoder("embedded").width))
    torch.nn.init.uniform_(field.material.grid.tables, -1.0, 1.0)
    optimizer = torch.optim.Adam(field.geometry.parameters(), 1e-2)
    random = torch.Generator().manual_seed(0)
    for _ in range(150):
        points = torch.rand(512, 3, generator=random)
        local = points - 0.5
        distance = local.norm(dim=-1)
        out = field.geometry(points)
        normals = local / distance[:, None].clamp_min(1e-3)
        loss = (out.values - (distance - 0.3)).abs().mean() + (out.normals - normals).norm(dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return field.eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    field, encoder = field_of_a_ball(), load_encoder()
    nvf = voxelize(field, box_of(field), RESOLUTION)
    vectors = torch.from_numpy(encoder.encode(["gold, polished", "oak wood, grained"]))
    codes = [encode_codes(part) for part in codes_of(field, nvf, vectors)]
    looks = (Look("gold", "gold, polished", {"material": "gold"}), Look("oak", "oak wood, grained"))
    low, high = box_of(field).astype(float).tolist()
    manifest = Manifest(
        name="ball",
        aabb=(tuple(low), tuple(high)),
        architecture={"inr": ARCHITECTURE, "nvf": "nvf-1"},
        looks=looks,
        encoder=encoder.id,
        settings={"field": field.spec.to_json(), "resolution": RESOLUTION},
    )
    tensors = {
        **to_tensors(nvf, dict(zip(("gold", "oak"), codes, strict=True))),
        **stored.to_tensors(field),
    }
    path = tmp_path_factory.mktemp("look") / "ball.neuron"
    write_asset(path, manifest, tensors)
    return path


@pytest.fixture
def asset(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "ball.neuron"
    path.write_bytes(made.read_bytes())
    return path


def look(path: Path, **options: object) -> dict[str, object]:
    return run(LookConfig(path, out=path, **options), Silent())


def nvf_of(path: Path) -> tuple[Field, Nvf]:
    field, _, _ = stored.load_field(path)
    return field, from_tensors(read_asset(path).tensors)[0]


# ---- codes


def test_codes_are_those_of_the_field(made):
    field, nvf = nvf_of(made)
    vector = load_encoder().encode(["copper, brushed, worn"])
    slow = encode_codes(codes_of(field, nvf, torch.from_numpy(vector))[0])
    fast = LookMaker(field, nvf).codes(vector[0])
    np.testing.assert_allclose(
        fast.decoded(), slow.decoded(), atol=2 * float((slow.high - slow.low).max()) / 255
    )


def test_blended_codes_are_the_sum_of_those_of_prompts(made):
    field, nvf = nvf_of(made)
    maker, vectors = LookMaker(field, nvf), load_encoder().encode(["gold", "oak wood, grained"])
    weights = np.array([1.25, -0.25], np.float32)
    blended = maker.blended(vectors, weights)
    parts = [maker.codes(vector) for vector in vectors]
    expected = sum(w * part.decoded() for w, part in zip(weights, parts, strict=True))
    steps = [float((part.high - part.low).max()) / 255 for part in (*parts, blended)]
    np.testing.assert_allclose(blended.decoded(), expected, atol=float(np.dot([0.7, 0.2, 0.6], steps)))
    np.testing.assert_array_equal(maker.blended(vectors[:1], np.ones(1, np.float32)).codes, parts[0].codes)


def test_codes_have_the_same_bits_on_any_number_of_threads(made):
    field, nvf = nvf_of(made)
    maker, vector = LookMaker(field, nvf), load_encoder().encode(["gold"])[0]
    first = maker.codes(vector)
    threads = torch.get_num_threads()
    torch.set_num_threads(3 if threads == 1 else 1)
    try:
        np.testing.assert_array_equal(maker.codes(vector).codes, first.codes)
    finally:
        torch.set_num_threads(threads)


def test_places_are_asked_once_and_none_is_lost(made):
    _, nvf = nvf_of(made)
    places, rows = distinct_places(nvf)
    np.testing.assert_array_equal(places[rows], sample_positions(nvf).reshape(-1, 3)[nvf.active])
    assert len(np.unique(places, axis=0)) == len(places) < len(nvf.active)


# ---- new looks


def test_a_new_look_leaves_everything_else_bit_for_bit(asset):
    before = read_asset(asset)
    result = look(asset, prompt="copper, brushed, worn")
    after = read_asset(asset)
    assert result["new"] and [item.slug for item in after.manifest.looks] == [
        "gold",
        "oak",
        "copper_brushed_worn",
    ]
    for name, array in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], array)
    assert after.manifest.asset_id == before.manifest.asset_id
    assert not np.array_equal(
        after.tensors["looks.copper_brushed_worn.codes"], before.tensors["looks.gold.codes"]
    )


def test_the_same_command_again_changes_nothing(asset):
    look(asset, prompt="copper, brushed, worn")
    content = asset.read_bytes()
    assert look(asset, prompt="copper, brushed, worn")["written"] is False
    assert asset.read_bytes() == content


def test_another_file_is_not_replaced_unasked(asset, tmp_path):
    out = tmp_path / "other.neuron"
    run(LookConfig(asset, "silver", out=out), Silent())
    assert run(LookConfig(asset, "silver", out=out), Silent())["written"] is False
    with pytest.raises(ConfigMismatchError):
        run(LookConfig(asset, "bronze", out=out), Silent())
    assert run(LookConfig(asset, "bronze", out=out, overwrite=True), Silent())["written"] is True


def test_a_preview_is_a_picture_and_leaves_the_asset_alone(asset, tmp_path):
    content = asset.read_bytes()
    picture = tmp_path / "look.png"
    result = run(LookConfig(asset, "copper, worn", preview=picture, size=32), Silent())
    assert result["asset"] is None and asset.read_bytes() == content
    pixels = decode_image(picture)
    assert pixels.shape[:2] == (32, 32) and np.asarray(pixels, float).std() > 0


# ---- edits


@pytest.mark.parametrize(
    "options",
    [
        {"slider": ("wear=0.6",)},
        {"mix": ("oak=0.5",)},
        {"prompt": "more dirty"},
        {"prompt": "silver, satin", "weight": 0.5},
        {"slider": ("wear=0.6", "dirt=0.3"), "mix": ("oak wood=0.2",)},
    ],
)
def test_undo_gives_back_every_byte(asset, options):
    content = asset.read_bytes()
    edited = look(asset, look="gold", **options)
    assert asset.read_bytes() != content
    look(asset, look="gold", undo=len(edited["edits"]))
    assert asset.read_bytes() == content


def test_every_state_of_the_stack_comes_back_bit_for_bit(asset):
    states = [asset.read_bytes()]
    for options in ({"slider": ("wear=0.5",)}, {"mix": ("oak=0.3",)}, {"prompt": "less worn"}):
        look(asset, look="gold", **options)
        states.append(asset.read_bytes())
    for state in states[-2::-1]:
        look(asset, look="gold", undo=1)
        assert asset.read_bytes() == state


def test_an_edit_that_is_off_shows_the_look_without_it(asset):
    base = read_asset(asset).tensors["looks.gold.codes"]
    look(asset, look="gold", slider=("wear=0.8",))
    worn = asset.read_bytes()
    look(asset, look="gold", disable=(1,))
    off = read_asset(asset)
    np.testing.assert_array_equal(off.tensors["looks.gold.codes"], base)
    assert off.manifest.look("gold").details["edits"][0]["enabled"] is False
    look(asset, look="gold", enable=(1,))
    assert asset.read_bytes() == worn


def test_edits_of_a_new_look_can_be_taken_back_too(asset):
    look(asset, prompt="copper, brushed", name="mine")
    plain = read_asset(asset).tensors["looks.mine.codes"]
    look(asset, prompt="copper, brushed", name="other", slider=("wear=0.7",))
    assert not np.array_equal(read_asset(asset).tensors["looks.other.codes"], plain)
    look(asset, look="other", undo=1)
    np.testing.assert_array_equal(read_asset(asset).tensors["looks.other.codes"], plain)


def test_moving_edits_changes_their_order_alone(asset):
    look(asset, look="gold", slider=("wear=0.5",), mix=("oak=0.5",))
    before = asset.read_bytes()
    first = read_asset(asset).manifest.look("gold").details["edits"]
    look(asset, look="gold", move="1:2")
    assert read_asset(asset).manifest.look("gold").details["edits"] == first[::-1]
    look(asset, look="gold", move="2:1")
    assert asset.read_bytes() == before


def test_listing_names_every_look_and_edit_without_writing(asset):
    look(asset, look="gold", slider=("wear=0.5",))
    content = asset.read_bytes()
    result = run(LookConfig(asset, edits=True), Silent())
    assert "1. axis 'wear' +0.50" in str(result["summary"])
    assert [item["slug"] for item in result["looks"]] == ["gold", "oak"]
    assert asset.read_bytes() == content


# ---- bad input


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, NeuronError),
        ({"prompt": "?!"}, PromptError),
        ({"prompt": "gold " * 3000}, PromptError),
        ({"prompt": "gold\x07"}, PromptError),
        ({"look": "silver", "slider": ("wear=1",)}, AssetError),
        ({"look": "gold", "slider": ("wear",)}, PromptError),
        ({"look": "gold", "slider": ("beauty=1",)}, PromptError),
        ({"look": "gold", "slider": ("wear=7",)}, PromptError),
        ({"look": "gold", "mix": ("oak=x",)}, PromptError),
        ({"look": "gold", "undo": 1}, PromptError),
        ({"look": "gold", "move": "1-2"}, PromptError),
        ({"look": "gold", "disable": (1,)}, PromptError),
        ({"prompt": "copper", "name": "Not A Slug"}, AssetError),
        ({"prompt": "copper", "name": "gold"}, AssetError),
        ({"prompt": "copper", "undo": 1}, PromptError),
    ],
)
def test_what_cannot_be_asked_for_is_refused_and_nothing_is_lost(asset, options, kind):
    content = asset.read_bytes()
    with pytest.raises(kind) as caught:
        look(asset, **options)
    assert caught.value.message
    assert asset.read_bytes() == content


def test_a_prompt_in_another_script_is_told_not_dropped(asset):
    class Telling(Silent):
        def __init__(self) -> None:
            self.told: list[str] = []

        def warn(self, message: str) -> None:
            self.told.append(message)

    report = Telling()
    run(LookConfig(asset, "золото, polished", out=asset), report)
    assert any("золото" in message for message in report.told)


def test_an_asset_of_another_encoder_is_refused_with_both_names(asset):
    found = read_asset(asset)
    foreign = replace(found.manifest, encoder=EncoderId("embedded/0", "0" * 64), digest="")
    write_asset(asset, foreign, found.tensors)
    with pytest.raises(PromptError, match="embedded/0"):
        look(asset, prompt="silver")
