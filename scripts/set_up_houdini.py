"""Tell Houdini where Neuron is: python scripts/set_up_houdini.py [FOLDER ...] [--engine ENV] [--remove]

Writes neuron.json into the packages folder of every Houdini 20.5 or newer of this account, or into the
given folders. Needs nothing but a Python. Houdini reads the file at its next start.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "python3.11libs"))

from neuron_houdini import package_file  # noqa: E402


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
    folders = wanted.folders or package_file.default_folders()
    if not folders:
        print("There is no Houdini 20.5 or newer of this account. Start it once, or name a packages folder.")
        return 2
    for folder in folders:
        if wanted.remove:
            (folder / package_file.NAME).unlink(missing_ok=True)
            print(f"Removed {folder / package_file.NAME}")
        else:
            content = package_file.package(PROJECT, wanted.engine)
            print(f"Wrote {package_file.write(folder, content)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
