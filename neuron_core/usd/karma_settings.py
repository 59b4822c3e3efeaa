"""What Karma is asked for: render settings, products and variables as plain UsdRender prims.

Two settings: `beauty` has the color alone; `gbuffer` has positions, normals, distances and ids. The
layers that come out are named here and read by name in `groundtruth.karma`.
"""

from dataclasses import dataclass

from pxr import Gf, Sdf, Usd, UsdGeom, UsdRender

RENDER = "/Render"
BEAUTY, GBUFFER = "beauty", "gbuffer"
DELEGATE = "BRAY_HdKarma"
APPRENTICE_SIZE = (1280, 720)  # the largest picture of Houdini Apprentice, in pixels


@dataclass(frozen=True, slots=True)
class RenderVar:
    """One layer of a picture."""

    name: str  # of the prim, and of the layer in the file
    source: str  # of Karma's raw variables
    data_type: str
    format: str
    filtered: bool


COLOR = RenderVar("C", "C", "color4f", "color4f", True)
VARS: dict[str, tuple[RenderVar, ...]] = {
    BEAUTY: (COLOR,),
    GBUFFER: (
        COLOR,
        RenderVar("P", "ray:hitP", "vector3f", "vector3f", False),
        RenderVar("N", "ray:hitN", "vector3f", "vector3f", False),
        RenderVar("depth", "ray:hitdist", "float", "float", False),
        RenderVar("shape_id", "ray:objectid", "float", "float", False),
    ),
}


def settings_path(kind: str) -> str:
    """The prim of the settings of `beauty` or `gbuffer`."""
    return f"{RENDER}/{kind}"


def add_settings(stage: Usd.Stage, camera: str, resolution: tuple[int, int], kind: str, file: str) -> str:
    """Author settings with one product of one file; `$F4` in its name is the frame. Answers their path."""
    UsdGeom.Scope.Define(stage, RENDER)
    UsdGeom.Scope.Define(stage, f"{RENDER}/Products")
    UsdGeom.Scope.Define(stage, f"{RENDER}/Products/Vars")
    variables = [_add_variable(stage, variable) for variable in VARS[kind]]
    product = UsdRender.Product.Define(stage, f"{RENDER}/Products/{kind}")
    product.CreateProductNameAttr(file)
    product.CreateProductTypeAttr("raster")
    product.CreateOrderedVarsRel().SetTargets(variables)
    settings = UsdRender.Settings.Define(stage, settings_path(kind))
    for schema in (settings, product):
        schema.CreateResolutionAttr(Gf.Vec2i(*resolution))
        schema.CreateCameraRel().SetTargets([camera])
        schema.CreateDisableMotionBlurAttr(True)
        schema.CreateDisableDepthOfFieldAttr(True)
    settings.CreateProductsRel().SetTargets([product.GetPath()])
    settings.CreateIncludedPurposesAttr([UsdGeom.Tokens.default_, UsdGeom.Tokens.render])
    return str(settings.GetPath())


def _add_variable(stage: Usd.Stage, variable: RenderVar) -> Sdf.Path:
    prim = UsdRender.Var.Define(stage, f"{RENDER}/Products/Vars/{variable.name}")
    prim.CreateDataTypeAttr(variable.data_type)
    prim.CreateSourceNameAttr(variable.source)
    prim.CreateSourceTypeAttr("raw")
    driver = (
        ("name", Sdf.ValueTypeNames.String, variable.name),
        ("format", Sdf.ValueTypeNames.Token, variable.format),
        ("multiSampled", Sdf.ValueTypeNames.Bool, variable.filtered),
        ("clearValue", Sdf.ValueTypeNames.Float, 0.0),
    )
    for name, kind, value in driver:
        prim.GetPrim().CreateAttribute(f"driver:parameters:aov:{name}", kind, False).Set(value)
    return Sdf.Path(prim.GetPath())
