"""The files that USD reads of the schema, generated from its source by the generator that ships with USD.

The generator (`usdGenSchema.py`) needs jinja2.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pxr

from neuron_core.usd.records import SceneError

GENERATED = ("generatedSchema.usda", "plugInfo.json")
PLACES = {"@PLUG_INFO_LIBRARY_PATH@": "", "@PLUG_INFO_RESOURCE_PATH@": ".", "@PLUG_INFO_ROOT@": "."}


def generate(source: Path) -> dict[str, str]:
    """The files that belong to a schema source, by name. Raises SceneError if the generator refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        _run_generator(source, Path(folder))
        schema = (Path(folder) / GENERATED[0]).read_text(encoding="utf-8")
        info = (Path(folder) / GENERATED[1]).read_text(encoding="utf-8")
    return {GENERATED[0]: schema, GENERATED[1]: codeless(info)}


def _run_generator(source: Path, folder: Path) -> None:
    generator = Path(pxr.__file__).parent / "Usd" / "usdGenSchema.py"
    command = [sys.executable, str(generator), str(source), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SceneError(
            f"usdGenSchema failed on {source}:\n{done.stdout}{done.stderr}",
            "Install jinja2, or mend the source.",
        )


def codeless(plug_info: str) -> str:
    """The generated plugInfo.json without comments, its places filled in for files that lie beside it."""
    rows = [row for row in plug_info.splitlines() if not row.lstrip().startswith("#")]
    info = json.loads("\n".join(rows))
    for plugin in info["Plugins"]:
        plugin["Type"] = "resource"
        for key in ("Root", "ResourcePath", "LibraryPath"):
            if key in plugin:
                plugin[key] = PLACES.get(plugin[key], plugin[key])
        if not plugin.get("LibraryPath"):
            plugin.pop("LibraryPath", None)
    return json.dumps(info, indent=4, sort_keys=True) + "\n"
