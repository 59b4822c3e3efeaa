"""The package file that tells Houdini where Neuron is, and where Houdini looks for such files.

Needs nothing but a Python: it runs before there is an engine, outside of Houdini.
"""

import json
import os
import re
import sys
from pathlib import Path

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
