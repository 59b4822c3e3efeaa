"""`neuron grid`: an asset as arrays on a lattice."""

from pathlib import Path

from neuron_core.assets import AssetError
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.outputs import claim_file
from neuron_core.foundation.progress import Reporter
from neuron_core.tasks.grid.config import GridConfig
from neuron_core.volumes.grids import read_grid


def run(config: GridConfig, report: Reporter) -> dict[str, object]:
    """Write the grid. The same command again says that it is done.

    Raises NeuronError for a source that is not a baked asset, a look that it does not have, and a target
    that holds something else.
    """
    from neuron_core.volumes.sampled import step_for, write_samples
    from neuron_core.voxels.baked import read_baked

    source, out = Path(config.asset), Path(config.out)
    if not source.is_file():
        raise FileError(f"There is no file {source}.", "Give a .neuron file.")
    if source.suffix.lower() != ".neuron":
        raise AssetError(f"{source} is no .neuron file.", "Grids are made from baked assets.")
    report.progress(0.0, "load", str(source))
    baked = read_baked(source)
    look = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    step = step_for(baked, config.resolution)
    wanted = {"digest": baked.manifest.digest, "look": look, "step": step}
    if claim_file(out, config.overwrite, "another grid", wanted, _made_with) == "fresh":
        report.progress(0.1, "grid", look)
        write_samples(out, baked, look, step)
        report.progress(1.0, "grid", str(out))
    count, size = len(read_grid(out).density), out.stat().st_size
    summary = f"{out}: {count:,} samples of {look}, {size / 1e6:.1f} MB."
    return {"path": str(out), "samples": count, "look": look, "bytes": size, "summary": summary}


def _made_with(path: Path) -> dict[str, object]:
    found = read_grid(path)
    return {"digest": found.digest, "look": found.look, "step": found.step}
