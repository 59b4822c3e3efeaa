"""All checks in their order, and the report."""

from __future__ import annotations  # names of hou differ between versions

import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from houdini_assets.nodes import NODES

from neuron_houdini.nodes.rops import batch
from neuron_houdini.verify import installation, windows
from neuron_houdini.verify.check import Check, Outcome, Problem, Skipped, State, Work
from neuron_houdini.verify.exercises import EXERCISES

LIMIT = 15 * 60  # seconds; no check begins later


def checks() -> list[tuple[str, Check]]:
    """All of them, in the order in which they are run."""
    known: list[tuple[str, Check]] = [
        ("versions", installation.check_versions),
        ("package", installation.check_package),
    ]
    known += [(f"interface of {node_type.name}", installation.check_type(node_type)) for node_type in NODES]
    known += [("packed files", installation.check_packed), ("engine", installation.check_engine)]
    known += [(f"node {name}", check) for name, check in EXERCISES.items()]
    return [*known, ("shelf", windows.check_shelf), ("panel", windows.check_panel)]


def perform(name: str, check: Check, work: Work, deadline: float) -> Outcome:
    """Run one check. Whatever it raises belongs into the report."""
    started = time.monotonic()
    if started > deadline:
        return Outcome(name, "skipped", 0.0, "no time was left")
    state: State = "failed"
    try:
        state, text = "ok", check(work)
    except Skipped as reason:
        state, text = "skipped", str(reason)
    except Problem as problem:
        text = str(problem)
    except Exception:  # noqa: BLE001  # the report is what this is for
        text = traceback.format_exc()
    return Outcome(name, state, time.monotonic() - started, text)


def write_report(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """As a table for people, and as JSON."""
    rows = [asdict(outcome) for outcome in outcomes]
    (folder / "report.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    lines = ["# Neuron in Houdini", "", "| check | | seconds | |", "|---|---|---|---|"]
    for outcome in outcomes:
        text = outcome.text.strip().replace("|", "\\|").replace("\n", "<br>")
        lines.append(f"| {outcome.name} | {outcome.state} | {outcome.seconds:.1f} | {text} |")
    (folder / "report.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def main(words: Sequence[str]) -> int:
    """Run everything, write the report after every check; 1 if something failed."""
    folder = Path(words[0] if words else "neuron-verification").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    batch.install_types()
    work, deadline = Work(folder), time.monotonic() + LIMIT
    outcomes: list[Outcome] = []
    for name, check in checks():
        outcomes.append(perform(name, check, work, deadline))
        _say(f"{outcomes[-1].state:8} {name}: {outcomes[-1].text.splitlines()[-1:]}")
        write_report(folder, outcomes)
    failed = sum(outcome.state == "failed" for outcome in outcomes)
    _say(f"{failed} of {len(outcomes)} failed. The report is in {folder / 'report.md'}")
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
