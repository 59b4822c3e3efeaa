"""Small stages as text."""

from pathlib import Path

HEAD = """#usda 1.0
(
    metersPerUnit = {unit}
    upAxis = "Y"
    startTimeCode = 1
    endTimeCode = 5
)
"""

CAMERA = """
def Camera "shot"
{{
    float focalLength = 50
    float horizontalAperture = 36
    float verticalAperture = 36
    double3 xformOp:translate.timeSamples = {{ 1: ({x}, 0, 1.4), 5: ({x2}, 0.1, 1.3) }}
    float3 xformOp:rotateXYZ.timeSamples = {{ 1: (0, {turn}, 0), 5: (-3, {turn2}, 0) }}
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateXYZ"]
}}
"""


def asset_prim(name: str, file: str, matrix: str = "", look: str = "", extra: str = "") -> str:
    """An asset; `matrix` is written as USD writes one, rows first."""
    place = (
        f'matrix4d xformOp:transform = {matrix}\n    uniform token[] xformOpOrder = ["xformOp:transform"]'
        if matrix
        else ""
    )
    return f"""
def Xform "{name}" (prepend apiSchemas = ["NeuronAssetAPI"])
{{
    asset neuron:file = @{file}@
    token neuron:look = "{look}"
    {place}
    {extra}
}}
"""


def moved(x: float, y: float, z: float, scale: float = 1.0) -> str:
    """A matrix as USD writes it."""
    return f"( ({scale}, 0, 0, 0), (0, {scale}, 0, 0), (0, 0, {scale}, 0), ({x}, {y}, {z}, 1) )"


def camera_prim(x: float = 0.1, x2: float = 0.1, turn: float = 0.0, turn2: float = 0.0) -> str:
    """/shot, which looks along -Z and moves from frame 1 to frame 5."""
    return CAMERA.format(x=x, x2=x2, turn=turn, turn2=turn2)


SQUARE = """
def Mesh "floor"
{
    int[] faceVertexCounts = [4]
    int[] faceVertexIndices = [0, 1, 2, 3]
    point3f[] points = [(-3, -0.35, -3), (-3, -0.35, 3), (3, -0.35, 3), (3, -0.35, -3)]
    color3f[] primvars:displayColor = [(0.2, 0.4, 0.1)]
    uniform token subdivisionScheme = "none"
}
"""


def write_stage(path: Path, *prims: str, unit: float = 1.0) -> Path:
    """Write a stage of those prims."""
    path.write_text(HEAD.format(unit=unit) + "".join(prims), encoding="utf-8")
    return path
