"""What a library holds: assets, their versions, the entry layers and the index that are made from them."""

from pathlib import Path

from neuron_core.assets import is_slug
from neuron_core.foundation.files import read_json, replacing, write_json
from neuron_core.library.version import FORMAT, RECORD, Version
from neuron_core.usd import asset_layers
from neuron_core.usd.published import INDEX, VERSION, LibraryError


def versions_of(library: Path, name: str) -> list[Version]:
    """All whole versions of an asset, oldest first. Raises LibraryError for a damaged record."""
    home = library / name
    numbered = sorted(
        (int(match[1]), folder)
        for folder in (home.iterdir() if home.is_dir() else ())
        if (match := VERSION.fullmatch(folder.name)) and (folder / RECORD).is_file()
    )
    return [Version.from_json(read_json(folder / RECORD), folder / RECORD) for _, folder in numbered]


def refresh(library: Path, name: str) -> None:
    """Point the entry layer of an asset to its latest version, and write the index again."""
    latest = versions_of(library, name)[-1]
    entry = library / name / f"{name}.usd"
    with replacing(entry) as temporary:
        temporary.unlink()  # USD creates it
        asset_layers.write_entry_layer(temporary, name, f"./{latest.label}/{name}.usd")
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
