"""A stage as one layer."""

import os
from pathlib import Path

from pxr import Sdf, UsdUtils

from neuron_core.usd.layers import SUFFIXES, relative, save
from neuron_core.usd.records import SceneError
from neuron_core.usd.stage import SceneStage


def flatten(scene: SceneStage, out: Path) -> None:
    """Write it without references, payloads and variants; what is not drawn as selected is gone.

    Files that are not layers (`.neuron`, pictures) are still named, relative to the new layer.
    Raises SceneError for references that could not be opened: they would be lost silently.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise SceneError(f"{out} does not end in .usda, .usd or .usdc.", "Give it one of these endings.")
    errors = scene.stage.GetCompositionErrors()
    if errors:
        text = " ".join(str(errors[0]).split())[:200]
        raise SceneError(f"{errors[0].rootSite.path}: {text}", "Mend the reference, or remove the prim.")
    flat = scene.stage.Flatten(addSourceFileComment=False)
    folder = out.parent

    def anchored(path: str) -> str:
        if not path or not os.path.isabs(path) or "[" in path:
            return path
        return relative(Path(path), folder)

    UsdUtils.ModifyAssetPaths(flat, anchored)
    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.TransferContent(flat)
    save(layer, out)
