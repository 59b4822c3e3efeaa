"""Meshes to render: the built-in shader ball, or what a USD file holds.

Imports need numpy only; USD is loaded when a USD file is read.
"""

from collections.abc import Sequence

from neuron_core.geometry.mesh import Geometry, GeometryError, MeshPart

__all__ = ["Geometry", "GeometryError", "MeshPart", "load_geometry"]


def load_geometry(spec: str, assign: Sequence[str] = ()) -> Geometry:
    """Geometry of "shaderball" or of "PATH.usd[@/prim]".

    `assign` names the prims (paths or names) that take the library material; the shader ball
    knows its part names. Empty: the default of the source. Raises GeometryError.
    """
    if spec == "shaderball":
        from neuron_core.geometry.shaderball import assigned, shader_ball

        return assigned(shader_ball(), assign)
    from neuron_core.geometry.usd import read_usd

    return read_usd(spec, assign)
