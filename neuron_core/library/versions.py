"""A library of published assets: a folder of versions that never change.

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
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pxr import UsdGeom

from neuron_core.assets import Asset, Look, is_slug, read_asset, slug_of
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import read_json, replacing, sha256_of, write_json
from neuron_core.usd import author, proxy
from neuron_core.usd.author import AssetLayer, Color
from neuron_core.usd.records import SceneError
from neuron_core.usd.snapshot import read_stage

INDEX = "library.json"
RECORD = "publish.json"
FORMAT = 1
HULL_CELLS = 12  # along the longest side of the grey box
MESH_CELLS = 48  # of the mesh that other hosts draw
TRIES = 64  # numbers that others may take while we publish
USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
BUILT_IN = ("proxy", "box")  # representations that every asset has
_VERSION = re.compile(r"v(\d{3,6})")


class LibraryError(SceneError):
    """A library, or something that should be published into one, that is not as it has to be."""

    kind = "library"


@dataclass(frozen=True, slots=True)
class Version:
    """One published version, as its record says. Paths are relative to the library."""

    name: str
    number: int
    digest: str
    asset_id: str
    sha256: str  # of the .neuron file
    looks: tuple[Look, ...]
    layer: str
    file: str
    preview: str  # "" where the asset has none
    representations: tuple[str, ...]
    attached: Mapping[str, str] = field(default_factory=dict)  # representation -> sha256 of the source
    encoder: str = ""
    licence: str = ""
    aabb: tuple[tuple[float, ...], ...] = ()

    @property
    def label(self) -> str:
        """As in v003."""
        return label_of(self.number)

    def to_json(self) -> dict[str, object]:
        """Plain JSON, the inverse of `from_json`."""
        return {
            "version": FORMAT,
            "name": self.name,
            "number": self.number,
            "digest": self.digest,
            "asset_id": self.asset_id,
            "sha256": self.sha256,
            "looks": [{"slug": look.slug, "prompt": look.prompt} for look in self.looks],
            "layer": self.layer,
            "file": self.file,
            "preview": self.preview,
            "representations": list(self.representations),
            "attached": dict(self.attached),
            "encoder": self.encoder,
            "licence": self.licence,
            "aabb": [list(corner) for corner in self.aabb],
        }

    @staticmethod
    def from_json(content: object, where: Path) -> "Version":
        """Read it back. Raises LibraryError that names `where`."""
        try:
            if not isinstance(content, dict) or content["version"] != FORMAT:
                raise TypeError
            texts = {key: content[key] for key in ("name", "digest", "asset_id", "sha256", "layer", "file")}
            texts |= {key: content[key] for key in ("preview", "encoder", "licence")}
            if (
                not all(isinstance(text, str) for text in texts.values())
                or type(content["number"]) is not int
            ):
                raise TypeError
            return Version(
                **texts,
                number=content["number"],
                looks=tuple(Look(str(look["slug"]), str(look["prompt"])) for look in content["looks"]),
                representations=tuple(map(str, content["representations"])),
                attached={str(key): str(value) for key, value in content["attached"].items()},
                aabb=tuple(tuple(map(float, corner)) for corner in content["aabb"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise LibraryError(f"{where} is no record of a published version.", "Publish it again.") from None


def label_of(number: int) -> str:
    """The name of a version's folder."""
    return f"v{number:03d}"


# --- publishing ---


@dataclass(frozen=True, slots=True)
class Submission:
    """What is to be published, and as what."""

    source: Path  # the .neuron file
    library: Path
    name: str = ""  # a slug; default: the asset's own name
    number: int = 0  # of the version; default: the next one
    attached: Mapping[str, Path] = field(default_factory=dict)
    """USD files by representation, in metres with Y up, that are copied and offered beside the built-in
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
    LibraryError for a version that exists, a name that is none, a representation that cannot be.
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
        raise LibraryError(f"{wanted.number} is no number of a version.", "They count from 1.")
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
            f"{path} is in units of {unit:g} m with {up} up; assets are in metres with Y up.",
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
    author.write_asset_layer(folder / f"{name}.usd", layer)
    place = f"{name}/{label_of(number)}"
    version = Version(
        name=name,
        number=number,
        digest=manifest.digest,
        asset_id=manifest.asset_id,
        sha256=sha256_of(folder / f"{name}.neuron"),
        looks=tuple(Look(look.slug, look.prompt) for look in manifest.looks),
        layer=f"{place}/{name}.usd",
        file=f"{place}/{name}.neuron",
        preview=f"{place}{preview.removeprefix('.')}" if preview else "",
        representations=(*payloads, *BUILT_IN),
        attached=ready.sums,
        encoder=manifest.encoder.id if manifest.encoder else "",
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
        author.write_mesh_layer(folder / payloads["mesh"], proxy.surround(dense, MESH_CELLS))
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


# --- what there is ---


def versions_of(library: Path, name: str) -> list[Version]:
    """All whole versions of an asset, oldest first. Raises LibraryError for a damaged record."""
    home = library / name
    numbered = sorted(
        (int(match[1]), folder)
        for folder in (home.iterdir() if home.is_dir() else ())
        if (match := _VERSION.fullmatch(folder.name)) and (folder / RECORD).is_file()
    )
    return [Version.from_json(read_json(folder / RECORD), folder / RECORD) for _, folder in numbered]


def refresh(library: Path, name: str) -> None:
    """Point the entry layer of an asset to its latest version, and write the index again."""
    latest = versions_of(library, name)[-1]
    entry = library / name / f"{name}.usd"
    with replacing(entry) as temporary:
        temporary.unlink()  # USD creates it
        author.write_entry_layer(temporary, name, f"./{latest.label}/{name}.usd")
    write_json(library / INDEX, index_of(library))


def names_in(library: Path) -> list[str]:
    """The assets of a library. Raises LibraryError if the folder is none."""
    if not library.is_dir():
        raise LibraryError(
            f"There is no library at {library}.", "Publish into it: neuron publish ASSET LIBRARY"
        )
    return sorted(
        home.name
        for home in library.iterdir()
        if is_slug(home.name) and (home / f"{home.name}.usd").is_file()
    )


def index_of(library: Path) -> dict[str, object]:
    """The content of library.json, made from the folders."""
    assets = {name: versions_of(library, name) for name in names_in(library)}
    return {
        "version": FORMAT,
        "assets": {
            name: {
                "latest": versions[-1].label,
                "entry": f"{name}/{name}.usd",
                "versions": {version.label: version.to_json() for version in versions},
            }
            for name, versions in assets.items()
            if versions
        },
    }


def read_library(library: Path) -> dict[str, list[Version]]:
    """All assets by name with their versions, oldest first. Raises LibraryError."""
    found = {name: versions_of(library, name) for name in names_in(library)}
    return {name: versions for name, versions in found.items() if versions}


def locate(asset: Path) -> Path:
    """The layer that a path means: a USD file, an asset of a library (LIB/oak), or one version of it.

    A version is LIB/oak/v002. Raises LibraryError if it is nothing of that.
    """
    if asset.is_file():
        return asset
    if asset.is_dir():
        pinned = _VERSION.fullmatch(asset.name) is not None
        layer = asset / f"{asset.parent.name if pinned else asset.name}.usd"
        if layer.is_file():
            return layer
        raise LibraryError(
            f"{asset} is a folder, but no published asset.", "Name a USD file or LIBRARY/NAME."
        )
    beside = asset.parent.iterdir() if asset.parent.is_dir() else ()
    known = sorted(path.name for path in beside if not path.name.startswith(".") and path.name != INDEX)
    raise LibraryError(
        f"There is no asset at {asset}.",
        f"There are: {', '.join(known)}." if known else "Look at the path.",
    )


def home_of(layer: Path) -> Path | None:
    """The folder of the asset that a layer of a library belongs to, entry or version; else None."""
    folder = layer.parent
    home = folder.parent if _VERSION.fullmatch(folder.name) else folder
    return home if layer.stem == home.name and (home / f"{home.name}.usd").is_file() else None
