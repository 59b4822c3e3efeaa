"""OpenCLIP's models by name, through open_clip's own loading code on tiny weights."""

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import open_clip
import open_clip.pretrained
import pytest
import torch
from safetensors.torch import save_file

from neuron_core.prompts import PromptError, load_encoder

ARCHITECTURE = "neuron-test-tiny"
CONFIGURATION = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 8, "head_width": 4, "layers": 1},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module", autouse=True)
def architecture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{ARCHITECTURE}.json").write_text(json.dumps(CONFIGURATION))
    (folder / f"{ARCHITECTURE}-hf.json").write_text(
        json.dumps(
            {**CONFIGURATION, "text_cfg": {**CONFIGURATION["text_cfg"], "hf_tokenizer_name": "some/one"}}
        )  # type: ignore[dict-item]
    )
    open_clip.add_model_config(folder)
    yield
    open_clip.factory._MODEL_CONFIG_PATHS.remove(folder)
    for name in (ARCHITECTURE, f"{ARCHITECTURE}-hf"):
        del open_clip.factory._MODEL_CONFIGS[name]


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(3)
    made: torch.nn.Module = open_clip.create_model(ARCHITECTURE).eval()
    return made


@pytest.fixture(scope="module")
def weights(model: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(model.state_dict(), path)
    return path


def test_vectors_are_those_of_the_model_itself(model: torch.nn.Module, weights: Path) -> None:
    encoder = load_encoder(f"openclip:{ARCHITECTURE}/mine", weights)
    prompts = ["gold, polished", "Rusted IRON"]
    tokens = open_clip.get_tokenizer(ARCHITECTURE)(prompts)
    with torch.no_grad():
        expected = model.encode_text(tokens, normalize=True).numpy()  # type: ignore[operator]
    np.testing.assert_allclose(encoder.encode(prompts), expected, atol=1e-6)
    assert encoder.width == 12 and encoder.unknown_words("flibbertigibbet") == ()


def test_the_digest_is_of_the_model_and_not_of_the_file(
    model: torch.nn.Module, weights: Path, tmp_path: Path
) -> None:
    name = f"openclip:{ARCHITECTURE}/mine"
    torch.save({"state_dict": model.state_dict()}, tmp_path / "tiny.pt")
    assert load_encoder(name, weights).id == load_encoder(name, tmp_path / "tiny.pt").id
    changed = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    changed["ln_final.bias"][0] += 1.0
    save_file(changed, tmp_path / "changed.safetensors")
    assert load_encoder(name, weights).id != load_encoder(name, tmp_path / "changed.safetensors").id


def test_prompts_are_never_cut(weights: Path) -> None:
    encoder = load_encoder(f"openclip:{ARCHITECTURE}/mine", weights)
    encoder.encode(["gold " * 18])
    with pytest.raises(PromptError, match="19 tokens; this encoder reads 18"):
        encoder.encode(["gold " * 19])


def test_weights_are_found_in_the_cache(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setitem(
        open_clip.pretrained._PRETRAINED, ARCHITECTURE, {"toy": {"url": "", "hf_hub": "toy/tiny/"}}
    )
    monkeypatch.delenv("NEURON_ALLOW_DOWNLOAD", raising=False)
    name = f"openclip:{ARCHITECTURE}/toy"
    with pytest.raises(PromptError, match="not on this machine") as caught:
        load_encoder(name)
    for needed in ("open_clip_model.safetensors", "toy/tiny", str(tmp_path)):
        assert needed in caught.value.message
    assert "NEURON_ALLOW_DOWNLOAD=1" in caught.value.hint and name in caught.value.hint
    repository = tmp_path / "models--toy--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "open_clip_model.safetensors").write_bytes(weights.read_bytes())
    assert load_encoder(name).id.name == name


def test_missing_weights_of_a_real_model_say_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("NEURON_ALLOW_DOWNLOAD", raising=False)
    with pytest.raises(PromptError, match="laion/CLIP-ViT-B-32-laion2B-s34B-b79K"):
        load_encoder("openclip:ViT-B-32/laion2b_s34b_b79k")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("openclip:", "does not name"),
        ("openclip:ViT-B-32", "does not name"),
        ("openclip:ViT-B-32/", "does not name"),
        ("openclip:ViT-B-23/openai", "no architecture 'ViT-B-23'"),
        ("openclip:hf-hub:some/one", "no architecture"),
        ("openclip:ViT-B-32/nobody", "no weights 'nobody'"),
        (f"openclip:{ARCHITECTURE}-hf/x", "tokenizer"),
    ],
)
def test_wrong_names_are_explained(name: str, complaint: str) -> None:
    with pytest.raises(PromptError, match=complaint) as caught:
        load_encoder(name)
    assert "ViT-B-32" in caught.value.hint or "laion2b_s34b_b79k" in caught.value.hint


def test_wrong_weights_are_explained(weights: Path, tmp_path: Path) -> None:
    name = f"openclip:{ARCHITECTURE}/mine"
    with pytest.raises(PromptError, match="no file of weights"):
        load_encoder(name, tmp_path / "nowhere.bin")
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 10)
    (tmp_path / "noise.pt").write_bytes(b"noise" * 10)
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    for file in ("noise.safetensors", "noise.pt", "other.safetensors"):
        with pytest.raises(PromptError, match=f"{file} does not hold weights"):
            load_encoder(name, tmp_path / file)
