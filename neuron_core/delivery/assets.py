"""What `neuron export` writes, by its form: a look of a baked asset, splats, or a stage of assets."""

from pathlib import Path

from neuron_core.assets import AssetError
from neuron_core.delivery.config import ExportConfig
from neuron_core.delivery.splats import SplatFile, converted, deliver_splats, encoding_for
from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import USD_SUFFIXES
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.splats.cloud import Splats
from neuron_core.splats.files import READABLE
from neuron_core.splats.fitting import Fit, FitSettings
from neuron_core.voxels.baked import Baked, read_baked

FORMS = {  # by ending, the default first
    **dict.fromkeys((".ply", ".spz", ".npz"), ("splats",)),
    **dict.fromkeys((".vdb", ".nvdb"), ("volume",)),
    **dict.fromkeys(USD_SUFFIXES[:-1], ("splats", "mesh", "points", "volume", "splat-points")),
    USD_SUFFIXES[-1]: ("splats", "mesh", "points", "splat-points"),  # a package cannot hold an OpenVDB file
}
SPLATS = ("splats", "splat-points")


def form_of(out: Path, wanted: str) -> str:
    """What is written, by the ending for "auto". Raises NeuronError where the ending says nothing, or
    cannot hold it."""
    known = FORMS.get(out.suffix.lower())
    if known is None:
        raise NeuronError(f"{out} has no ending that says what to write.", f"Take one of {', '.join(FORMS)}.")
    form = known[0] if wanted == "auto" else wanted
    if form not in known:
        fitting = [ending for ending, forms in FORMS.items() if form in forms]
        raise NeuronError(f"A {out.suffix} file cannot hold a {form}.", f"Take one of {', '.join(fitting)}.")
    return form


def deliver(config: ExportConfig, form: str, fit: Fit, report: Reporter) -> dict[str, object]:
    """Write the files of a source of any kind; what was written, and `said` for a person.

    `fit` makes splats of a baked look.
    """
    source, out = Path(config.source), Path(config.out)
    ending = source.suffix.lower()
    if ending == ".neuron":
        return deliver_look(config, form, source, config.prompt, out, config.levels, fit, report)
    if ending in USD_SUFFIXES:
        from neuron_core.delivery.stages import is_scene

        if is_scene(source):
            return _deliver_stage(config, form, fit, report)
    if form not in SPLATS:
        raise AssetError(f"{source} is no .neuron file.", f"A {form} is made from a baked asset.")
    if ending not in READABLE:
        raise AssetError(f"{source} is no .neuron file and no file of splats.", "See neuron inspect.")
    splats = converted(source, config.degree, config.splat_color, config.ply_axes == "rdf")
    return {**_save(config, out, splats, config.levels), "look": ""}


def deliver_look(
    config: ExportConfig,
    form: str,
    source: Path,
    look: str,
    out: Path,
    levels: int,
    fit: Fit,
    report: Reporter,
) -> dict[str, object]:
    """One look of an asset, by its name or prompt. Each form imports only what it needs."""
    if form in SPLATS:
        splats, slug = _fitted(config, source, look, config.max_splats, fit, report)
        return {**_save(config, out, splats, levels), "look": slug}
    baked, slug = _read(source, look)
    if form == "volume":
        from neuron_core.delivery.volumes import deliver_volume

        return deliver_volume(out, baked, slug, config.precision == "half", config.overwrite, report)
    from neuron_core.delivery.surfaces import MeshSettings, deliver_mesh, deliver_points

    device = warp_device(config.device)
    if form == "points":
        return deliver_points(out, baked, slug, config.max_splats, device, report)
    settings = MeshSettings(config.triangles, config.texture_size, levels)
    return deliver_mesh(out, baked, slug, settings, device, report)


def _deliver_stage(config: ExportConfig, form: str, fit: Fit, report: Reporter) -> dict[str, object]:
    """Every asset that a stage places: one cloud of splats, or a file for each."""
    from neuron_core.delivery.stages import Source, flat_splats, placed, write_instances

    placements = placed(Path(config.source), report)
    if config.scene == "instances":

        def write(source: Source, file: Path, share: Reporter) -> None:
            deliver_look(config, form, source.file, source.look, file, 1, fit, share)

        body = write_instances(Path(config.out), placements, write, report, config.overwrite)
        said = f"{len(placements)} instances of {len({source for source, _ in placements})} assets"
        return {"kind": "scene", "form": form, **body, "said": said}
    if form not in SPLATS:
        raise NeuronError(
            f"A {form} cannot hold a whole scene.", "Write a file for each asset: --scene instances"
        )

    def fit_one(source: Source, most: int, share: Reporter) -> Splats:
        return _fitted(config, source.file, source.look, most, fit, share)[0]

    splats = flat_splats(placements, config.max_splats, fit_one, report)
    return {**_save(config, Path(config.out), splats, config.levels), "instances": len(placements)}


def _read(source: Path, look: str) -> tuple[Baked, str]:
    """An asset, and the look of that name or prompt; its first one for an empty text."""
    baked = read_baked(source)
    return baked, baked.look_of(look) if look else baked.slugs()[0]


def _fitted(
    config: ExportConfig, source: Path, look: str, most: int, fit: Fit, report: Reporter
) -> tuple[Splats, str]:
    baked, slug = _read(source, look)
    encoding = encoding_for(Path(config.out), config.splat_color)
    settings = FitSettings(most, config.degree, encoding, config.steps, config.views)
    return fit(baked, slug, settings, warp_device(config.device), Part(report, 0.0, 0.98)), slug


def _save(config: ExportConfig, out: Path, splats: Splats, levels: int) -> dict[str, object]:
    as_points, half = config.form == "splat-points", config.precision == "half"
    form = SplatFile(levels, config.ply_axes == "rdf", half, as_points)
    return deliver_splats(out, splats, form, config.overwrite)
