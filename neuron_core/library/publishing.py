"""Publishes assets into a library: a folder of versions that never change.

    LIBRARY/
      library.json          what there is; made from the folders, so it can be made again
      oak/
        oak.usd             the latest version, for shots that follow it
        v001/ v002/ ...     each whole: a shot that names one is pinned to it
          oak.usd           the layer
          oak.neuron        the weights, stored here once for every shot and instance
          preview/oak.png
          payload/*.usdc
          publish.json      what the version is; written last

A version is written beside its place and renamed, so that it is there whole or not at all; two that
are published at once get two numbers.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pxr import UsdGeom

from neuron_core.assets import Asset, is_slug, read_asset, slug_of
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import USD_SUFFIXES, sha256_of, write_json
from neuron_core.library.index import refresh, versions_of
from neuron_core.library.version import RECORD, PublishedLook, Version
from neuron_core.usd import asset_layers, proxy
from neuron_core.usd.asset_layers import AssetLayer, Color
from neuron_core.usd.published import LibraryError, label_of
from neuron_core.usd.stage import read_stage

HULL_CELLS = 12  # along the longest side of the gray box
MESH_CELLS = 48  # of the mesh that other hosts draw
TRIES = 64  # numbers that others may take while we publish
BUILT_IN = ("proxy", "box")  # representations that every asset has


@dataclass(frozen=True, slots=True)
class Submission:
    """What is to be published, and as what."""

    source: Path  # the .neuron file
    library: Path
    name: str = ""  # a slug; default: the asset's own name
    number: int = 0  # of the version; default: the next one
    attached: Mapping[str, Path] = field(default_factory=dict)
    """USD files by representation, in meters with Y up, that are copied and offered beside the built-in
    ones; hosts that do not know Neuron draw the first one."""
    colors: Mapping[str, Color] = field(default_factory=dict)  # of stand-ins, by look


@dataclass(frozen=True, slots=True)
class _Checked:
    """A submission that can be written."""

    wanted: Submission
    asset: Asset
    name: str
    sums: Mapping[str, str]  # representation -> sha256


def publish(wanted: Submission) -> tuple[Version, bool]:
    """Publish a new version; True if it was not there already.

    What equals the latest version is not published again. Raises AssetError for a broken file,
    LibraryError for a version that exists, an invalid name, or an impossible representation.
    """
    ready = _check(wanted)
    existing = versions_of(wanted.library, ready.name)
    latest = existing[-1] if existing else None
    if any(one.number == wanted.number for one in existing):
        raise LibraryError(
            f"{ready.name} {label_of(wanted.number)} is published; published versions never change.",
            f"Leave out the number: the next one is {label_of(existing[-1].number + 1)}.",
        )
    if (
        latest
        and not wanted.number
        and (latest.sha256, latest.attached) == (sha256_of(wanted.source), ready.sums)
    ):
        refresh(wanted.library, ready.name)
        return latest, False
    version = _write(ready, wanted.number or (latest.number + 1 if latest else 1))
    refresh(wanted.library, ready.name)
    return version, True


def _check(wanted: Submission) -> _Checked:
    asset = read_asset(wanted.source)
    manifest = asset.manifest
    name = wanted.name or slug_of(manifest.name)
    if not is_slug(name):
        raise LibraryError(
            f"{name!r} cannot name an asset.",
            f"Names are lower-case words joined by underscores, as {slug_of(name)!r}.",
        )
    if "nvf" not in manifest.architecture or not manifest.looks:
        raise LibraryError(f"{wanted.source} holds no baked voxels.", "Bake it: neuron bake RUN OUT.neuron")
    if not 0 <= wanted.number < 10**6:
        raise LibraryError(f"{wanted.number} is not a number of a version.", "They count from 1.")
    for representation, path in wanted.attached.items():
        _check_attached(representation, path)
    return _Checked(wanted, asset, name, {key: sha256_of(path) for key, path in wanted.attached.items()})


def _check_attached(representation: str, path: Path) -> None:
    if not is_slug(representation) or representation in BUILT_IN:
        raise LibraryError(
            f"{representation!r} cannot name a representation.",
            "Take splat, volume, mesh or points; proxy and box are always there.",
        )
    if path.suffix.lower() not in USD_SUFFIXES or not path.is_file():
        raise LibraryError(f"{path} is not a USD file.", f"They end in {', '.join(USD_SUFFIXES)}.")
    stage = read_stage(path).stage
    if not stage.GetDefaultPrim():
        raise LibraryError(f"{path} has no default prim.", "Author defaultPrim, or export it again.")
    unit, up = UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage)
    if unit != 1.0 or up != UsdGeom.Tokens.y:
        raise LibraryError(
            f"{path} is in units of {unit:g} m with {up} up; assets are in meters with Y up.",
            "Export it that way.",
        )


def _write(ready: _Checked, number: int) -> Version:
    """Write the version beside its place and rename it, to a later number if that was taken meanwhile."""
    home = ready.wanted.library / ready.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        for later in range(1 if ready.wanted.number else TRIES):
            temporary = Path(tempfile.mkdtemp(prefix=f".{label_of(number)}.", dir=home))
            try:
                version = _fill(temporary, ready, number + later)
                _lock(temporary)
                if _moved(temporary, home / version.label):
                    return version
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise FileError(f"Cannot write {home}: {error.strerror or error}.") from error
    raise LibraryError(f"{ready.name} {label_of(number)} was published meanwhile.", "Publish it again.")


def _moved(temporary: Path, place: Path) -> bool:
    """Whether the folder could be renamed; not where another one stands already."""
    try:
        temporary.rename(place)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _fill(folder: Path, ready: _Checked, number: int) -> Version:
    """Write all files of a version. The record comes last."""
    wanted, asset, name = ready.wanted, ready.asset, ready.name
    manifest = asset.manifest
    fog = proxy.fog_of(asset.tensors)
    dense = fog.dense()
    shutil.copyfile(wanted.source, folder / f"{name}.neuron")
    preview = _write_preview(folder, name, asset)
    payloads = _write_payloads(folder, wanted.attached, dense)
    layer = AssetLayer(
        name=name,
        version=label_of(number),
        identifier=f"./{name}.usd",
        manifest=manifest,
        file=f"./{name}.neuron",
        preview=preview,
        extent=fog.box(),
        hull=proxy.surround(dense, HULL_CELLS),
        box=dense.box(),
        payloads=payloads,
        colors=wanted.colors,
    )
    asset_layers.write_asset_layer(folder / f"{name}.usd", layer)
    place = f"{name}/{label_of(number)}"
    version = Version(
        name=name,
        number=number,
        digest=manifest.digest,
        asset_id=manifest.asset_id,
        sha256=sha256_of(folder / f"{name}.neuron"),
        looks=tuple(PublishedLook(look.slug, look.prompt) for look in manifest.looks),
        layer=f"{place}/{name}.usd",
        file=f"{place}/{name}.neuron",
        preview=f"{place}{preview.removeprefix('.')}" if preview else "",
        representations=(*payloads, *BUILT_IN),
        attached=ready.sums,
        encoder=manifest.encoder.name if manifest.encoder else "",
        licence=manifest.licence,
        aabb=manifest.aabb,
    )
    write_json(folder / RECORD, version.to_json())
    return version


def _write_payloads(folder: Path, attached: Mapping[str, Path], dense: proxy.Fog) -> dict[str, str]:
    """The payloads of representations, relative to the folder; a mesh is made where none is attached."""
    (folder / "payload").mkdir()
    payloads = {}
    for representation, path in attached.items():
        payloads[representation] = f"./payload/{representation}{path.suffix.lower()}"
        shutil.copyfile(path, folder / payloads[representation])
    if "mesh" not in payloads:
        payloads["mesh"] = "./payload/mesh.usdc"
        asset_layers.write_mesh_layer(folder / payloads["mesh"], proxy.surround(dense, MESH_CELLS))
    return payloads


def _write_preview(folder: Path, name: str, asset: Asset) -> str:
    if "preview.main" not in asset.tensors:
        return ""
    (folder / "preview").mkdir()
    (folder / "preview" / f"{name}.png").write_bytes(asset.tensors["preview.main"].tobytes())
    return f"./preview/{name}.png"


def _lock(folder: Path) -> None:
    """Make the files read-only, and the folders what others expect; mkdtemp makes them private."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o444) & ~mask)
    folder.chmod(0o777 & ~mask)
