"""The LOP that makes the stage of ground truth: an object, the studio light, cameras, a material."""

from __future__ import annotations  # names of hou differ between versions

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import hou
import numpy as np

from neuron_core.foundation.errors import NeuronError
from neuron_core.geometry import load_geometry
from neuron_core.geometry.mesh import Geometry
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.plan import DatasetPlan, make_plan
from neuron_core.images.plain_exr import write_plain_exr
from neuron_core.lights.studio import studio_environment
from neuron_core.materials import read_library
from neuron_core.usd import karma_settings, lookdev
from neuron_houdini.nodes import messages
from neuron_houdini.nodes.parameters import text, values_of


def cook(lop: hou.LopNode, hda: hou.LopNode) -> None:
    """Author the stage that is cooking. Raises hou.NodeError."""
    with messages.node_errors():
        author(lop.editableStage(), hda)


def author(stage: object, hda: hou.OpNode) -> None:
    """Everything that the parameters ask for. Raises NeuronError."""
    config = config_of(hda)
    library = read_library(config.materials)
    brought = text(hda, "source") == "input"
    target = text(hda, "primpath")
    geometry = lookdev.bounds_of(stage, target) if brought else geometry_of(config.geometry, config.assign)
    plan = make_plan(config, geometry, library.materials, library.held_out)
    if not brought:
        lookdev.add_geometry(stage, plan.geometry)
    folder = Path(text(hda, "folder"))
    lookdev.add_light(stage, str(light_file(folder)))
    cameras = lookdev.moved_cameras(plan.cameras, geometry.center) if brought else plan.cameras
    paths = lookdev.add_cameras(stage, cameras)
    _dress(stage, hda, plan, brought)
    size = (config.resolution, config.resolution)
    for kind in (karma_settings.BEAUTY, karma_settings.GBUFFER):
        karma_settings.add_settings(stage, paths[0], size, kind, str(folder / f"{kind}.$F4.exr"))


def _dress(stage: object, hda: hou.OpNode, plan: DatasetPlan, brought: bool) -> None:
    """Bind the material that is picked, or the first one, to what was brought or to the engine's object."""
    target = text(hda, "primpath")
    targets = [target] if brought else lookdev.material_targets(plan.geometry)
    name = text(hda, "material")
    found = [one for one in plan.materials if not name or one.name == name]
    if not found:
        raise NeuronError(f"The library has no material {name!r}.", "Pick one of the menu.")
    names: tuple[str, ...] = ()
    if lookdev.can_vary(stage, targets):
        names = lookdev.add_layers(
            stage, targets, found[0], object_from_stage(stage, plan.geometry, not brought)
        )
    elif found[0].layers:
        hda.addMessage(
            f"{found[0].name} varies over the object; what is not a mesh of its own shows it even."
        )
    surface = lookdev.add_material(stage, found[0], names)
    for target in targets:
        lookdev.bind(stage, target, surface)


def object_from_stage(stage: object, geometry: Geometry, centered: bool = False) -> np.ndarray:
    """To the frame of patterns. `geometry` stands `centered` on the stage, or where its center says."""
    low, high = geometry.aabb().astype(np.float64)
    matrix = lookdev.engine_frame(stage)
    if not centered:
        matrix[:3, 3] -= geometry.center
    return np.diag([*[1.0 / float((high - low).max())] * 3, 1.0]) @ matrix


def config_of(hda: hou.OpNode) -> DatasetConfig:
    """The dataset that the parameters stand for. Raises NeuronError."""
    values: dict[str, Any] = values_of(hda, "dataset")
    if text(hda, "source") == "ball":
        values["geometry"] = "shaderball"
    return DatasetConfig(out=Path(), **values, surface_views=0)


def geometry_of(spec: str, assign: tuple[str, ...]) -> Geometry:
    """The object; files are read again each time, since they may have changed. Raises NeuronError."""
    return _ball(assign) if spec == "shaderball" else load_geometry(spec, assign)


@lru_cache(maxsize=2)
def _ball(assign: tuple[str, ...]) -> Geometry:
    return load_geometry("shaderball", assign)


def light_file(folder: Path) -> Path:
    """The studio light as a picture in a folder, written if it is not there."""
    image = studio_environment()
    digest = hashlib.sha256(image.tobytes()).hexdigest()[:8]
    path = folder / f"neuron_studio_{digest}.exr"
    if not path.is_file():
        write_plain_exr(path, image)
    return path


def material_menu(hda: hou.OpNode) -> list[str]:
    """Names of the materials of the library, each twice as menus want them."""
    try:
        library = read_library(text(hda, "materials"))
    except NeuronError:
        return []
    return [name for material in library.materials for name in (material.name, material.name)]
