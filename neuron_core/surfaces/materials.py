"""Materials of exported meshes, as `UsdPreviewSurface` and as OpenPBR in MaterialX."""

from collections.abc import Mapping

import numpy as np
from pxr import Gf, Sdf, Usd, UsdShade

from neuron_core.materials.openpbr import INPUTS
from neuron_core.materials.record import Material

Names = Sdf.ValueTypeNames
TEXTURED = {"base_color": "base_color", "specular_roughness": "roughness", "base_metalness": "metalness"}


def author_baked(stage: Usd.Stage, path: Sdf.Path, color: str | None) -> UsdShade.Material:
    """A material that emits the file's colors, or without one the mesh's `displayColor`."""
    material = UsdShade.Material.Define(stage, path)
    preview = _shader(stage, path.AppendChild("preview"), "UsdPreviewSurface")
    for name, kind, value in (
        ("diffuseColor", Names.Color3f, Gf.Vec3f(0)),
        ("useSpecularWorkflow", Names.Int, 1),
        ("specularColor", Names.Color3f, Gf.Vec3f(0)),
        ("roughness", Names.Float, 1.0),
    ):
        preview.CreateInput(name, kind).Set(value)
    openpbr = _shader(stage, path.AppendChild("openpbr"), "ND_open_pbr_surface_surfaceshader")
    for name, number in (("base_weight", 0.0), ("specular_weight", 0.0), ("emission_luminance", 1.0)):
        openpbr.CreateInput(name, Names.Float).Set(number)
    emissive = preview.CreateInput("emissiveColor", Names.Color3f)
    emission = openpbr.CreateInput("emission_color", Names.Color3f)
    if color is None:
        reader = _shader(stage, path.AppendChild("preview_color"), "UsdPrimvarReader_float3")
        reader.CreateInput("varname", Names.String).Set("displayColor")
        emissive.ConnectToSource(reader.CreateOutput("result", Names.Float3))
        emission.ConnectToSource(_property(stage, path, "displayColor", "color3", Names.Color3f))
    else:
        emissive.ConnectToSource(_preview_texture(stage, path, "color", color, True, "rgb"))
        emission.ConnectToSource(_image(stage, path, "color", color, True, "color3", Names.Color3f))
    return _connected(material, preview, openpbr)


def author_lit(
    stage: Usd.Stage, path: Sdf.Path, files: Mapping[str, str], record: Material
) -> UsdShade.Material:
    """A material of the record, with what varies over the surface from `files` (by what they hold)."""
    material = UsdShade.Material.Define(stage, path)
    preview = _shader(stage, path.AppendChild("preview"), "UsdPreviewSurface")
    preview.CreateInput("ior", Names.Float).Set(float(record.number("specular_ior")))
    preview.CreateInput("clearcoat", Names.Float).Set(float(record.number("coat_weight")))
    preview.CreateInput("clearcoatRoughness", Names.Float).Set(float(record.number("coat_roughness")))
    for target, name, output, kind in (
        ("diffuseColor", "base_color", "rgb", Names.Color3f),
        ("roughness", "roughness", "r", Names.Float),
        ("metallic", "metalness", "r", Names.Float),
        ("normal", "normal", "rgb", Names.Normal3f),
    ):
        source = _preview_texture(stage, path, name, files[name], name == "base_color", output)
        preview.CreateInput(target, kind).ConnectToSource(source)
    openpbr = _shader(stage, path.AppendChild("openpbr"), "ND_open_pbr_surface_surfaceshader")
    for name, value in record.parameters.items():
        if name not in TEXTURED:
            _constant(openpbr, name, value)
    for target, name in TEXTURED.items():
        color = INPUTS[target].kind == "color"
        kind = Names.Color3f if color else Names.Float
        source = _image(stage, path, name, files[name], color, "color3" if color else "float", kind)
        openpbr.CreateInput(target, kind).ConnectToSource(source)
    bent = _shader(stage, path.AppendChild("mtlx_normalmap"), "ND_normalmap_float")
    texture = _image(stage, path, "normal", files["normal"], False, "vector3", Names.Float3)
    bent.CreateInput("in", Names.Float3).ConnectToSource(texture)
    openpbr.CreateInput("geometry_normal", Names.Float3).ConnectToSource(
        bent.CreateOutput("out", Names.Float3)
    )
    return _connected(material, preview, openpbr)


def _connected(
    material: UsdShade.Material, preview: UsdShade.Shader, openpbr: UsdShade.Shader
) -> UsdShade.Material:
    material.CreateSurfaceOutput().ConnectToSource(preview.CreateOutput("surface", Names.Token))
    material.CreateSurfaceOutput("mtlx").ConnectToSource(openpbr.CreateOutput("out", Names.Token))
    return material


def _shader(stage: Usd.Stage, path: Sdf.Path, identifier: str) -> UsdShade.Shader:
    shader = UsdShade.Shader.Define(stage, path)
    shader.CreateIdAttr(identifier)
    return shader


def _constant(shader: UsdShade.Shader, name: str, value: object) -> None:
    kind = INPUTS[name].kind
    if kind == "color":
        color = np.broadcast_to(np.asarray(value, np.float64), 3)
        shader.CreateInput(name, Names.Color3f).Set(Gf.Vec3f(*map(float, color)))
    elif isinstance(value, bool):
        shader.CreateInput(name, Names.Bool).Set(value)
    else:
        shader.CreateInput(name, Names.Float).Set(float(np.asarray(value)))


def _preview_texture(
    stage: Usd.Stage, path: Sdf.Path, name: str, file: str, color: bool, output: str
) -> UsdShade.Output:
    reader = _shader(stage, path.AppendChild("preview_st"), "UsdPrimvarReader_float2")
    reader.CreateInput("varname", Names.String).Set("st")
    texture = _shader(stage, path.AppendChild(f"preview_{name}"), "UsdUVTexture")
    texture.CreateInput("file", Names.Asset).Set(Sdf.AssetPath(file))
    texture.CreateInput("sourceColorSpace", Names.Token).Set("sRGB" if color else "raw")
    for side in ("wrapS", "wrapT"):
        texture.CreateInput(side, Names.Token).Set("clamp")
    if name == "normal":
        texture.CreateInput("scale", Names.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
        texture.CreateInput("bias", Names.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
    texture.CreateInput("st", Names.Float2).ConnectToSource(reader.CreateOutput("result", Names.Float2))
    return texture.CreateOutput(output, Names.Float3 if output == "rgb" else Names.Float)


def _property(
    stage: Usd.Stage, path: Sdf.Path, name: str, kind: str, value: Sdf.ValueTypeName
) -> UsdShade.Output:
    """A primvar, in MaterialX."""
    reader = _shader(stage, path.AppendChild(f"mtlx_{name}"), f"ND_geompropvalue_{kind}")
    reader.CreateInput("geomprop", Names.String).Set(name)
    return reader.CreateOutput("out", value)


def _image(
    stage: Usd.Stage, path: Sdf.Path, name: str, file: str, color: bool, kind: str, value: Sdf.ValueTypeName
) -> UsdShade.Output:
    """A texture, in MaterialX."""
    image = _shader(stage, path.AppendChild(f"mtlx_{name}"), f"ND_image_{kind}")
    where = image.CreateInput("file", Names.Asset)
    where.Set(Sdf.AssetPath(file))
    where.GetAttr().SetColorSpace("srgb_texture" if color else "raw")
    for side in ("uaddressmode", "vaddressmode"):
        image.CreateInput(side, Names.String).Set("clamp")
    image.CreateInput("texcoord", Names.Float2).ConnectToSource(
        _property(stage, path, "st", "vector2", Names.Float2)
    )
    return image.CreateOutput("out", value)
