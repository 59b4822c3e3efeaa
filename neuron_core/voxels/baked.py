"""A baked asset in memory: what can be drawn without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuron_core.assets import AssetError, Manifest, read_asset
from neuron_core.voxels.nvf import LookCodes, Nvf, from_tensors
from neuron_core.voxels.shading import Shader, shader_from_tensors


@dataclass(frozen=True, slots=True)
class Baked:
    """The geometry, looks and shader of one `.neuron` file."""

    path: Path
    manifest: Manifest
    nvf: Nvf
    looks: Mapping[str, LookCodes]
    shader: Shader

    def slugs(self) -> tuple[str, ...]:
        """The names of the looks, as the manifest lists them."""
        return tuple(look.slug for look in self.manifest.looks)

    def look_of(self, wanted: str) -> str:
        """The slug of the look with that slug or prompt. Raises AssetError with what there is."""
        look = self.manifest.find_look(wanted)
        if look is None:
            raise AssetError(
                f"{self.path} has no look {wanted!r}.",
                f"It has: {self.manifest.listed_looks()}. Others are made with: "
                "neuron bake RUN OUT.neuron --prompt TEXT",
            )
        return look.slug


def read_baked(path: Path) -> Baked:
    """Read and check everything that drawing needs. Raises AssetError, VoxelError or FileError."""
    asset = read_asset(path)
    if "nvf" not in asset.manifest.architecture or not asset.manifest.looks:
        raise AssetError(f"{path} holds no baked voxels.", "Bake it: neuron bake RUN OUT.neuron")
    nvf, looks = from_tensors(asset.tensors)
    field = asset.manifest.settings.get("field")
    shader = shader_from_tensors(asset.tensors, field if isinstance(field, dict) else {})
    return Baked(Path(path), asset.manifest, nvf, looks, shader)
