"""Datasets, of ours and of others, and training runs."""

from collections.abc import Mapping
from pathlib import Path

from neuron_core.datasets.contract import Axis
from neuron_core.datasets.manifest import DatasetManifest
from neuron_core.foundation.files import read_json
from neuron_core.foundation.wording import counted, listed
from neuron_core.inspection.findings import Findings, InspectError, box_size, figures

RUN = "run.json"
FIELD = "field.safetensors"
VARIED: tuple[Axis, ...] = ("light", "pose", "frame")


def inspect_dataset(path: Path, verify: bool) -> Findings:
    """A rendered dataset or photographs: the manifest is checked, with `verify` every file."""
    from neuron_core.datasets.layout import SURFACE_SPLIT
    from neuron_core.datasets.reader import open_dataset

    dataset = open_dataset(path)
    if verify:
        dataset.verify()
    splits = {split: len(names) for split, names in dataset.splits.items() if names or split != SURFACE_SPLIT}
    views = listed([f"{count} {split}" for split, count in splits.items()])
    sizes = sorted({f"{camera.width}x{camera.height}" for camera in dataset.cameras.values()})
    low, high = ([float(number) for number in corner] for corner in dataset.aabb)
    lines = [f"{counted(len(dataset.cameras), 'camera')} ({views}), {listed(sizes, 3)} pixels"]
    details: dict[str, object] = {"splits": splits, "sizes": sizes, "aabb": [low, high], "verified": verify}
    if dataset.manifest is None:
        lines.append(f"background: {dataset.background}; bounds {box_size(low, high)}")
        lines.append(_verified(verify, "every photograph was read"))
        return Findings("photographs", "photographs with their cameras", lines, details)
    more, more_details = _rendered(dataset.path, dataset.manifest)
    if dataset.manifest.version > 1:
        lines += _axis_lines(dataset.axes)
        details |= {f"{axis}s": list(dataset.axes[axis]) for axis in VARIED}
    lines += [f"object: {box_size(low, high)} Y up", *more, _verified(verify, "every checksum is right")]
    return Findings("dataset", "rendered dataset", lines, details | more_details)


def _axis_lines(axes: Mapping[Axis, tuple[str, ...]]) -> list[str]:
    """What varies beside cameras and materials."""
    return [
        f"{counted(len(axes[axis]), axis)}: {listed(list(axes[axis]))}"
        for axis in VARIED
        if len(axes[axis]) > 1
    ]


def _rendered(folder: Path, manifest: DatasetManifest) -> tuple[list[str], dict[str, object]]:
    missing = [name for name in manifest.files if not (folder / name).is_file()]
    if missing:
        raise InspectError(
            f"{folder} lacks {len(missing)} of the {len(manifest.files)} files that its manifest lists: "
            f"{listed(missing, 3)}.",
            "Copy them again, or make the dataset again.",
        )
    held_out = [material.name for material in manifest.materials if material.split == "compositional"]
    unsupported = [material.name for material in manifest.materials if not material.supported]
    floors = [
        material.truth_floor["test"] for material in manifest.materials if "test" in material.truth_floor
    ]
    renderer = manifest.renderer
    lines = [
        f"geometry: {manifest.geometry.spec}",
        f"renderer: {renderer.name} {renderer.version} {renderer.variant}",
        f"{counted(len(manifest.materials), 'material')}"
        f"{f', {len(held_out)} of them held out' if held_out else ''}: "
        f"{listed([material.prompt for material in manifest.materials])}",
        f"not possible in this renderer: {listed(unsupported)}" if unsupported else "",
        f"inputs that were dropped: {listed(list(manifest.dropped))}" if manifest.dropped else "",
        f"noise of the truth: {_span(floors)} dB" if floors else "",
        f"licences: {listed(list(manifest.licences))}" if manifest.licences else "",
        *manifest.notes,
        f"{counted(len(manifest.files), 'file')}, all there",
    ]
    details: dict[str, object] = {
        "geometry": manifest.geometry.spec,
        "renderer": {"name": renderer.name, "version": renderer.version, "variant": renderer.variant},
        "materials": [
            {"name": item.name, "prompt": item.prompt, "split": item.split, "supported": item.supported}
            for item in manifest.materials
        ],
        "files": len(manifest.files),
        "dropped": list(manifest.dropped),
        "fingerprint": manifest.fingerprint,
    }
    return lines, details


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _verified(verify: bool, what: str) -> str:
    return f"checked: {what}" if verify else "checked: the description only; --verify reads every file"


def inspect_run(folder: Path) -> Findings:
    """A training run, by its run.json. Torch is not needed, so the weights are not read."""
    path = folder / RUN
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("looks"), list):
        raise InspectError(
            f"{path} does not describe a training run.", "Train again, or pick another folder."
        )
    finished = content.get("finished") is True
    if finished and not (folder / FIELD).is_file():
        raise InspectError(f"The run in {folder} is finished, but has no {FIELD}.", "Copy it again.")
    config, encoder = _object(content.get("config")), _object(content.get("encoder"))
    looks = [str(_object(look).get("prompt") or _object(look).get("name")) for look in content["looks"]]
    metrics = _object(content.get("metrics"))
    lines = [
        "finished" if finished else "not finished: the same `neuron train` command resumes it",
        f"dataset: {config['dataset']}" if "dataset" in config else "",
        f"preset: {config['preset']}" if "preset" in config else "",
        f"prompt encoder: {encoder['name']}" if "name" in encoder else "",
        f"{counted(len(looks), 'look')}: {listed(looks)}",
        f"figures: {figures(metrics)}" if metrics else "",
        "checked: the description only",
    ]
    details: dict[str, object] = {
        "finished": finished,
        "config": config,
        "encoder": encoder,
        "looks": looks,
        "metrics": metrics,
    }
    return Findings("run", "training run", lines, details)


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
