"""Figures of scenes, as `neuron bench` tells them, of the demo's asset."""

from pathlib import Path
from tempfile import TemporaryDirectory

from neuron_core.bench import scenes
from neuron_core.bench.figure import Figure, timed
from neuron_core.bench.inputs import Inputs
from neuron_core.usd import read_stage


def instances16_512_fps(inputs: Inputs) -> Figure:
    """Sixteen instances in one frame."""
    return scenes.instances16_fps(inputs.baked, inputs.device, inputs.runs)


def instances1000_512_s(inputs: Inputs) -> Figure:
    """A thousand instances in one frame."""
    return scenes.instances1000_seconds(inputs.baked, inputs.device, min(inputs.runs, 5))


def instances16_memory(inputs: Inputs) -> Figure:
    """What sixteen instances weigh."""
    return scenes.instances_memory(inputs.baked, inputs.device)


def instances_offscreen_cost(inputs: Inputs) -> Figure:
    """What instances cost that nobody sees."""
    return scenes.offscreen_cost(inputs.baked, inputs.device, inputs.runs)


def instances_ns_per_pixel(inputs: Inputs) -> Figure:
    """What a covered pixel costs."""
    return scenes.coverage_cost(inputs.baked, inputs.device, inputs.runs)


def instances_overlap_cost(inputs: Inputs) -> Figure:
    """What a covered pixel costs where instances interpenetrate."""
    return scenes.overlap_cost(inputs.baked, inputs.device, inputs.runs)


def stage_10k_open_s(inputs: Inputs) -> Figure:
    """A stage with ten thousand references to one asset: opened, every prim read, no weights."""
    count = 500 if inputs.quick else 10_000
    with TemporaryDirectory() as folder:
        stage = _stage_of(Path(folder), inputs.demo.asset, count)

        def opened() -> int:
            return len(read_stage(stage).snapshot(None).assets)

        assert opened() == count
        times = timed(opened, min(inputs.runs, 5), warm=0)
    return Figure(
        "stage_10k_open_s",
        times.median,
        "s",
        "<= 3",
        times.spread(),
        detail=f"{count} references, matrices, looks and the header of the asset; "
        f"{times.cpu_median:.1f} CPU s",
    )


def _stage_of(folder: Path, asset: Path, count: int) -> Path:
    """A layer with a grid of references, written as text: what is measured is reading it."""
    api = 'prepend apiSchemas = ["NeuronAssetAPI"]'
    (folder / "asset.neuron").symlink_to(asset.resolve())
    lines = ["#usda 1.0", '(defaultPrim = "World"', " metersPerUnit = 1", ' upAxis = "Y")']
    lines += [f'class Xform "Asset" ({api})', "{", "    asset neuron:file = @./asset.neuron@", "}"]
    lines += ['def Xform "World"', "{"]
    for number in range(count):
        lines += [
            f'    def Xform "asset_{number}" (prepend references = </Asset>)',
            "    {",
            f"        double3 xformOp:translate = ({number % 100}, 0, {number // 100})",
            '        uniform token[] xformOpOrder = ["xformOp:translate"]',
            "    }",
        ]
    path = folder / "shot.usda"
    path.write_text("\n".join([*lines, "}"]), encoding="utf-8")
    return path
