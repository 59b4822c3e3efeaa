"""`neuron bench`: measure the figures one after another and keep each as soon as it is there."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuron_core.bench.config import BenchConfig
from neuron_core.bench.figure import Figure
from neuron_core.bench.inputs import Inputs
from neuron_core.bench.process import measured
from neuron_core.bench.table import write_table
from neuron_core.demo.machine import machine, versions
from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import read_json, write_json
from neuron_core.foundation.outputs import claim_file
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.kernels.launch import CORES

VERSION = 1
SETTINGS = ("device", "runs", "quick", "asset")


@dataclass(frozen=True, slots=True)
class Entry:
    """A figure by name; `measure` is written `module:function` and imported when it is its turn.

    Figures of one group are measured in one process, one after another.
    """

    name: str
    group: str
    measure: str


def _entries(group: str, module: str, *names: str) -> tuple[Entry, ...]:
    return tuple(Entry(name, group, f"neuron_core.bench.{module}:{name}") for name in names)


ENTRIES = (
    *_entries("frames", "rendering", "nvf_512_fps", "nvf_1080_fps", "nvf_psnr_db", "frame_scaling"),
    *_entries("vtk", "rendering", "nvf_vs_vtk"),
    *_entries("mitsuba", "rendering", "nvf_vs_mitsuba"),
    *_entries("looks", "rendering", "look_ms", "render_cold_s"),
    *_entries("training", "training_figures", "train_rays_per_s", "train_30db_s"),
    *_entries("training", "training_figures", "step_vs_torch", "train_scaling"),
    *_entries("scenes", "scene_figures", "instances16_512_fps", "instances1000_512_s", "instances16_memory"),
    *_entries("scenes", "scene_figures", "instances_offscreen_cost", "instances_ns_per_pixel"),
    *_entries("scenes", "scene_figures", "instances_overlap_cost", "stage_10k_open_s"),
    *_entries("delivery", "delivery_figures", "splat_fit_s", "vdb_write_s"),
)


def run(config: BenchConfig, report: Reporter) -> dict[str, object]:
    """Measure what is asked for.

    Figures that the file has from the same settings are not repeated; those that could not be measured are
    tried again.
    """
    chosen = _chosen(config.only)
    warp_device(config.device)
    kept = _kept(config)
    settings = {name: _plain(getattr(config, name)) for name in SETTINGS}

    tried: set[str] = set()

    def keep(figure: dict[str, object]) -> None:
        tried.add(str(figure["name"]))
        kept[str(figure["name"])] = figure
        _write(config.out, settings, kept)

    missing = [entry for entry in chosen if kept.get(entry.name, {}).get("value") is None]
    groups = list(dict.fromkeys(entry.group for entry in missing))
    for number, group in enumerate(groups):
        part = Part(report, number / len(groups), (number + 1) / len(groups))
        names = [entry.name for entry in missing if entry.group == group]
        code = measured(measure, config, names, part, keep)
        for name in names:
            if code != 0 and name not in tried:
                keep(Figure(name, None, "", detail=f"its process ended with code {code}").to_json())
    body = _write(config.out, settings, kept)
    table = config.out.with_suffix(".md")
    report.progress(1.0, "bench", f"{len(chosen)} figures")
    return {**body, "file": str(config.out), "table": str(table), "message": table.read_text("utf-8")}


def measure(config: BenchConfig, name: str, report: Reporter, shared: dict[str, Any]) -> dict[str, object]:
    """One figure as plain data. `shared` is kept for the next ones of its group."""
    inputs: Inputs = shared.setdefault("inputs", Inputs(config, report))
    report.progress(0.0, "bench", name)
    return _function(next(entry for entry in ENTRIES if entry.name == name))(inputs).to_json()


def _chosen(only: str) -> list[Entry]:
    """Raises NeuronError for a name that fits nothing."""
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    for name in wanted:
        if not any(entry.name.startswith(name) for entry in ENTRIES):
            known = ", ".join(entry.name for entry in ENTRIES)
            raise NeuronError(f"There is no figure {name!r}.", f"There are: {known}.")
    return [entry for entry in ENTRIES if not wanted or any(entry.name.startswith(name) for name in wanted)]


def _kept(config: BenchConfig) -> dict[str, Mapping[str, Any]]:
    """Figures of an earlier call by name. Raises ConfigMismatchError if it had other settings."""
    settings = {name: getattr(config, name) for name in SETTINGS}
    if claim_file(config.out, config.overwrite, "figures of other settings", settings, _made_with) == "fresh":
        return {}
    figures: list[Mapping[str, Any]] = _stored(config.out).get("figures", [])
    return {str(figure["name"]): figure for figure in figures}


def _made_with(out: Path) -> Mapping[str, object]:
    settings = _stored(out).get("settings")
    return settings if isinstance(settings, dict) else {}


def _stored(out: Path) -> dict[str, Any]:
    content = read_json(out)
    return content if isinstance(content, dict) else {}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _function(entry: Entry) -> Callable[[Inputs], Figure]:
    module, _, name = entry.measure.partition(":")
    found: Callable[[Inputs], Figure] = getattr(importlib.import_module(module), name)
    return found


def _write(
    out: Path, settings: Mapping[str, object], figures: Mapping[str, Mapping[str, Any]]
) -> dict[str, object]:
    order = {entry.name: number for number, entry in enumerate(ENTRIES)}
    body: dict[str, object] = {
        "version": VERSION,
        "machine": {**machine(), "threads": str(CORES)},
        "versions": versions(),
        "settings": dict(settings),
        "figures": sorted(figures.values(), key=lambda figure: order.get(str(figure["name"]), len(order))),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, body)
    write_table(out.with_suffix(".md"), body)
    return body
