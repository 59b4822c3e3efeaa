"""A field inside a `.neuron` file: `inr.*` are geometry and material branch, `shader.*` the shader.

Tables are stored as half floats: they hold features of a few digits, and are most of the size.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from neuron_core.assets import AssetError, Manifest, read_asset
from neuron_core.models.field.model import Field
from neuron_core.models.field.spec import ARCHITECTURE, FieldSpec
from neuron_core.prompts import EncoderId


def to_tensors(field: Field) -> dict[str, np.ndarray]:
    """The tensors of a file."""
    tensors = {}
    for name, value in field.state_dict().items():
        array = value.detach().cpu().numpy()
        stored = array.astype(np.float16 if name.endswith("tables") else np.float32)
        tensors[name if name.startswith("shader.") else f"inr.{name}"] = stored
    return tensors


def load_field(path: Path) -> tuple[Field, Manifest, EncoderId]:
    """The field of an asset, and the encoder that its prompts must come from. Raises AssetError."""
    asset = read_asset(path)
    encoder = asset.manifest.encoder
    if asset.manifest.architecture.get("inr") != ARCHITECTURE or encoder is None:
        raise AssetError(f"{path} holds no field.", "Only its baked looks can be drawn.")
    spec = FieldSpec.from_json(asset.manifest.settings.get("field"))
    return field_from(asset.tensors, spec, path), asset.manifest, encoder


def field_from(tensors: Mapping[str, np.ndarray], spec: FieldSpec, path: Path) -> Field:
    """Build a field and fill it. Raises AssetError if tensors and description do not fit."""
    field = Field(spec)
    state = {
        name.removeprefix("inr."): torch.from_numpy(np.asarray(array, np.float32))
        for name, array in tensors.items()
        if name.startswith(("inr.", "shader."))
    }
    try:
        field.load_state_dict(state)
    except RuntimeError as error:
        raise AssetError(f"{path}: its field does not fit its own description.") from error
    return field.eval()
