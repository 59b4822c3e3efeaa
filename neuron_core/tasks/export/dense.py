"""Meshes and points of an asset, as USD."""

from pathlib import Path

from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.progress import Reporter
from neuron_core.surfaces.baking import Dressed, dressed, textured
from neuron_core.surfaces.looks import Looker, record_of
from neuron_core.surfaces.mesh import Mesh, decimated, surface_of
from neuron_core.surfaces.points import points_on
from neuron_core.surfaces.usd import textures_of, write_mesh, write_points
from neuron_core.tasks.export.config import ExportConfig
from neuron_core.voxels.baked import Baked

SMALLEST_TEXTURE = 16


def export_mesh(config: ExportConfig, baked: Baked, slug: str, report: Reporter) -> dict[str, object]:
    """Write the surface with its textures; what was written."""
    device = warp_device(config.device)
    report.progress(0.05, "surface", "")
    whole = surface_of(baked.nvf, device)
    looker, record = Looker(baked, slug, device), record_of(baked, slug)
    bodies: list[Dressed] = []
    for level in range(config.levels):
        wanted = (config.triangles or len(whole.faces)) >> (2 * level)
        mesh = decimated(whole, max(wanted, 4))
        start, end = (0.2 + 0.7 * (level + more) / config.levels for more in (0, 1))
        report.progress(start, "look", f"{len(mesh.faces):,} triangles")
        body = dressed(mesh, looker)
        if config.texture_size:
            side = max(config.texture_size >> level, SMALLEST_TEXTURE)

            def tell(part: float, start: float = start, end: float = end) -> None:
                report.progress(start + (end - start) * part, "textures", "")

            body = textured(body, looker, side, record, tell)
        bodies.append(body)
    write_mesh(config.out, bodies, record, _notes(baked, slug))
    finest = bodies[0].mesh
    return {
        "kind": "mesh",
        "triangles": len(finest.faces),
        "vertices": len(finest.points),
        "levels": len(bodies),
        "watertight": finest.is_watertight(),
        "seen": float(bodies[0].seen.mean()),
        "textures": _files(config, bodies[0]),
        "look": slug,
        "said": f"{len(finest.faces):,} triangles, {_closed(finest)}",
    }


def _closed(mesh: Mesh) -> str:
    return "watertight" if mesh.is_watertight() else "not watertight"


def _files(config: ExportConfig, body: Dressed) -> list[str]:
    """Of the finest level; those of a .usdz are inside."""
    if Path(config.out).suffix.lower() == ".usdz" or body.textures is None:
        return []
    return [str(textures_of(config.out) / f"{name}.lod0.png") for name in body.textures]


def export_points(config: ExportConfig, baked: Baked, slug: str, report: Reporter) -> dict[str, object]:
    """Write points on the surface; what was written."""
    device = warp_device(config.device)
    report.progress(0.05, "surface", "")
    mesh = surface_of(baked.nvf, device)
    report.progress(0.4, "look", "")
    cloud = points_on(mesh, baked.nvf, Looker(baked, slug, device), config.max_splats)
    write_points(config.out, cloud, _notes(baked, slug))
    return {"kind": "points", "points": len(cloud), "look": slug, "said": f"{len(cloud):,} points"}


def _notes(baked: Baked, slug: str) -> dict[str, str]:
    look = next(look for look in baked.manifest.looks if look.slug == slug)
    return {
        "asset": baked.manifest.name,
        "digest": baked.manifest.digest,
        "look": slug,
        "prompt": look.prompt,
    }
