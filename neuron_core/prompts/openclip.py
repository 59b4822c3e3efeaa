"""Models of OpenCLIP by architecture and tag, from files that are on this machine."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import open_clip
from huggingface_hub import constants, try_to_load_from_cache
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.pretrained import download_pretrained
from safetensors import SafetensorError
from torch import Tensor

from neuron_core.prompts.encoder import EMBEDDED, OPENCLIP, EncoderId, PromptError, encode_each
from neuron_core.prompts.towers import TextTower

ALLOW_DOWNLOAD = "NEURON_ALLOW_DOWNLOAD"
_OLD_CACHE = Path("~/.cache/clip")  # where open_clip keeps what does not come from Hugging Face
_UNREADABLE = (
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    StopIteration,
)


class OpenClipEncoder:
    """Nothing is unknown to it: it was trained on the words of the web."""

    def __init__(self, encoder_id: EncoderId, width: int, tower: TextTower) -> None:
        """Made by `load_openclip`."""
        self.id = encoder_id
        self.width = width
        self._tower = tower
        self._vectors: dict[str, np.ndarray] = {}

    def encode(self, prompts: Sequence[str]) -> np.ndarray:
        """[N, width] float32, rows of unit length; each prompt is computed once."""
        return encode_each(prompts, self.width, self._vectors, self._tower.encode)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Always empty."""
        return ()


def load_openclip(name: str, weights: Path | None = None) -> OpenClipEncoder:
    """`name` is openclip:ARCHITECTURE/TAG; with `weights` the tag may be any label.

    The digest covers what makes the vectors, the text tower, so that the same model in
    another file format stays the same encoder.
    """
    architecture, _, tag = name.removeprefix(OPENCLIP).rpartition("/")
    if not architecture or not tag:
        raise PromptError(
            f"{name!r} does not name a model of OpenCLIP.",
            f'Write "{OPENCLIP}ARCHITECTURE/TAG", for example ViT-B-32.',
        )
    configuration = _configuration(architecture)
    known = open_clip.get_pretrained_cfg(architecture, tag)
    quick_gelu = bool(known.get("quick_gelu") or configuration.get("quick_gelu"))
    path = _given(weights) if weights is not None else _cached_or_downloaded(name, architecture, tag, known)
    try:
        model = open_clip.create_model(
            architecture, pretrained=str(path), force_quick_gelu=quick_gelu, pretrained_text=False
        )
        tokenizer = open_clip.get_tokenizer(architecture)
    except (*_UNREADABLE, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0][:300]
        raise PromptError(
            f"{path} does not hold weights of {architecture}: {reason}",
            "Pick the file of that model, or another name.",
        ) from error
    del model.visual  # only prompts are encoded
    model.eval()
    read = {
        "embed_dim": configuration["embed_dim"],
        "text_cfg": configuration["text_cfg"],
        "quick_gelu": quick_gelu,
    }
    encoder_id = EncoderId(name, _digest(model.state_dict(), read))
    width = int(str(configuration["embed_dim"]))
    return OpenClipEncoder(encoder_id, width, TextTower(tokenizer, model.context_length, model.encode_text))


def _configuration(architecture: str) -> Mapping[str, object]:
    configuration = open_clip.get_model_config(architecture) if ":" not in architecture else None
    if configuration is None:
        near = get_close_matches(architecture, open_clip.list_models(), n=4, cutoff=0.3)
        raise PromptError(
            f"OpenCLIP has no architecture {architecture!r}.",
            f"Close to it: {', '.join(near) or 'ViT-B-32'}.",
        )
    text = configuration["text_cfg"]
    if text.get("hf_model_name") or text.get("hf_tokenizer_name") or "siglip" in architecture.lower():
        raise PromptError(
            f"The tokenizer of {architecture!r} is not part of open_clip.",
            "Use an architecture with OpenCLIP's own tokenizer, such as ViT-B-32.",
        )
    return dict(configuration)


def _given(weights: Path) -> Path:
    if not Path(weights).is_file():
        raise PromptError(
            f"There is no file of weights at {weights}.", "Give the path of a .safetensors, .bin or .pt."
        )
    return Path(weights)


def _cached_or_downloaded(name: str, architecture: str, tag: str, known: Mapping[str, object]) -> Path:
    if not known:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise PromptError(
            f"OpenCLIP knows no weights {tag!r} for {architecture}.",
            f"Its tags: {tags}. Or give the file of your own weights.",
        )
    repository, _, file = str(known.get("hf_hub") or "").rpartition("/")
    url = str(known.get("url") or "")
    for path in _places(repository, file, url):
        if path.is_file():
            return path
    if os.environ.get(ALLOW_DOWNLOAD) == "1":
        return _downloaded(name, known)
    file = file or HF_SAFE_WEIGHTS_NAME
    origin = f"{file} of https://huggingface.co/{repository}" if repository else url
    place = constants.HF_HUB_CACHE if repository else _OLD_CACHE.expanduser()
    raise PromptError(
        f"The weights of {name} are not on this machine: {origin} is not in {place}.",
        f"Where there is a network, this fetches them: {ALLOW_DOWNLOAD}=1 python -c "
        f"\"from neuron_core.prompts import load_encoder; load_encoder('{name}')\". "
        f'Or give the path of the file as weights, or use the encoder "{EMBEDDED}".',
    )


def _places(repository: str, file: str, url: str) -> list[Path]:
    names = [file] if file else [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
    if file.endswith((".bin", ".pth")):
        names.insert(0, f"{file[:-4]}.safetensors")
    found = [try_to_load_from_cache(repository, name) for name in names] if repository else []
    places = [Path(path) for path in found if isinstance(path, str)]
    return [*places, _OLD_CACHE.expanduser() / url.rpartition("/")[2]] if url else places


def _downloaded(name: str, known: Mapping[str, object]) -> Path:
    try:
        return Path(download_pretrained(dict(known)))
    except (OSError, RuntimeError, ValueError) as error:
        raise PromptError(
            f"The weights of {name} could not be downloaded: {error}",
            "Check the network, or give the file as weights.",
        ) from error


def _digest(tensors: Mapping[str, Tensor], configuration: Mapping[str, object]) -> str:
    """Over the configuration and every tensor of the text tower, by name."""
    digest = hashlib.sha256(json.dumps(configuration, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
