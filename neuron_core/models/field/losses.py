"""What objectives of the field share: the scale on which colors are compared, and noise on prompts."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

DARK = 0.05  # linear value from which the log curve is about logarithmic
PROMPT_JITTER = 0.4  # length of what is added to prompt vectors, whose length is 1


def log_curve(linear: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Linear values on a scale that weighs dark and bright errors about as a person does; 1 stays 1."""
    return torch.log1p(linear.clamp_min(0.0) / DARK) / torch.log1p(torch.tensor(1.0 / DARK))


def psnr_of(error: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """A mean squared error of values up to 1 in dB, at most 120."""
    return -10.0 * torch.log10(error.detach().double().clamp_min(1e-12))


def jittered(vectors: Float[Tensor, "L W"], random: torch.Generator) -> Float[Tensor, "L W"]:
    """Prompt vectors moved about as far as paraphrases would move them, so that wording matters little."""
    noise = torch.randn(vectors.shape, generator=random, device=vectors.device)
    return vectors + noise * (PROMPT_JITTER / math.sqrt(vectors.shape[-1]))
