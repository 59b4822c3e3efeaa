"""What `neuron render` draws of a single asset: one look of its voxels, or a prompt of its field."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.assets import AssetError, Manifest, read_header
from neuron_core.cameras.dome import portrait
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.rendering.tracing import Tracer, draw
from neuron_core.voxels.baked import Baked, read_baked
from neuron_core.voxels.nvf import lattice_places


@dataclass(frozen=True, slots=True)
class Subject:
    """An asset under one look."""

    manifest: Manifest
    look: str  # a slug, or the prompt that the field is asked with
    prompt: str
    points: np.ndarray  # [N, 3] around the object, to frame it
    baked: Baked | None  # None for an asset that has a field only


def refuse_stage_options(aovs: Sequence[str], shadowed: bool) -> None:
    """Raise NeuronError for what only a stage, with more than one thing in it, can show."""
    if "id" in aovs:
        raise NeuronError("Only scenes have ids of what they show.", "Leave id out of --aov.")
    if shadowed:
        raise NeuronError(
            "Only what stands beside other things takes light from them.",
            "Leave out --contact-shadows and --ambient-occlusion, or render a stage.",
        )


def read_subject(path: Path, wanted: str, detail: str) -> Subject:
    """The look of an asset that a name or prompt means; the first one for an empty text.

    `detail` is "nvf" for baked voxels or "inr" for the field, which takes any prompt. Raises
    AssetError for a file that cannot be drawn so or a look that it does not have, and FileError.
    """
    if not path.exists():
        raise FileError(f"There is no asset at {path}.", "Make one with: neuron bake RUN OUT.neuron")
    if path.is_dir():
        raise AssetError(
            f"{path} is a folder, not a .neuron file.", "Bake a run first: neuron bake RUN OUT.neuron"
        )
    if detail == "inr":
        manifest = read_header(path).manifest
        baked = read_baked(path) if "nvf" in manifest.architecture else None
        prompt = _prompt_of(manifest, wanted)
        return Subject(manifest, prompt, prompt, _outline(baked) if baked else _corners(manifest), baked)
    baked = read_baked(path)
    slug = baked.look_of(wanted) if wanted else baked.slugs()[0]
    return Subject(baked.manifest, slug, baked.manifest.look(slug).prompt, _outline(baked), baked)


def _prompt_of(manifest: Manifest, wanted: str) -> str:
    """The prompt of a look that is named by its slug, the prompt itself, or that of the first look."""
    if not wanted:
        if not manifest.looks:
            raise AssetError(f"{manifest.name} has no looks.", "Say which one to draw with --prompt TEXT.")
        return manifest.looks[0].prompt
    look = manifest.find_look(wanted)
    return look.prompt if look is not None else wanted.strip()


def _outline(baked: Baked) -> np.ndarray:
    """Where samples have density [N, 3], inside the object's box."""
    nvf = baked.nvf
    filled = nvf.active[nvf.density.reshape(-1)[nvf.active] > 0]
    if not len(filled):
        return _corners(baked.manifest)
    places = lattice_places(nvf.top, filled)
    low, high = np.array(baked.manifest.aabb, np.float64)
    return np.asarray(np.clip(nvf.aabb[0].astype(np.float64) + places * nvf.voxel_size, low, high))


def _corners(manifest: Manifest) -> np.ndarray:
    box = np.array(manifest.aabb, np.float64)
    return np.array([[box[i, 0], box[j, 1], box[k, 2]] for i, j, k in np.ndindex(2, 2, 2)])


def draw_thumbnail(
    tracer: Tracer, box: np.ndarray | Sequence[Sequence[float]], side: int, azimuth_deg: float = 0.0
) -> bytes:
    """The first look of what is in the box [2, 3], over white: the bytes of a PNG of `side` pixels a side."""
    camera = portrait(np.asarray(box), side, azimuth_deg)
    return encode_png(to_bytes(draw(tracer, camera, 2).over_white()[0]))
