"""`neuron export`: an asset, or splats of any origin, to a file of another program."""

import time
from pathlib import Path

from neuron_core.assets import AssetError
from neuron_core.foundation.errors import ConfigMismatchError, FileError, NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.splats.cloud import Encoding, Splats
from neuron_core.splats.files import READABLE, WRITABLE, read_splats, write_splats
from neuron_core.splats.moving import in_encoding, turned_upside_down
from neuron_core.tasks.export.config import ExportConfig

VOLUMES = (".vdb",)
DISPLAY_REFERRED = (".ply", ".spz")  # what their viewers show without a color transform


def run(config: ExportConfig, report: Reporter) -> dict[str, object]:
    """Write the file. Raises NeuronError for an ending that is none of ours, a source that cannot be
    read, a look that it does not have, or a target that is there."""
    source, out = Path(config.source), Path(config.out)
    ending = out.suffix.lower()
    if ending not in (*WRITABLE, *VOLUMES):
        raise NeuronError(
            f"{out} has no ending that says what to write.",
            f"Take one of {', '.join((*WRITABLE, *VOLUMES))}.",
        )
    if not source.is_file():
        raise FileError(f"There is no file {source}.", "Give a .neuron file or a file of splats.")
    if out.exists() and not config.overwrite:
        raise ConfigMismatchError(f"{out} is already there.", "Replace it with --overwrite.")
    started, spent = time.perf_counter(), time.process_time()
    report.progress(0.0, "load", str(source))
    body = _volume(config, report) if ending in VOLUMES else _splats(config, report)
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    size = out.stat().st_size
    report.progress(1.0, "export", str(out))
    summary = f"{out}: {body.pop('said')}, {size / 1e6:.1f} MB, {seconds:.1f} s."
    return {
        "path": str(out),
        "bytes": size,
        **body,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "summary": summary,
    }


def _splats(config: ExportConfig, report: Reporter) -> dict[str, object]:
    ending = Path(config.out).suffix.lower()
    if Path(config.source).suffix.lower() == ".neuron":
        splats, look = _fitted(config, ending, report)
    elif Path(config.source).suffix.lower() in READABLE:
        splats, look = _converted(config), ""
    else:
        raise AssetError(f"{config.source} is no .neuron file and no file of splats.", "See neuron inspect.")
    if ending == ".ply" and config.ply_axes == "rdf":
        splats = turned_upside_down(splats)
    write_splats(config.out, splats, config.precision == "half")
    body: dict[str, object] = {"kind": "splats", "splats": len(splats), "degree": splats.degree, "look": look}
    return {**body, "color": splats.encoding, "said": f"{len(splats):,} splats of degree {splats.degree}"}


def _fitted(config: ExportConfig, ending: str, report: Reporter) -> tuple[Splats, str]:
    from neuron_core.splats.fitting import FitSettings, fit_splats
    from neuron_core.tasks.render.tracing import warp_device
    from neuron_core.voxels.baked import read_baked

    baked = read_baked(config.source)
    slug = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    encoding: Encoding = "srgb" if ending in DISPLAY_REFERRED else "linear"
    if config.splat_color != "auto":
        encoding = config.splat_color
    settings = FitSettings(config.max_splats, config.degree, encoding, config.steps, config.views)

    def tell(fraction: float, stage: str, message: str) -> None:
        report.progress(0.98 * fraction, stage, message)

    return fit_splats(baked, slug, settings, warp_device(config.device), tell), slug


def _converted(config: ExportConfig) -> Splats:
    """Another file's splats, Y up, of at most the degree that is asked for."""
    splats = read_splats(config.source)
    if Path(config.source).suffix.lower() == ".ply" and config.ply_axes == "rdf":
        splats = turned_upside_down(splats)
    if splats.degree > config.degree:
        splats = splats.of_degree(config.degree)
    return splats if config.splat_color == "auto" else in_encoding(splats, config.splat_color)


def _volume(config: ExportConfig, report: Reporter) -> dict[str, object]:
    from neuron_core.voxels.baked import read_baked
    from neuron_core.voxels.vdb import write_vdb
    from neuron_core.voxels.volume import volume_grids

    if Path(config.source).suffix.lower() != ".neuron":
        raise AssetError(f"{config.source} is no .neuron file.", "Volumes are made from baked assets.")
    baked = read_baked(config.source)
    slug = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    report.progress(0.1, "volume", slug)
    density, colors = volume_grids(baked, slug)
    write_vdb(config.out, [density, colors])
    count = len(density.voxels)
    return {"kind": "volume", "voxels": count, "look": slug, "said": f"{count:,} voxels of density and Cd"}
