"""`neuron look`: a new look from a prompt, or another state of a look's edits."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuron_core.assets import (
    Asset,
    AssetError,
    Look,
    Manifest,
    digest_of,
    read_asset,
    read_header,
    slug_of,
    write_asset,
)
from neuron_core.assets.manifest import is_slug
from neuron_core.cameras.dome import portrait
from neuron_core.foundation.devices import torch_device, warp_device
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.files import write_bytes
from neuron_core.foundation.progress import Reporter
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.prompts import (
    PromptEncoder,
    PromptError,
    check_prompt,
    load_recorded,
    warn_of_unknown_words,
)
from neuron_core.prompts import edits as stacks
from neuron_core.prompts.edits import Edit, Stack
from neuron_core.prompts.steering import steered
from neuron_core.rendering.tracing import BakedTracer, draw
from neuron_core.tasks.look.config import LookConfig
from neuron_core.voxels.baked import Baked, from_tensors
from neuron_core.voxels.nvf import LookCodes
from neuron_core.voxels.shading import shader_from_tensors

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A look as it should be in the end."""

    look: Look
    stack: Stack
    is_new: bool
    changed: bool


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
        return _listed(path, asset.manifest)
    if not asset.manifest.architecture.get("nvf"):
        raise AssetError(f"{path} holds no baked voxels.", "Bake it: neuron bake RUN OUT.neuron")
    wanted = wanted_look(config, asset.manifest)
    timing: dict[str, float] = {}
    own = _made(config, asset, wanted, report, timing)
    manifest = _with_look(asset.manifest, wanted)
    tensors = _with_tensors(asset, wanted.look.slug, own)
    report.progress(0.8, "write", wanted.look.slug)
    written = _write(config, manifest, tensors) if config.out is not None else None
    picture = _preview(config, manifest, tensors, wanted.look.slug)
    return _result(config, wanted, written, picture, timing)


def wanted_look(config: LookConfig, manifest: Manifest) -> Wanted:
    """What the options ask for."""
    if config.prompt and not config.look:
        return _new_look(config, manifest)
    if not manifest.looks:
        raise AssetError(f"{config.asset} has no looks.", "Make one with --prompt TEXT.")
    look = find_look(manifest, config.look) if config.look else manifest.looks[0]
    before = stacks.read_stack(look.details)
    stack = stacks.taken_back(before, config.undo)
    for number in config.disable:
        stack = stacks.switched(stack, number, False)
    for number in config.enable:
        stack = stacks.switched(stack, number, True)
    if config.move:
        stack = stacks.moved(stack, *_places(config.move))
    stack = stacks.pushed(stack, _new_edits(config, manifest))
    details = stacks.write_stack(look.details, stack)
    return Wanted(replace(look, details=details), stack, False, stack != before)


def find_look(manifest: Manifest, wanted: str) -> Look:
    """The look with that slug or prompt. Raises AssetError with what there is."""
    look = manifest.find_look(wanted)
    if look is None:
        raise AssetError(f"There is no look {wanted!r}.", f"There are: {manifest.listed_looks()}.")
    return look


def _new_look(config: LookConfig, manifest: Manifest) -> Wanted:
    if config.undo or config.disable or config.enable or config.move:
        raise PromptError("A new look has no edits yet.", "Name the look to edit with --look.")
    prompt = check_prompt(config.prompt)
    if config.name and not is_slug(config.name):
        raise AssetError(f"A look cannot be called {config.name!r}.", "Use lower-case words joined by _.")
    stack = tuple(_new_edits(replace(config, prompt=""), manifest))
    details = stacks.write_stack({}, stack)
    same = [
        look
        for look in manifest.looks
        if look.prompt.lower() == prompt.lower() and stacks.read_stack(look.details) == stack
    ]
    if same:
        return Wanted(same[0], stack, False, False)
    taken = [look.slug for look in manifest.looks]
    if config.name in taken:
        raise AssetError(
            f"There is a look {config.name!r} already.", "Pick another --name, or --look to edit."
        )
    slug = config.name or slug_of(prompt, taken)
    return Wanted(Look(slug, prompt, {**details, "asked": True}), stack, True, True)


def _new_edits(config: LookConfig, manifest: Manifest) -> list[Edit]:
    edits = [stacks.understood(config.prompt, config.weight)] if config.prompt else []
    for text, amount in map(_assignment, config.mix):
        slugs = {look.slug: look.prompt for look in manifest.looks}
        edits.append(Edit("mix", slugs.get(text, text), amount))
    for text, amount in map(_assignment, config.slider):
        edits.append(Edit("axis", stacks.axis_of(text.lower()) or text, amount))
    return edits


def _assignment(text: str) -> tuple[str, float]:
    """The name and the number of NAME=NUMBER."""
    name, separator, number = text.rpartition("=")
    try:
        if separator and name.strip():
            return name.strip(), float(number)
    except ValueError:
        pass
    raise PromptError(f"{text!r} has no amount.", 'Write NAME=NUMBER, as in "wear=0.5".')


def _places(text: str) -> tuple[int, int]:
    parts = text.split(":")
    if len(parts) == 2 and all(part.strip().isdigit() for part in parts):
        return int(parts[0]), int(parts[1])
    raise PromptError(f"{text!r} moves nothing.", 'Write FROM:TO, as in "3:1".')


# ---- codes


def _made(
    config: LookConfig, asset: Asset, wanted: Wanted, report: Reporter, timing: dict[str, float]
) -> Tensors:
    """The tensors that the asset holds for the look, names without its slug.

    What a look is without edits stays in the file under another name while edits cover it.
    """
    before = {} if wanted.is_new else _own_tensors(asset, wanted.look.slug)
    if not wanted.changed:
        return before
    base = _base_of(before)
    active = any(edit.enabled for edit in wanted.stack)
    states = [*([()] if base is None else []), *([wanted.stack] if active else [])]
    made = _computed(config, asset, wanted.look.prompt, states, report, timing) if states else []
    base = made[0] if base is None else base
    kept = _stored(made[-1] if active else base, "")
    return {**kept, **_stored(base, "base_")} if wanted.stack else kept


def _own_tensors(asset: Asset, slug: str) -> Tensors:
    prefix = f"looks.{slug}."
    return {name.removeprefix(prefix): a for name, a in asset.tensors.items() if name.startswith(prefix)}


def _stored(codes: LookCodes, prefix: str) -> Tensors:
    return {f"{prefix}codes": codes.codes, f"{prefix}range": np.stack([codes.low, codes.high])}


def _codes_in(tensors: Mapping[str, np.ndarray], prefix: str = "") -> LookCodes:
    low, high = tensors[f"{prefix}range"]
    return LookCodes(tensors[f"{prefix}codes"], low, high)


def _base_of(tensors: Mapping[str, np.ndarray]) -> LookCodes | None:
    """What the look was without edits; None for a look that is new."""
    if "base_codes" in tensors:
        return _codes_in(tensors, "base_")
    return _codes_in(tensors) if tensors else None


def _computed(
    config: LookConfig,
    asset: Asset,
    prompt: str,
    states: Sequence[Stack],
    report: Reporter,
    timing: dict[str, float],
) -> list[LookCodes]:
    """Ask the field for a prompt under stacks of edits. Imports torch."""
    encoder = _encoder(config, asset.manifest)
    texts = [edit.text for stack in states for edit in stack if edit.enabled and edit.kind != "axis"]
    warn_of_unknown_words(encoder, list(dict.fromkeys((prompt, *texts))), report)
    report.progress(0.2, "look", prompt)
    from neuron_core.models.field.looks import LookMaker
    from neuron_core.models.field.spec import FieldSpec
    from neuron_core.models.field.stored import field_from

    spec = FieldSpec.from_json(asset.manifest.settings.get("field"))
    field = field_from(asset.tensors, spec, Path(config.asset)).to(torch_device(config.device))
    maker = LookMaker(field, from_tensors(asset.tensors)[0])
    encoder.encode(["material"])  # the first prompt loads the encoder's weights
    maker.codes(np.zeros(encoder.width, np.float32))
    report.progress(0.6, "look", prompt)
    found = []
    for stack in states:
        started = time.perf_counter()
        blend = steered(encoder, prompt, stack)
        encoded = time.perf_counter()
        found.append(maker.blended(blend.vectors, blend.weights))
        ended = time.perf_counter()
        timing.update(encode_ms=1e3 * (encoded - started), look_ms=1e3 * (ended - encoded))
    return found


def _encoder(config: LookConfig, manifest: Manifest) -> PromptEncoder:
    if "inr" not in manifest.architecture or manifest.encoder is None:
        raise AssetError(f"{config.asset} holds no field: it has only the looks that were baked.")
    return load_recorded(manifest.encoder, config.encoder_weights)


# ---- what is written


def _with_look(manifest: Manifest, wanted: Wanted) -> Manifest:
    if wanted.is_new:
        return replace(manifest, looks=(*manifest.looks, wanted.look))
    looks = tuple(wanted.look if look.slug == wanted.look.slug else look for look in manifest.looks)
    return replace(manifest, looks=looks)


def _with_tensors(asset: Asset, slug: str, own: Tensors) -> Tensors:
    """All tensors of an asset, those of one look replaced."""
    rest = {name: a for name, a in asset.tensors.items() if not name.startswith(f"looks.{slug}.")}
    return {**rest, **{f"looks.{slug}.{name}": array for name, array in own.items()}}


def _check_target(config: LookConfig) -> None:
    if config.out is not None and Path(config.out).suffix != ".neuron":
        raise AssetError(f"{config.out} does not end in .neuron.", "Give the file that ending.")
    asked = bool(config.prompt) or config.changes_stack() or config.edits
    if not asked and not config.look:
        raise NeuronError(
            "No look was asked for.", "Say --prompt TEXT, or --edits to list the looks and their edits."
        )


def _write(config: LookConfig, manifest: Manifest, tensors: Tensors) -> bool:
    """Write the file; False if it held just that. Another file is replaced only if that was asked for."""
    assert config.out is not None
    out, own = Path(config.out), Path(config.asset)
    if out.exists():
        digest = digest_of(tensors)
        if (found := _manifest_at(out)) is not None and found == replace(manifest, digest=digest):
            return False
        if out.resolve() != own.resolve() and not config.overwrite:
            raise ConfigMismatchError(
                f"{out} holds something else.", "Pick another file, or add --overwrite to replace it."
            )
    write_asset(out, manifest, tensors)
    return True


def _manifest_at(path: Path) -> Manifest | None:
    try:
        return read_header(path).manifest
    except AssetError:
        return None


def _preview(config: LookConfig, manifest: Manifest, tensors: Tensors, slug: str) -> Path | None:
    """Draw the look and write the picture, unless only a file was asked for."""
    path = config.preview
    if path is None:
        if config.out is not None:
            return None
        path = Path(config.asset).with_suffix(f".{slug}.png")
    nvf, looks = from_tensors(tensors)
    field = manifest.settings.get("field")
    shader = shader_from_tensors(tensors, field if isinstance(field, dict) else {})
    baked = Baked(Path(config.asset), manifest, nvf, {slug: looks[slug]}, shader)
    camera = portrait(np.array(manifest.aabb), config.size, azimuth_deg=45.0)
    pictures = draw(BakedTracer(baked, [slug], warp_device(config.device)), camera, 2)
    write_bytes(Path(path), encode_png(to_bytes(pictures.over_white()[0])))
    return Path(path)


def _listed(path: Path, manifest: Manifest) -> dict[str, object]:
    rows, looks = [], []
    for look in manifest.looks:
        stack = stacks.read_stack(look.details)
        looks.append({"slug": look.slug, "prompt": look.prompt, "edits": [edit.to_json() for edit in stack]})
        rows.append(f'{look.slug}: "{look.prompt}"')
        rows += [f"  {number}. {edit.described()}" for number, edit in enumerate(stack, 1)]
    return {"asset": str(path), "looks": looks, "summary": "\n".join(rows) or f"{path} has no looks."}


def _result(
    config: LookConfig,
    wanted: Wanted,
    written: bool | None,
    picture: Path | None,
    timing: Mapping[str, float],
) -> dict[str, object]:
    out = str(config.out) if config.out is not None else None
    done = {None: "not written", True: "written", False: "already there"}[written]
    shown = f", drawn in {picture}" if picture else ""
    took = f", codes in {timing['look_ms']:.0f} ms" if timing else ""
    return {
        "asset": out,
        "look": wanted.look.slug,
        "prompt": wanted.look.prompt,
        "edits": [edit.to_json() for edit in wanted.stack],
        "new": wanted.is_new,
        "written": bool(written),
        "preview": str(picture) if picture else None,
        **{name: round(value, 2) for name, value in timing.items()},
        "summary": f'{wanted.look.slug} ("{wanted.look.prompt}", {len(wanted.stack)} edits): '
        f"{f'{out} {done}' if out else 'nothing written'}{shown}{took}.",
    }
