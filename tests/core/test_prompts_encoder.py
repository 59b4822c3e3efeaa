"""What may be asked of every prompt encoder, and of the embedded one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.foundation.files import sha256_of
from neuron_core.materials import builtin_materials, canonical_prompt, prompts
from neuron_core.prompts import (
    EncoderId,
    PromptEncoder,
    PromptError,
    check_prompt,
    load_encoder,
    require_same,
)
from neuron_core.prompts.embedded import PACKAGED, EmbeddedEncoder, load_embedded, words_of
from neuron_core.prompts.encoder import LONGEST_PROMPT


@pytest.fixture(scope="module")
def embedded() -> EmbeddedEncoder:
    return load_embedded()


def cosine(encoder: PromptEncoder, first: str, second: str) -> float:
    a, b = encoder.encode([first, second])
    return float(a @ b)


def test_vectors_have_unit_length_and_one_row_a_prompt(embedded: EmbeddedEncoder) -> None:
    vectors = embedded.encode(["gold, polished", "black rubber", "gold, polished"])
    assert vectors.shape == (3, embedded.width) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert embedded.encode([]).shape == (0, embedded.width)


def test_a_vector_depends_on_its_prompt_alone(embedded: EmbeddedEncoder) -> None:
    texts = ["gold, polished", "a very long walk to a piece of heavily rusted iron, rough", "ceramic"]
    forwards = embedded.encode(texts)
    backwards = load_embedded().encode(texts[::-1])
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_a_caller_cannot_change_later_answers(embedded: EmbeddedEncoder) -> None:
    before = embedded.encode(["oak wood"]).copy()
    embedded.encode(["oak wood"])[:] = 0.0
    np.testing.assert_array_equal(embedded.encode(["oak wood"]), before)


@pytest.mark.parametrize(
    ("prompt", "paraphrase"),
    [
        ("gold, polished", "a photo of shiny gold"),
        ("brushed copper, worn", "weathered copper with a brushed finish"),
        ("ceramic, white", "White  porcelain"),
        ("iron, rusted", "a rusty piece of iron"),
        ("aluminium, brushed", "brushed aluminum"),
        ("plastic, blue, matte", "dull blue plastic material"),
        ("concrete, dirty", "grimy concrete"),
    ],
)
def test_paraphrases_agree(embedded: EmbeddedEncoder, prompt: str, paraphrase: str) -> None:
    assert cosine(embedded, prompt, paraphrase) > 0.9


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("gold, polished", "ceramic, white"),
        ("brushed copper, worn", "rubber, black"),
        ("red car paint", "oak wood"),
        ("clear glass", "rusted iron"),
        ("gold, polished, clean", "gold, rough, heavily dirty"),
    ],
)
def test_different_looks_are_apart(embedded: EmbeddedEncoder, first: str, second: str) -> None:
    assert cosine(embedded, first, second) < 0.6


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("blue plastic, matte", "red plastic, matte"),
        ("blue plastic, matte", "blue plastic, polished"),
        ("brushed copper", "brushed copper, worn"),
        ("polished copper", "brushed copper"),
        ("iron, slightly worn", "iron, heavily worn"),
    ],
)
def test_one_changed_word_moves_the_vector(embedded: EmbeddedEncoder, first: str, second: str) -> None:
    assert cosine(embedded, first, second) < 0.9


def test_builtin_materials_are_known_and_tell_each_other_apart(embedded: EmbeddedEncoder) -> None:
    materials = list(builtin_materials().values())
    canonicals = embedded.encode([canonical_prompt(material) for material in materials])
    for material, vector in zip(materials, canonicals, strict=True):
        worded = prompts(material, 30, seed=5)
        assert [embedded.unknown_words(prompt) for prompt in worded] == [()] * len(worded)
        assert (embedded.encode(worded) @ vector).min() > 0.8, material.name
    cosines = canonicals @ canonicals.T - 2.0 * np.eye(len(materials))
    assert cosines.max() < 0.75


def test_unknown_words_are_reported_and_steer_nothing(embedded: EmbeddedEncoder) -> None:
    prompt = "Flibbertigibbet gold, polished 50 flibbertigibbet"
    assert embedded.unknown_words(prompt) == ("flibbertigibbet", "50")
    assert embedded.unknown_words("GOLD, polished!") == ()
    assert cosine(embedded, "gold, polished", "gold, polished, flibbertigibbet") > 0.9
    other = "gold, polished, zyzzyva"  # another unknown word, same place
    assert cosine(embedded, "gold, polished, flibbertigibbet", other) == pytest.approx(1.0, abs=1e-6)


@given(st.text(min_size=1, max_size=60))
def test_any_text_has_a_finite_vector_or_is_refused(text: str) -> None:
    encoder = load_embedded_once()
    try:
        vectors = encoder.encode([text])
    except PromptError:
        return
    assert np.isfinite(vectors).all() and np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)
    assert set(encoder.unknown_words(text)) <= set(words_of(text))


_once: list[EmbeddedEncoder] = []


def load_embedded_once() -> EmbeddedEncoder:
    if not _once:
        _once.append(load_embedded())
    return _once[0]


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("", "no words"),
        (" \u00a0 ", "no words"),
        ("?!", "no words"),
        ("gold\nsilver", "control character"),
        ("gold\x00", "control character"),
        ("gold \ud800", "surrogate"),
        ("gold " * 500, "too long"),
        ("gold " * 60, "60 tokens"),
    ],
)
def test_bad_prompts_are_refused_with_a_reason(
    embedded: EmbeddedEncoder, prompt: str, complaint: str
) -> None:
    with pytest.raises(PromptError, match=complaint) as caught:
        embedded.encode(["gold", prompt])
    assert caught.value.kind == "prompt" and caught.value.hint


def test_space_around_a_prompt_does_not_count() -> None:
    assert check_prompt("\u00a0 gold ") == "gold"
    assert check_prompt("a" * LONGEST_PROMPT) == "a" * LONGEST_PROMPT


def test_names_that_mean_the_embedded_encoder(embedded: EmbeddedEncoder) -> None:
    assert (
        load_encoder().id == load_encoder("embedded").id == load_encoder(embedded.id.name).id == embedded.id
    )


def test_to_the_blank_encoder_all_prompts_are_the_same() -> None:
    blank = load_encoder("blank")
    one, other = blank.encode(["gold, polished", "oak wood"])
    np.testing.assert_array_equal(one, other)
    assert np.linalg.norm(one) == pytest.approx(1.0) and len(one) == blank.width
    assert blank.id == load_encoder(blank.id.name).id
    with pytest.raises(PromptError):
        blank.encode(["?!"])


@pytest.mark.parametrize("name", ["", "clip", "embedded/0", "openclip", "Embedded"])
def test_unknown_encoder_names_list_what_there_is(name: str) -> None:
    with pytest.raises(PromptError) as caught:
        load_encoder(name)
    assert "embedded" in caught.value.hint and "openclip:" in caught.value.hint


def test_a_field_refuses_vectors_of_another_encoder(embedded: EmbeddedEncoder) -> None:
    require_same(embedded.id, EncoderId.from_json(json.loads(json.dumps(embedded.id.to_json()))))
    for other in (EncoderId("openclip:ViT-B-32/x", "0" * 64), EncoderId(embedded.id.name, "0" * 64)):
        with pytest.raises(PromptError) as caught:
            require_same(embedded.id, other)
        assert str(other) in caught.value.message and str(embedded.id) in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("value", [None, "embedded/3", {"name": "embedded/3"}, {"name": 1, "digest": "x"}])
def test_a_damaged_record_of_an_encoder_is_refused(value: object) -> None:
    with pytest.raises(PromptError):
        EncoderId.from_json(value)


def test_packaged_files_are_small_and_match_their_card() -> None:
    folder = PACKAGED.parent
    assert PACKAGED.stat().st_size < 1 << 21
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4 << 20
    card = (folder / "MODEL_CARD.md").read_text()
    for path in folder.glob("embedded-3*"):
        assert sha256_of(path) in card, f"{path.name} is not the file that the card describes"


def copied(folder: Path) -> Path:
    for suffix in (".safetensors", ".json"):
        (folder / f"copy{suffix}").write_bytes(PACKAGED.with_suffix(suffix).read_bytes())
    return folder / "copy.safetensors"


def test_weights_are_taken_from_another_place(tmp_path: Path, embedded: EmbeddedEncoder) -> None:
    encoder = load_encoder("embedded", copied(tmp_path))
    assert encoder.id == embedded.id
    np.testing.assert_array_equal(encoder.encode(["gold"]), embedded.encode(["gold"]))


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="nowhere"):
        load_encoder("embedded", tmp_path / "nowhere.safetensors")
    path = copied(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(PromptError, match=r"copy\.safetensors"):
        load_encoder("embedded", path).encode(["gold"])
    path.write_bytes(content)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(PromptError, match="configuration"):
        load_encoder("embedded", path)


def test_the_digest_covers_weights_and_configuration(tmp_path: Path, embedded: EmbeddedEncoder) -> None:
    path = copied(tmp_path)
    path.with_suffix(".json").write_bytes(path.with_suffix(".json").read_bytes() + b"\n")
    assert load_encoder("embedded", path).id.digest != embedded.id.digest


def test_names_words_and_ids_need_no_torch() -> None:
    code = (
        "import sys; from neuron_core.prompts import load_encoder; e = load_encoder();"
        "e.unknown_words('gold'); e.id, e.width;"
        "print([m for m in ('torch', 'open_clip', 'safetensors') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
