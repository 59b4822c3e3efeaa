"""A look of a baked asset as a volume: OpenVDB or NanoVDB, and a stage that names it."""

from dataclasses import replace
from pathlib import Path

from neuron_core.foundation.outputs import all_or_none, require_free
from neuron_core.foundation.progress import Reporter
from neuron_core.volumes.from_bricks import volume_grids
from neuron_core.volumes.nvdb import write_nvdb
from neuron_core.volumes.usd import write_volume_stage
from neuron_core.volumes.vdb import write_vdb
from neuron_core.voxels.baked import Baked

ENDINGS = (".vdb", ".nvdb")  # any other is a stage, which gets its .vdb file beside it


def deliver_volume(
    out: Path, baked: Baked, slug: str, half: bool, overwrite: bool, report: Reporter
) -> dict[str, object]:
    """Write density and color, `half` floats if asked for; what was written.

    Raises ConfigMismatchError if a file beside a stage is there and not to be overwritten.
    """
    is_stage = out.suffix.lower() not in ENDINGS
    file = out.with_suffix(".vdb") if is_stage else out
    require_free([file], overwrite)
    report.progress(0.1, "volume", slug)
    density, colors = volume_grids(baked, slug)
    grids = [density, replace(colors, half=half)]
    report.progress(0.5, "write", str(file))
    with all_or_none([file]):
        if file.suffix.lower() == ".nvdb":
            write_nvdb(file, grids)
        else:
            write_vdb(file, grids)
        if is_stage:
            write_volume_stage(out, file, grids)
    return {
        "kind": "volume",
        "voxels": len(density),
        "look": slug,
        "files": [str(file)],
        "said": f"{len(density):,} voxels of density and Cd",
    }
