"""The map names what is there, and all of it."""

import re
from pathlib import Path

from neuron_core.bench.trips import LAYERS

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:neuron_core|python3\.11libs|otls|scripts|tests|docs|viewport)(?:/[\w.]+)*)`")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]*)?\)")


def test_every_path_of_the_map_exists() -> None:
    missing = [name for name in PATH.findall(MAP) if not (ROOT / name).exists()]
    assert not missing


def test_every_room_is_on_the_map() -> None:
    rooms = [path.parent.name for path in (ROOT / "neuron_core").glob("*/__init__.py")]
    assert not [room for room in rooms if f"| `neuron_core/{room}` |" not in MAP]


def test_rooms_are_listed_in_the_order_in_which_they_may_be_imported() -> None:
    listed = re.findall(r"^\| `neuron_core/(\w+)` \|", MAP, re.MULTILINE)
    assert [room for room in listed if room in LAYERS] == [room for room in LAYERS if room in listed]


def test_links_of_all_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert not broken
