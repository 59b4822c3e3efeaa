"""`neuron look`: a new look from a prompt, or another state of a look's edits."""

from pathlib import Path

from neuron_core.assets import AssetError, Manifest, read_asset, write_if_changed
from neuron_core.assets.look_edits import EditedLook, LookRequest, edited_look, listed, with_look
from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import write_bytes
from neuron_core.foundation.progress import Reporter
from neuron_core.models.field.edited_looks import Source, make_look
from neuron_core.prompts.edits import amount_of, places_of
from neuron_core.rendering.asset_pictures import draw_thumbnail
from neuron_core.rendering.tracing import BakedTracer
from neuron_core.tasks.look.config import LookConfig
from neuron_core.voxels.baked import baked_from
from neuron_core.voxels.look_tensors import Tensors, with_own_tensors


def run(config: LookConfig, report: Reporter) -> dict[str, object]:
    """Make, edit or list looks. Returns the look, its edits, and what was written.

    Raises AssetError for an asset without a field or a look that it does not have, PromptError for
    what cannot be asked for, ConfigMismatchError if OUT holds something else.
    """
    path = Path(config.asset)
    _check_target(config)
    report.progress(0.0, "load", str(path))
    asset = read_asset(path)
    if config.edits:
        looks, rows = listed(asset.manifest)
        return {"asset": str(path), "looks": looks, "summary": "\n".join(rows) or f"{path} has no looks."}
    if not asset.manifest.architecture.get("nvf"):
        raise AssetError(f"{path} holds no baked voxels.", "Bake it: neuron bake RUN OUT.neuron")
    edited = edited_look(asset.manifest, _request(config))
    source = Source(path, asset, config.encoder_weights, config.device)
    own, timing = make_look(source, edited, report)
    manifest = with_look(asset.manifest, edited)
    tensors = with_own_tensors(asset.tensors, edited.look.slug, own)
    report.progress(0.8, "write", edited.look.slug)
    written = None
    if config.out is not None:
        out = Path(config.out)
        may_replace = config.overwrite or (out.exists() and out.resolve() == path.resolve())
        written = write_if_changed(out, manifest, tensors, may_replace)
    picture = _preview(config, manifest, tensors, edited.look.slug)
    took = f", codes in {timing.look_ms:.0f} ms" if timing else ""
    times = {name: round(value, 2) for name, value in timing._asdict().items()} if timing else {}
    return {**_result(config, edited, written, picture, took), **times}


def _check_target(config: LookConfig) -> None:
    if config.out is not None and Path(config.out).suffix != ".neuron":
        raise AssetError(f"{config.out} does not end in .neuron.", "Give the file that ending.")
    asked = bool(config.prompt) or config.changes_stack() or config.edits
    if not asked and not config.look:
        raise NeuronError(
            "No look was asked for.", "Say --prompt TEXT, or --edits to list the looks and their edits."
        )


def _request(config: LookConfig) -> LookRequest:
    return LookRequest(
        look=config.look,
        prompt=config.prompt,
        name=config.name,
        weight=config.weight,
        mix=tuple(map(amount_of, config.mix)),
        slider=tuple(map(amount_of, config.slider)),
        undo=config.undo,
        disable=config.disable,
        enable=config.enable,
        move=places_of(config.move) if config.move else None,
    )


def _preview(config: LookConfig, manifest: Manifest, tensors: Tensors, slug: str) -> Path | None:
    """Draw the look and write the picture, unless only a file was asked for."""
    if config.preview is None and config.out is not None:
        return None
    path = Path(config.preview or Path(config.asset).with_suffix(f".{slug}.png"))
    tracer = BakedTracer.of(baked_from(path, manifest, tensors), [slug], warp_device(config.device))
    write_bytes(path, draw_thumbnail(tracer, manifest.aabb, config.size, azimuth_deg=45.0))
    return path


def _result(
    config: LookConfig, edited: EditedLook, written: bool | None, picture: Path | None, took: str
) -> dict[str, object]:
    out = str(config.out) if config.out is not None else None
    done = {None: "not written", True: "written", False: "already there"}[written]
    shown = f", drawn in {picture}" if picture else ""
    return {
        "asset": out,
        **edited.result(),
        "written": bool(written),
        "preview": str(picture) if picture else None,
        "summary": f'{edited.look.slug} ("{edited.look.prompt}", {len(edited.stack)} edits): '
        f"{f'{out} {done}' if out else 'nothing written'}{shown}{took}.",
    }
