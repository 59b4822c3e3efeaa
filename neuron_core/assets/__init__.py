"""The `.neuron` file: what a baked asset is on disk, how it is written, and strict reading.

Needs the standard library and numpy; safetensors is imported when tensors are read.
"""

from neuron_core.assets.container import TensorInfo
from neuron_core.assets.errors import AssetError
from neuron_core.assets.manifest import ARCHITECTURES, Look, Manifest, is_slug, slug_of
from neuron_core.assets.neuron_file import (
    FORMAT,
    Asset,
    Header,
    digest_of,
    header_of,
    read_asset,
    read_header,
    read_preview,
    write_asset,
    write_if_changed,
)

__all__ = [
    "ARCHITECTURES",
    "FORMAT",
    "Asset",
    "AssetError",
    "Header",
    "Look",
    "Manifest",
    "TensorInfo",
    "digest_of",
    "header_of",
    "is_slug",
    "read_asset",
    "read_header",
    "read_preview",
    "slug_of",
    "write_asset",
    "write_if_changed",
]
