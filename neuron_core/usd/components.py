"""New USD stages for what is delivered: metres, Y up, and one model that they are about."""

from pathlib import Path

from pxr import Sdf, Tf, Usd, UsdGeom


def new_model(path: Path, name: str, kind: str = "component") -> tuple[Usd.Stage, Usd.Prim]:
    """A stage in a new file, whatever lay there, and its default prim: a model of that kind.

    The name is made one that USD takes.
    """
    path.unlink(missing_ok=True)
    stage = Usd.Stage.Open(Sdf.Layer.CreateNew(str(path)))
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    root = UsdGeom.Xform.Define(stage, f"/{Tf.MakeValidIdentifier(name)}").GetPrim()
    Usd.ModelAPI(root).SetKind(kind)
    stage.SetDefaultPrim(root)
    return stage, root
