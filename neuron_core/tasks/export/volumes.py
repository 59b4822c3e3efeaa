"""Volumes of an asset."""

from dataclasses import replace
from pathlib import Path

from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.progress import Reporter
from neuron_core.splats.files import USD_ENDINGS
from neuron_core.tasks.export.config import ExportConfig
from neuron_core.volumes.nvdb import write_nvdb
from neuron_core.volumes.vdb import write_vdb
from neuron_core.volumes.volume import volume_grids
from neuron_core.volumes.volume_usd import write_volume_stage
from neuron_core.voxels.baked import Baked


def export_volume(config: ExportConfig, baked: Baked, slug: str, report: Reporter) -> dict[str, object]:
    """Write density and color; what was written. A USD file gets its .vdb file beside it."""
    out = Path(config.out)
    file = out.with_suffix(".vdb") if out.suffix.lower() in USD_ENDINGS else out
    if file.exists() and not config.overwrite:
        raise ConfigMismatchError(f"{file} is already there.", "Replace it with --overwrite.")
    report.progress(0.1, "volume", slug)
    density, colors = volume_grids(baked, slug)
    grids = [density, replace(colors, half=config.precision == "half")]
    report.progress(0.5, "write", str(file))
    if file.suffix.lower() == ".nvdb":
        write_nvdb(file, grids)
    else:
        fresh = not file.exists()
        write_vdb(file, grids)
        if file != out:
            try:
                write_volume_stage(out, file, grids)
            except BaseException:
                if fresh:
                    file.unlink(missing_ok=True)
                raise
    return {
        "kind": "volume",
        "voxels": len(density),
        "look": slug,
        "files": [str(file)],
        "said": f"{len(density):,} voxels of density and Cd",
    }
