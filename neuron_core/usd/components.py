"""New USD stages for what is delivered: meters, Y up, and one model that they are about."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pxr import Sdf, Tf, Usd, UsdGeom, UsdUtils

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import replacing


def set_frame(stage: Usd.Stage) -> None:
    """Meters and Y up."""
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)


def new_model(path: Path, name: str, kind: str = "component") -> tuple[Usd.Stage, Usd.Prim]:
    """A stage in a new file, whatever lay there, and its default prim: a model of that kind.

    The name is made one that USD takes.
    """
    path.unlink(missing_ok=True)
    stage = Usd.Stage.Open(Sdf.Layer.CreateNew(str(path)))
    set_frame(stage)
    root = UsdGeom.Xform.Define(stage, f"/{Tf.MakeValidIdentifier(name)}").GetPrim()
    Usd.ModelAPI(root).SetKind(kind)
    stage.SetDefaultPrim(root)
    return stage, root


@contextmanager
def new_layer(path: Path) -> Iterator[Path]:
    """Where to write the layer that becomes `path` when the block ends, whole or not at all.

    A .usdz becomes a package of the layer and the files that it names, which lie in folders beside it
    and are removed. Raises FileError.
    """
    path = Path(path)
    with replacing(path) as temporary:
        if path.suffix.lower() != ".usdz":
            yield temporary
            return
        with TemporaryDirectory(prefix=f".{path.stem[:40]}.", dir=path.parent) as folder:
            layer = Path(folder) / f"{path.stem}.usdc"
            yield layer
            if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(temporary)):
                raise FileError(f"USD cannot package {path}.", "Write a .usdc file.")
