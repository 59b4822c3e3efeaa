"""USD files."""

import re
from collections import Counter
from collections.abc import Sized
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pxr import Sdf, Tf, Usd, UsdGeom, UsdUtils

from neuron_core.assets.encoders import check_encoder
from neuron_core.foundation.wording import counted, listed
from neuron_core.geometry.usd import parse_geometry_spec, read_usd
from neuron_core.inspection.findings import Findings, InspectError, box_size
from neuron_core.usd import schema
from neuron_core.usd.stage import SceneStage
from neuron_core.usd.validate import validate

MOST_PRIMS = 500_000


@dataclass(slots=True)
class _Seen:
    """What a walk over the prims found."""

    kinds: Counter[str] = field(default_factory=Counter)
    meshes: list[dict[str, object]] = field(default_factory=list)
    points: int = 0
    faces: int = 0
    assets: list[dict[str, object]] = field(default_factory=list)
    all: bool = True


def inspect_stage(spec: Path, verify: bool) -> Findings:
    """The prims of "PATH.usd[@/prim]"; with `verify` its surfaces are read as for a dataset."""
    path, prim_path = parse_geometry_spec(str(spec))
    stage, warnings = _open(path)
    root = stage.GetPrimAtPath(prim_path)
    if not root:
        raise InspectError(f"{path} has no prim {prim_path}.", "Leave out @/prim to see what it has.")
    seen = _walk(root)
    lines = [_stage_line(stage), *_prim_lines(seen)]
    details: dict[str, object] = {
        "meters_per_unit": float(UsdGeom.GetStageMetersPerUnit(stage)),
        "up_axis": str(UsdGeom.GetStageUpAxis(stage)),
        "default_prim": _default_prim(stage),
        "prims": dict(seen.kinds),
        "meshes": seen.meshes,
        "assets": seen.assets,
        "complete": seen.all,
        "warnings": warnings,
    }
    problems = validate(SceneStage(stage, path), verify, check_encoder if verify else None)
    details["problems"] = [asdict(problem) for problem in problems]
    lines += [] if problems else warnings[:8]
    lines += [f"{'problem' if one.fatal else 'warning'} at {one}" for one in problems[:16]]
    lines.append(f"and {len(problems) - 16} more" if len(problems) > 16 else "")
    if verify and seen.meshes:
        more, details["surfaces"] = _surfaces(spec)
        lines += more
    read = "its surfaces and neural assets" if verify else "headers; --verify reads surfaces and tensors"
    found = counted(len(problems), "finding") if problems else "nothing found"
    lines.append(f"checked: USD's validators and ours, {found}; {read}")
    return Findings("usd", "USD stage", lines, details)


def _open(path: Path) -> tuple[Usd.Stage, list[str]]:
    """The stage, and what USD would have printed about files that are missing and the like."""
    if not Usd.Stage.IsSupportedFile(str(path)):
        raise InspectError(f"{path} is not a USD file.", "USD files end in .usd, .usda, .usdc or .usdz.")
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        stage = Usd.Stage.Open(str(path), Usd.Stage.LoadAll)
    except Tf.ErrorException as error:
        reason = re.search(r" : '(.*?)'\n", f"{error}\n", re.DOTALL)
        said = " ".join((reason[1] if reason else str(error)).split())[:300]
        raise InspectError(f"{path} cannot be read as USD: {said}.", "Export the file again.") from None
    finally:
        said_items = delegate.TakeUncoalescedDiagnostics()
        del delegate
    return stage, list(dict.fromkeys(_warning(str(item.commentary)) for item in said_items))


def _warning(text: str) -> str:
    missing = re.search(r"Could not open asset @([^@]*)@", text)
    return f"cannot open {missing[1]}" if missing else " ".join(text.split())[:300]


def _walk(root: Usd.Prim) -> _Seen:
    seen = _Seen()
    for count, prim in enumerate(Usd.PrimRange(root, Usd.TraverseInstanceProxies())):
        if count == MOST_PRIMS:
            seen.all = False
            break
        if prim.IsPseudoRoot():
            continue
        seen.kinds[str(prim.GetTypeName()) or "untyped"] += 1
        if schema.is_asset(prim):
            seen.assets.append(_asset(prim))
        if prim.IsA(UsdGeom.Mesh):
            _add_mesh(prim, seen)
    return seen


def _asset(prim: Usd.Prim) -> dict[str, object]:
    value = prim.GetAttribute(schema.FILE).Get()
    if not isinstance(value, Sdf.AssetPath):
        value = Sdf.AssetPath()
    return {"path": str(prim.GetPath()), "file": value.path, "found": bool(value.resolvedPath)}


def _add_mesh(prim: Usd.Prim, seen: _Seen) -> None:
    mesh = UsdGeom.Mesh(prim)
    when = Usd.TimeCode.EarliestTime()
    points = _length(mesh.GetPointsAttr().Get(when))
    faces = _length(mesh.GetFaceVertexCountsAttr().Get(when))
    subdivision = str(mesh.GetSubdivisionSchemeAttr().Get() or "none")
    seen.points += points
    seen.faces += faces
    seen.meshes.append(
        {"path": str(prim.GetPath()), "points": points, "faces": faces, "subdivision": subdivision}
    )


def _length(value: object) -> int:
    return len(value) if isinstance(value, Sized) else 0  # nothing keeps a file from other types


def _stage_line(stage: Usd.Stage) -> str:
    unit, up = UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage)
    return f"{unit:g} m per unit, {up} up, default prim {_default_prim(stage) or 'not set'}"


def _default_prim(stage: Usd.Stage) -> str:
    prim = stage.GetDefaultPrim()
    return str(prim.GetPath()) if prim else ""


def _prim_lines(seen: _Seen) -> list[str]:
    kinds = [f"{count} {kind}" for kind, count in seen.kinds.most_common()]
    lines = [
        f"prims: {listed(kinds, 12) or 'none'}",
        f"meshes: {len(seen.meshes):,} with {seen.points:,} points and {seen.faces:,} faces",
    ]
    for mesh in seen.meshes[:16]:
        lines.append(f"  {mesh['path']}: {mesh['points']} points, {mesh['faces']} faces")
    if len(seen.meshes) > 16:
        lines.append(f"  and {len(seen.meshes) - 16} more")
    for asset in seen.assets[:16]:
        missing = "" if asset["found"] else " (not found)"
        lines.append(f"neural asset {asset['path']}: {asset['file'] or 'no file'}{missing}")
    if not seen.all:
        lines.append(f"only the first {MOST_PRIMS:,} prims were looked at")
    return lines


def _surfaces(spec: Path) -> tuple[list[str], dict[str, object]]:
    geometry = read_usd(str(spec))
    low, high = ([float(number) for number in corner] for corner in geometry.aabb())
    triangles = sum(len(part.faces) for part in geometry.parts)
    lines = [
        f"surfaces: {counted(len(geometry.parts), 'part')}, {counted(triangles, 'triangle')}, "
        f"{box_size(low, high)} Y up",
        *geometry.notes[:8],
    ]
    details: dict[str, object] = {
        "parts": [part.name for part in geometry.parts],
        "triangles": triangles,
        "aabb": [low, high],
        "center": list(geometry.center),
        "notes": list(geometry.notes),
    }
    return lines, details
