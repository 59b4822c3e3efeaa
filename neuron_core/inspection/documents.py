"""Cameras and material libraries, as JSON or MaterialX."""

from collections.abc import Callable, Sequence
from pathlib import Path

from neuron_core.foundation.files import read_json
from neuron_core.foundation.wording import counted, listed
from neuron_core.inspection.findings import Findings, InspectError
from neuron_core.inspection.folders import inspect_dataset, inspect_run


def inspect_json(path: Path, verify: bool) -> Findings:
    """Whatever of ours the content looks like. Raises InspectError if it looks like nothing."""
    content = read_json(path)
    keys = set(content) if isinstance(content, dict) else set()
    readers: list[tuple[bool, Callable[[], Findings]]] = [
        ({"geometry", "renderer", "files"} <= keys, lambda: inspect_dataset(path.parent, verify)),
        ({"looks", "fingerprint"} <= keys, lambda: inspect_run(path.parent)),
        ("frames" in keys, lambda: inspect_dataset(path, verify)),
        ("cameras" in keys, lambda: inspect_cameras(path)),
        ("materials" in keys or isinstance(content, list), lambda: inspect_materials(path)),
    ]
    for fits, reader in readers:
        if fits:
            return reader()
    raise InspectError(
        f"{path} is JSON, but nothing that Neuron knows.",
        "Known are datasets, runs, transforms.json, cameras.json and material libraries.",
    )


def inspect_cameras(path: Path) -> Findings:
    """A cameras.json."""
    from neuron_core.cameras.camera import load_cameras

    cameras, splits = load_cameras(path)
    counts = {split: len(names) for split, names in splits.items()}
    sizes = sorted({f"{camera.width}x{camera.height}" for camera in cameras})
    lines = [
        f"{counted(len(cameras), 'camera')}, {listed(sizes, 3)} pixels",
        f"splits: {listed([f'{count} {split}' for split, count in counts.items()])}",
        "checked: every camera",
    ]
    details: dict[str, object] = {
        "cameras": [camera.name for camera in cameras],
        "splits": counts,
        "sizes": sizes,
    }
    return Findings("cameras", "cameras", lines, details)


def inspect_materials(path: Path) -> Findings:
    """A JSON library, a .mtlx file or a folder of them."""
    from neuron_core.materials.library import read_library
    from neuron_core.materials.wording import canonical_prompt

    # Absolute, so that no path is mistaken for the name of a built-in material.
    result = read_library(str(path.absolute()))
    named = [(material.name, canonical_prompt(material)) for material in result.materials]
    lines = [
        f"{counted(len(named), 'material')}:",
        *(f"  {name}: {prompt}" for name, prompt in named[:16]),
        f"  and {len(named) - 16} more" if len(named) > 16 else "",
        *_noted(result.notes),
        "checked: every record",
    ]
    details: dict[str, object] = {
        "materials": [{"name": name, "prompt": prompt} for name, prompt in named],
        "notes": list(result.notes),
    }
    return Findings("materials", "material library", lines, details)


def _noted(notes: Sequence[str]) -> list[str]:
    return [*notes[:8], f"and {len(notes) - 8} more notes" if len(notes) > 8 else ""]
