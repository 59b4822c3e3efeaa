"""Where published versions of assets lie: folders of a library that a path or a reference names.

LIBRARY/oak/oak.usd           the entry layer, which is the latest version
LIBRARY/oak/v001/oak.usd      the layer of one version
"""

import re
from pathlib import Path

from pxr import Sdf, Usd

from neuron_core.usd.layers import relative
from neuron_core.usd.records import SceneError

INDEX = "library.json"
LATEST = "latest"  # how a change names the entry layer
VERSION = re.compile(r"v(\d{3,6})")


class LibraryError(SceneError):
    """A library, or something that should be published into one, that is not as it has to be."""

    kind = "library"


def label_of(number: int) -> str:
    """The name of a version's folder."""
    return f"v{number:03d}"


def locate(asset: Path) -> Path:
    """The layer that a path means: a USD file, an asset of a library (LIB/oak), or one version of it.

    A version is LIB/oak/v002. Raises LibraryError if it is nothing of that.
    """
    if asset.is_file():
        return asset
    if asset.is_dir():
        pinned = VERSION.fullmatch(asset.name) is not None
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
    home = folder.parent if VERSION.fullmatch(folder.name) else folder
    return home if layer.stem == home.name and (home / f"{home.name}.usd").is_file() else None


def pin(prim: Usd.Prim, version: str) -> None:
    """Point the reference of a prim to another version of its asset, as in v002, or to the entry layer.

    Raises SceneError for a prim that references no published asset, LibraryError for a version that is
    not there.
    """
    layer = prim.GetStage().GetRootLayer()
    spec = layer.GetPrimAtPath(prim.GetPath())
    root = Path(layer.realPath).parent
    for operations in ("prependedItems", "appendedItems", "explicitItems"):
        items = list(getattr(spec.referenceList, operations)) if spec else []
        for index, item in enumerate(items):
            home = home_of(Path(layer.ComputeAbsolutePath(item.assetPath)))
            if home is None:
                continue
            target = locate(home if version == LATEST else home / version)
            items[index] = Sdf.Reference(
                relative(target, root), item.primPath, item.layerOffset, item.customData
            )
            setattr(spec.referenceList, operations, items)
            return
    raise SceneError(
        f"{prim.GetPath()} does not reference an asset of a library here.", "Add it with: neuron scene add"
    )
