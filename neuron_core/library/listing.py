"""What a library holds, for people and programs."""

from pathlib import Path

from neuron_core.foundation.wording import counted
from neuron_core.library.index import read_library


def list_library(library: Path) -> dict[str, object]:
    """The assets of a library with their versions and looks."""
    assets = read_library(library)
    rows = [f"{library}: {counted(len(assets), 'asset')}"]
    for name, versions in assets.items():
        latest = versions[-1]
        looks = ", ".join(look.slug for look in latest.looks)
        rows.append(f"  {name}  {latest.label} of {len(versions)}, looks {looks}")
    return {
        "library": str(library),
        "assets": {
            name: {
                "latest": versions[-1].label,
                "entry": str(library / name / f"{name}.usd"),
                "versions": [version.to_json() for version in versions],
            }
            for name, versions in assets.items()
        },
        "summary": "\n".join(rows),
    }
