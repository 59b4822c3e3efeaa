"""What is said of a dataset that is finished, to programs and to people."""

from collections.abc import Mapping
from pathlib import Path

from neuron_core.datasets import layout
from neuron_core.datasets.manifest import DatasetManifest
from neuron_core.foundation.files import read_json
from neuron_core.groundtruth.folder import PREVIEW, DatasetFolder


def result_of(folder: DatasetFolder) -> dict[str, object]:
    """Paths, counts and the noise of the truth, by the manifest."""
    content = read_json(folder.path / layout.MANIFEST)
    manifest = DatasetManifest.from_json(content)
    floors = {info.name: info.truth_floor for info in manifest.materials}
    views = {split: len(names) for split, names in manifest.splits.items()}
    return {
        "dataset": str(folder.path),
        "finished": True,
        "materials": [info.name for info in manifest.materials],
        "unsupported": [info.name for info in manifest.materials if not info.supported],
        "views": views,
        "resolution": list(manifest.resolution),
        "renderer": {"name": manifest.renderer.name, "variant": manifest.renderer.variant},
        "truth_floor": floors,
        "preview": str(folder.path / PREVIEW),
        "summary": _summary(folder.path, manifest, floors, views),
    }


def _summary(
    path: Path, manifest: DatasetManifest, floors: Mapping[str, Mapping[str, float]], views: Mapping[str, int]
) -> str:
    width = max(len(name) for name in floors)
    counted = ", ".join(f"{count} {split}" for split, count in views.items())
    lines = [
        f"{path}: {len(floors)} materials from {counted} views, {manifest.resolution[0]} x "
        f"{manifest.resolution[1]} pixels, {manifest.renderer.name} {manifest.renderer.variant}.",
        "Noise of the pictures (PSNR to their limit, sRGB over white):",
    ]
    for name, floor in floors.items():
        lines.append(
            f"  {name:{width}}  " + "  ".join(f"{split} {value:.1f} dB" for split, value in floor.items())
        )
    return "\n".join(lines)
