"""Tell Houdini where Neuron is: python scripts/set_up_houdini.py [FOLDER ...] [--engine ENV] [--remove]

Writes neuron.json into the packages folder of every Houdini 20.5 or newer of this account, or into the
given folders. Needs nothing but a Python. Houdini reads the file at its next start.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NAME = "neuron.json"
OLDEST = (20, 5)
_PREFERENCES = re.compile(r"(?:houdini)?(\d+)\.(\d+)")


def package(project: Path, engine: str = "") -> dict[str, object]:
    """The project's own package, with the folder of the project written out."""
    content: dict[str, object] = json.loads((project / "houdini_package.json").read_text(encoding="utf-8"))
    env = content["env"]
    assert isinstance(env, list) and env[0] == {"NEURON": "$HOUDINI_PACKAGE_PATH"}
    own = [{"NEURON_ENV": engine}] if engine else []
    return content | {"env": [{"NEURON": project.as_posix()}, *own, *env[1:]]}


def preference_folders(home: Path, platform: str) -> list[Path]:
    """Where the Houdinis of an account keep their settings, those that Neuron works with."""
    if platform == "darwin":
        candidates = sorted((home / "Library/Preferences/houdini").glob("*"))
    elif platform == "win32":
        candidates = sorted((home / "Documents").glob("houdini*"))
    else:
        candidates = sorted(home.glob("houdini*"))
    return [folder for folder in candidates if folder.is_dir() and _is_new_enough(folder.name)]


def _is_new_enough(name: str) -> bool:
    match = _PREFERENCES.fullmatch(name)
    return match is not None and (int(match[1]), int(match[2])) >= OLDEST


def default_folders() -> list[Path]:
    """The packages folders of this account; HOUDINI_USER_PREF_DIR names the only one, if it is set."""
    own = os.environ.get("HOUDINI_USER_PREF_DIR", "").strip()
    homes = [Path(own)] if own else preference_folders(Path.home(), sys.platform)
    return [home / "packages" for home in homes]


def write(folder: Path, content: object) -> Path:
    """Write the package file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / (NAME + ".part")
    temporary.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(folder / NAME)
    return folder / NAME


def main(words: Sequence[str] | None = None) -> int:
    """Write or remove the files; 2 if there is no Houdini to tell."""
    parser = argparse.ArgumentParser(description="Tell Houdini where Neuron is.")
    parser.add_argument(
        "folders", nargs="*", type=Path, help="packages folders; default: all of this account"
    )
    parser.add_argument(
        "--engine", default="", help="the engine's environment, for everybody who reads the file"
    )
    parser.add_argument("--remove", action="store_true", help="take the files away again")
    wanted = parser.parse_args(words)
    folders = wanted.folders or default_folders()
    if not folders:
        print("There is no Houdini 20.5 or newer of this account. Start it once, or name a packages folder.")
        return 2
    for folder in folders:
        if wanted.remove:
            (folder / NAME).unlink(missing_ok=True)
            print(f"Removed {folder / NAME}")
        else:
            print(f"Wrote {write(folder, package(PROJECT, wanted.engine))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
