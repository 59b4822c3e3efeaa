"""Find out what a path is by its content first and its name second, and check it."""

from pathlib import Path

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import USD_SUFFIXES
from neuron_core.inspection import assets, documents, folders, pictures
from neuron_core.inspection.findings import Findings, InspectError, byte_size

EXPORTS = (".ply", ".spz", ".vdb")
KNOWN = (
    "It knows .neuron files, datasets, training runs, photographs with a transforms.json, .exr, .png, .jpg, "
    "USD, .ply and .spz splats, .vdb volumes, .mtlx, cameras.json and material libraries."
)
_SIGNATURES = {
    b"\x76\x2f\x31\x01": "EXR",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
_DATASET_FILES = ("dataset.json", "cameras.json", "materials.json", "gbuffer", "beauty")


def inspect_path(path: Path, verify: bool) -> Findings:
    """The kind of a file or folder, and what it holds; `verify` reads everything.

    Raises a NeuronError for the first thing that is wrong with it, InspectError if it is nothing
    that Neuron knows.
    """
    if path.is_dir():
        return _inspect_folder(path, verify)
    if path.is_file():
        return _inspect_file(path, verify)
    file, separator, _ = str(path).rpartition("@")
    if separator and Path(file).suffix.lower() in USD_SUFFIXES and Path(file).is_file():
        from neuron_core.inspection.stages import inspect_stage

        return inspect_stage(path, verify)
    raise FileError(f"There is nothing at {path} that could be read.", "Check the path.")


def _inspect_file(path: Path, verify: bool) -> Findings:
    suffix = path.suffix.lower()
    start = _start_of(path)
    if suffix == ".neuron":
        return assets.inspect_asset(path)
    for signature, encoding in _SIGNATURES.items():
        if start.startswith(signature):
            return _inspect_pixels(path, encoding)
    if suffix in (".exr", ".png", ".jpg", ".jpeg"):
        raise InspectError(f"{path} does not hold what its name says: no {suffix} picture.", "Copy it again.")
    if suffix in USD_SUFFIXES:
        from neuron_core.inspection.stages import inspect_stage

        return inspect_stage(path, verify)
    if suffix in EXPORTS:
        from neuron_core.inspection.exports import inspect_splats, inspect_volume

        return inspect_volume(path) if suffix == ".vdb" else inspect_splats(path)
    if suffix == ".mtlx":
        return documents.inspect_materials(path)
    if suffix == ".json":
        return documents.inspect_json(path, verify)
    what = f"a {suffix} file" if suffix else "a file"
    raise InspectError(
        f"{path} is nothing that Neuron knows: {what} of {byte_size(path.stat().st_size)}.", KNOWN
    )


def _inspect_pixels(path: Path, encoding: str) -> Findings:
    return pictures.inspect_exr(path) if encoding == "EXR" else pictures.inspect_picture(path, encoding)


def _inspect_folder(path: Path, verify: bool) -> Findings:
    names = {entry.name for entry in _entries(path)}
    if folders.RUN in names:
        return folders.inspect_run(path)
    is_dataset = any(name in names for name in _DATASET_FILES)
    if is_dataset or "transforms.json" in names or "transforms_train.json" in names:
        return folders.inspect_dataset(path, verify)
    if any(name.lower().endswith(".mtlx") for name in names):
        return documents.inspect_materials(path)
    raise InspectError(f"{path} is a folder that holds nothing Neuron knows.", KNOWN)


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
