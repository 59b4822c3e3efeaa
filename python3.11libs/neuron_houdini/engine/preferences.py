"""What is remembered from one session of Houdini to the next: single values, in files of ours."""

import json
import os
from collections.abc import Mapping
from pathlib import Path


def folder(variables: Mapping[str, str] | None = None) -> Path | None:
    """Neuron's folder among Houdini's preferences; None outside of Houdini."""
    home = (os.environ if variables is None else variables).get("HOUDINI_USER_PREF_DIR", "").strip()
    return Path(home) / "neuron" if home else None


def recall(name: str, key: str, variables: Mapping[str, str] | None = None) -> Path | None:
    """The path that was remembered; None without, also where the file is damaged."""
    home = folder(variables)
    try:
        content = json.loads((home / name).read_text(encoding="utf-8")) if home else {}
    except (OSError, ValueError):
        return None
    path = content.get(key) if isinstance(content, dict) else None
    return Path(path) if isinstance(path, str) and path else None


def remember(name: str, key: str, path: Path) -> None:
    """Write the file, whole or not at all. Outside of Houdini, nothing."""
    home = folder()
    if home is None:
        return
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / f"{name}.part"
    temporary.write_text(json.dumps({key: str(path)}), encoding="utf-8")
    temporary.replace(home / name)
