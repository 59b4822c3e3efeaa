"""`neuron grid`: an asset as arrays on a lattice."""

import io
from pathlib import Path

import numpy as np

from neuron_core.assets import AssetError
from neuron_core.foundation.errors import ConfigMismatchError, FileError
from neuron_core.foundation.files import write_bytes
from neuron_core.foundation.progress import Reporter
from neuron_core.tasks.grid.config import GridConfig
from neuron_core.volumes.grids import FORMAT, read_grid


def run(config: GridConfig, report: Reporter) -> dict[str, object]:
    """Write the grid. The same command again says that it is done.

    Raises NeuronError for a source that is no baked asset, a look that it does not have, and a target
    that holds something else.
    """
    from neuron_core.volumes.volume import voxel_samples
    from neuron_core.voxels.baked import read_baked
    from neuron_core.voxels.nvf import CELLS

    source, out = Path(config.asset), Path(config.out)
    if not source.is_file():
        raise FileError(f"There is no file {source}.", "Give a .neuron file.")
    if source.suffix.lower() != ".neuron":
        raise AssetError(f"{source} is no .neuron file.", "Grids are made from baked assets.")
    report.progress(0.0, "load", str(source))
    baked = read_baked(source)
    look = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    step = -(-CELLS * max(baked.nvf.top.shape) // config.resolution)
    if out.exists() and not config.overwrite:
        _require_same(out, baked.manifest.digest, look, step)
        return _answer(out, look)
    report.progress(0.1, "grid", look)
    samples = voxel_samples(baked, look)
    kept = (samples.voxels % step == 0).all(axis=1)
    low = samples.voxels[kept] // step
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        format=np.array(FORMAT),
        digest=np.array(baked.manifest.digest),
        look=np.array(look),
        step=np.array(step),
        origin=np.asarray(samples.origin, np.float64),
        spacing=np.array(samples.voxel_size * step),
        voxels=low.astype(np.int16),
        density=samples.density[kept].astype(np.float32),
        normal=samples.normals[kept].astype(np.float16),
        color=samples.colors[kept].astype(np.float16),
        code=samples.codes[kept].astype(np.float16),
    )
    write_bytes(out, stream.getvalue())
    report.progress(1.0, "grid", str(out))
    return _answer(out, look)


def _require_same(out: Path, digest: str, look: str, step: int) -> None:
    """Raise ConfigMismatchError for a file that is not this grid."""
    found = read_grid(out)
    if (found.digest, found.look, found.step) != (digest, look, step):
        raise ConfigMismatchError(f"{out} is there already and holds another grid.", "Add --overwrite.")


def _answer(out: Path, look: str) -> dict[str, object]:
    count, size = len(read_grid(out).density), out.stat().st_size
    summary = f"{out}: {count:,} samples of {look}, {size / 1e6:.1f} MB."
    return {"path": str(out), "samples": count, "look": look, "bytes": size, "summary": summary}
