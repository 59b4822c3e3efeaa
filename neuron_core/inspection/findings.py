"""What was found out about a file, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.wording import listed


class InspectError(NeuronError):
    """A path that is nothing Neuron knows, or is not what its name says."""

    kind = "inspect"


@dataclass(frozen=True, slots=True)
class Findings:
    """A kind of file by a stable word, lines for a person (the title first), and plain data."""

    kind: str
    title: str
    lines: Sequence[str]
    details: dict[str, object] = field(default_factory=dict)

    def to_result(self, path: Path) -> dict[str, object]:
        """The body of the task's result."""
        rows = [f"{path}: {self.title}", *(f"  {line}" for line in self.lines if line)]
        summary = "\n".join(_printable(row) for row in rows)
        return {"kind": self.kind, "path": str(path), "summary": summary, "details": self.details}


def _printable(text: str) -> str:
    """A row for a terminal: names in files may hold control characters."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def byte_size(count: int) -> str:
    """A number of bytes in the unit that suits it."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}" if unit != "bytes" else f"{count} bytes"


def box_size(low: Sequence[float], high: Sequence[float]) -> str:
    """The sides of a box in meters."""
    return " x ".join(f"{b - a:.4g}" for a, b in zip(low, high, strict=True)) + " m"


def figures(values: dict[str, object]) -> str:
    """Numbers with their names, those in nested objects with the path to them."""
    found: list[str] = []
    _collect_figures(values, "", found)
    return listed(found, 12)


def _collect_figures(value: object, name: str, found: list[str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _collect_figures(item, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.append(f"{name} {value:.4g}")
