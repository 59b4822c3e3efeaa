"""A look of a baked asset as a mesh with textures, or as points, in USD."""

from dataclasses import dataclass
from pathlib import Path

from neuron_core.foundation.progress import Reporter
from neuron_core.surfaces.baking import ShadedMesh, shaded, textured
from neuron_core.surfaces.mesh import Mesh, decimated, surface_of
from neuron_core.surfaces.points import points_on
from neuron_core.surfaces.sampling import SurfaceSampler, record_of
from neuron_core.surfaces.usd import textures_of, write_mesh, write_points
from neuron_core.voxels.baked import Baked

SMALLEST_TEXTURE = 16


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """How fine a mesh is; each level has a quarter of the triangles of the one before."""

    triangles: int  # about so many at most; 0 for all that the voxels give
    texture_size: int  # texels along a side; 0 for colors at vertices only
    levels: int


def deliver_mesh(
    out: Path, baked: Baked, slug: str, settings: MeshSettings, device: str, report: Reporter
) -> dict[str, object]:
    """Write the surface with its textures; what was written. Raises FileError or SurfaceError."""
    report.progress(0.05, "surface", "")
    whole = surface_of(baked.nvf, device)
    sampler, record = SurfaceSampler(baked, slug, device), record_of(baked, slug)
    bodies: list[ShadedMesh] = []
    for level in range(settings.levels):
        wanted = (settings.triangles or len(whole.faces)) >> (2 * level)
        mesh = decimated(whole, max(wanted, 4))
        start, end = (0.2 + 0.7 * (level + more) / settings.levels for more in (0, 1))
        report.progress(start, "look", f"{len(mesh.faces):,} triangles")
        body = shaded(mesh, sampler)
        if settings.texture_size:
            side = max(settings.texture_size >> level, SMALLEST_TEXTURE)

            def tell(part: float, start: float = start, end: float = end) -> None:
                report.progress(start + (end - start) * part, "textures", "")

            body = textured(body, sampler, side, record, tell)
        bodies.append(body)
    write_mesh(out, bodies, record, _notes(baked, slug))
    finest = bodies[0].mesh
    return {
        "kind": "mesh",
        "triangles": len(finest.faces),
        "vertices": len(finest.points),
        "levels": len(bodies),
        "watertight": finest.is_watertight(),
        "seen": float(bodies[0].seen.mean()),
        "textures": _textures(out, bodies[0]),
        "look": slug,
        "said": f"{len(finest.faces):,} triangles, {_closed(finest)}",
    }


def deliver_points(
    out: Path, baked: Baked, slug: str, most: int, device: str, report: Reporter
) -> dict[str, object]:
    """Write at most that many points on the surface; what was written."""
    report.progress(0.05, "surface", "")
    mesh = surface_of(baked.nvf, device)
    report.progress(0.4, "look", "")
    cloud = points_on(mesh, baked.nvf, SurfaceSampler(baked, slug, device), most)
    write_points(out, cloud, _notes(baked, slug))
    return {"kind": "points", "points": len(cloud), "look": slug, "said": f"{len(cloud):,} points"}


def _closed(mesh: Mesh) -> str:
    return "watertight" if mesh.is_watertight() else "not watertight"


def _textures(out: Path, body: ShadedMesh) -> list[str]:
    """Files of the finest level; those of a .usdz are inside."""
    if out.suffix.lower() == ".usdz" or body.textures is None:
        return []
    return [str(textures_of(out) / f"{name}.lod0.png") for name in body.textures]


def _notes(baked: Baked, slug: str) -> dict[str, str]:
    return {
        "asset": baked.manifest.name,
        "digest": baked.manifest.digest,
        "look": slug,
        "prompt": baked.manifest.look(slug).prompt,
    }
