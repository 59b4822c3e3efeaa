"""Write neuron_core/schema/generatedSchema.usda and plugInfo.json from schema.usda.

    python scripts/make_schema.py

Runs the generator that ships with USD (`usdGenSchema.py`, which needs jinja2).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCHEMA = Path(__file__).resolve().parents[1] / "neuron_core" / "schema"
GENERATED = ("generatedSchema.usda", "plugInfo.json")
PLACES = {"@PLUG_INFO_LIBRARY_PATH@": "", "@PLUG_INFO_RESOURCE_PATH@": ".", "@PLUG_INFO_ROOT@": "."}


def generate(source: Path) -> dict[str, str]:
    """The files that belong to a schema source, by name."""
    with tempfile.TemporaryDirectory() as folder:
        run_generator(source, Path(folder))
        schema = (Path(folder) / GENERATED[0]).read_text(encoding="utf-8")
        info = (Path(folder) / GENERATED[1]).read_text(encoding="utf-8")
    return {GENERATED[0]: schema, GENERATED[1]: codeless(info)}


def run_generator(source: Path, folder: Path) -> None:
    """Let USD's generator write its files to a folder."""
    import pxr

    generator = Path(pxr.__file__).parent / "Usd" / "usdGenSchema.py"
    done = subprocess.run(
        [sys.executable, str(generator), str(source), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"usdGenSchema failed:\n{done.stdout}{done.stderr}")


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


def main() -> None:
    """Write the generated files beside their source."""
    for name, text in generate(SCHEMA / "schema.usda").items():
        (SCHEMA / name).write_text(text, encoding="utf-8")
        print(SCHEMA / name)


if __name__ == "__main__":
    main()
