"""`neuron export`: an asset, or splats of any origin, to a file of another program."""

import os
from dataclasses import replace
from pathlib import Path

from neuron_core.assets import AssetError
from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.errors import ConfigMismatchError, FileError, NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.splats.cloud import Encoding, Splats
from neuron_core.splats.files import READABLE, USD_ENDINGS, read_splats, write_splats
from neuron_core.splats.levels import levels_of
from neuron_core.splats.moving import in_encoding, turned_upside_down
from neuron_core.tasks.export.config import ExportConfig

VOLUMES = (".vdb", ".nvdb")
FORMS = {  # by ending, the default first
    **dict.fromkeys((".ply", ".spz", ".npz"), ("splats",)),
    **dict.fromkeys(VOLUMES, ("volume",)),
    **dict.fromkeys(USD_ENDINGS[:-1], ("splats", "mesh", "points", "volume", "splat-points")),
    USD_ENDINGS[-1]: ("splats", "mesh", "points", "splat-points"),  # a package cannot hold an OpenVDB file
}
SPLATS = ("splats", "splat-points")
DISPLAY_REFERRED = (".ply", ".spz")  # what their viewers show without a color transform


def run(config: ExportConfig, report: Reporter) -> dict[str, object]:
    """Write the file. Raises NeuronError for an ending that is none of ours, a source that cannot be
    read, a look that it does not have, or a target that is there."""
    source, out = Path(config.source), Path(config.out)
    form = form_of(config)
    if not source.is_file():
        raise FileError(f"There is no file {source}.", "Give a .neuron file or a file of splats.")
    if out.exists() and not config.overwrite:
        raise ConfigMismatchError(f"{out} is already there.", "Replace it with --overwrite.")
    _check_target(out)
    watch = Stopwatch()
    report.progress(0.0, "load", str(source))
    body = _written(config, form, report)
    seconds, cpu = watch.seconds, watch.cpu_seconds
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


def _check_target(out: Path) -> None:
    """Raises FileError, before minutes of work, for what could not be written at their end."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise FileError(f"Cannot write {out}.", "Pick a file in a folder that can be written.")


def form_of(config: ExportConfig) -> str:
    """What is written. Raises NeuronError where the ending says nothing, or cannot hold it."""
    out = Path(config.out)
    known = FORMS.get(out.suffix.lower())
    if known is None:
        raise NeuronError(f"{out} has no ending that says what to write.", f"Take one of {', '.join(FORMS)}.")
    form = known[0] if config.form == "auto" else config.form
    if form not in known:
        fitting = [ending for ending, forms in FORMS.items() if form in forms]
        raise NeuronError(f"A {out.suffix} file cannot hold a {form}.", f"Take one of {', '.join(fitting)}.")
    return form


def _written(config: ExportConfig, form: str, report: Reporter) -> dict[str, object]:
    source = Path(config.source)
    if source.suffix.lower() in USD_ENDINGS:
        from neuron_core.tasks.export.scenes import is_scene

        if is_scene(source):
            return _scene(config, form, report)
    return _splats(config, report) if form in SPLATS else _dense(config, form, report)


def _splats(config: ExportConfig, report: Reporter) -> dict[str, object]:
    if Path(config.source).suffix.lower() == ".neuron":
        splats, look = _fitted(config, report)
    elif Path(config.source).suffix.lower() in READABLE:
        splats, look = _converted(config), ""
    else:
        raise AssetError(f"{config.source} is no .neuron file and no file of splats.", "See neuron inspect.")
    return {**_save(config, splats), "look": look}


def _save(config: ExportConfig, splats: Splats) -> dict[str, object]:
    """Write splats that have Y up, and coarser levels of them; what was written."""
    out = Path(config.out)
    upside_down = out.suffix.lower() == ".ply" and config.ply_axes == "rdf"
    levels = levels_of(splats, config.levels)
    files = [out, *(out.with_name(f"{out.stem}.lod{level}{out.suffix}") for level in range(1, len(levels)))]
    taken = [file for file in files[1:] if file.exists() and not config.overwrite]
    if taken:
        raise ConfigMismatchError(f"{taken[0]} is already there.", "Replace it with --overwrite.")
    written: list[Path] = []
    try:
        for file, level in reversed(list(zip(files, levels, strict=True))):  # OUT itself last
            fresh = not file.exists()
            half, as_points = config.precision == "half", config.form == "splat-points"
            write_splats(file, turned_upside_down(level) if upside_down else level, half, as_points)
            written += [file] if fresh else []
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return {
        "kind": "splats",
        "splats": len(splats),
        "degree": splats.degree,
        "color": splats.encoding,
        "levels": [len(level) for level in levels],
        "files": [str(file) for file in files],
        "said": f"{len(splats):,} splats of degree {splats.degree}",
    }


def _fitted(config: ExportConfig, report: Reporter) -> tuple[Splats, str]:
    from neuron_core.splats.fitting import FitSettings, fit_splats
    from neuron_core.voxels.baked import read_baked

    baked = read_baked(config.source)
    slug = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    encoding: Encoding = "srgb" if Path(config.out).suffix.lower() in DISPLAY_REFERRED else "linear"
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


def _scene(config: ExportConfig, form: str, report: Reporter) -> dict[str, object]:
    """Every asset that a stage places."""
    from neuron_core.tasks.export.scenes import Source, flat_splats, placed, write_instances

    placements = placed(Path(config.source), report)

    def own(source: Source, out: Path, **values: object) -> ExportConfig:
        return replace(config, source=source.file, prompt=source.look, out=out, **values)  # type: ignore[arg-type]

    if config.scene == "instances":

        def write(source: Source, file: Path, share: Reporter) -> None:
            one = own(source, file, levels=1)
            _splats(one, share) if form in SPLATS else _dense(one, form, share)

        body = write_instances(Path(config.out), placements, write, report, config.overwrite)
        said = f"{len(placements)} instances of {len({source for source, _ in placements})} assets"
        return {"kind": "scene", "form": form, **body, "said": said}
    if form not in SPLATS:
        raise NeuronError(
            f"A {form} cannot hold a whole scene.", "Write a file for each asset: --scene instances"
        )

    def fit(source: Source, most: int, share: Reporter) -> Splats:
        return _fitted(own(source, Path(config.out), max_splats=most), share)[0]

    return {
        **_save(config, flat_splats(placements, config.max_splats, fit, report)),
        "instances": len(placements),
    }


def _dense(config: ExportConfig, form: str, report: Reporter) -> dict[str, object]:
    """What is made of the voxels themselves."""
    from neuron_core.tasks.export.dense import export_mesh, export_points
    from neuron_core.tasks.export.volumes import export_volume
    from neuron_core.voxels.baked import read_baked

    if Path(config.source).suffix.lower() != ".neuron":
        raise AssetError(f"{config.source} is no .neuron file.", f"A {form} is made from a baked asset.")
    baked = read_baked(config.source)
    slug = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    write = {"mesh": export_mesh, "points": export_points, "volume": export_volume}[form]
    return write(config, baked, slug, report)
