"""`.neuron` files."""

from pathlib import Path

import numpy as np

from neuron_core.assets import Asset, Header, Manifest, read_asset, read_header
from neuron_core.foundation.wording import counted, listed
from neuron_core.inspection.findings import Findings, box_size, byte_size, figures


def inspect_asset(path: Path) -> Findings:
    """Read and check all of it. Raises AssetError for the first thing that is wrong."""
    header = read_header(path)
    asset = read_asset(path)
    manifest = asset.manifest
    lines = [
        f"{byte_size(path.stat().st_size)}, {box_size(*manifest.aabb)} {manifest.up_axis} up,"
        f" id {manifest.asset_id}",
        f"architecture: {listed([f'{group} {name}' for group, name in manifest.architecture.items()])}",
        _bake_line(asset),
        f"prompt encoder: {manifest.encoder.name}" if manifest.encoder else "made without prompts",
        *_look_lines(manifest),
        f"figures: {figures(dict(manifest.metrics))}" if manifest.metrics else "",
        f"licence: {manifest.licence.splitlines()[0]}" if manifest.licence else "no licence stated",
        f"checked: layout, values and digest of {counted(len(asset.tensors), 'tensor')}",
    ]
    title = f"neural asset {manifest.name!r}, version {manifest.version}, format {header.format}"
    return Findings("asset", title, lines, _details(header, asset, path))


def _bake_line(asset: Asset) -> str:
    nvf = asset.group("nvf")
    if not nvf:
        return "not baked"
    bricks, voxel = int((nvf["top"] >= 0).sum()), float(nvf["voxel_size"][0])
    return f"baked: {counted(bricks, 'brick')}, {nvf['active'].size:,} active samples {voxel:.4g} m apart"


def _look_lines(manifest: Manifest) -> list[str]:
    if not manifest.looks:
        return ["no looks"]
    shown = [f"  {look.slug}: {look.prompt or 'without a prompt'}" for look in manifest.looks[:16]]
    more = len(manifest.looks) - len(shown)
    return [f"{counted(len(manifest.looks), 'look')}:", *shown, f"  and {more} more" if more else ""]


def _details(header: Header, asset: Asset, path: Path) -> dict[str, object]:
    sizes: dict[str, int] = {}
    for name, info in header.tensors.items():
        group = name.split(".")[0]
        sizes[group] = sizes.get(group, 0) + info.size
    tensors = [
        {"name": name, "dtype": str(np.dtype(asset.tensors[name].dtype)), "shape": list(info.shape)}
        for name, info in header.tensors.items()
    ]
    return {
        "format": header.format,
        "bytes": path.stat().st_size,
        "manifest": header.manifest.to_json(),
        "group_bytes": sizes,
        "tensors": tensors,
    }
