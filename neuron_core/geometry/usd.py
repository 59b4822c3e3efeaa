"""Meshes of any USD file: placed in the world, in meters, Y up, triangulated and recentered.

Everything that USD calls a surface is read: meshes of all kinds, Catmull-Clark surfaces on their
limit, simple solids, native instances and point instancers. What a render would not show (hidden
prims, proxies, guides, variants that are not selected) is left out.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pxr import Sdf, Tf, Usd, UsdGeom, UsdUtils

from neuron_core.geometry import polygons
from neuron_core.geometry.mesh import Geometry, GeometryError, MeshPart
from neuron_core.geometry.notes import Notes
from neuron_core.geometry.placing import Shape, placed
from neuron_core.geometry.refinement import Cage
from neuron_core.geometry.subdivision import Extent, choose_levels, lowest_level, subdivide
from neuron_core.geometry.usd_scene import Collector, Placement
from neuron_core.geometry.usd_shapes import read_shape

SUBDIVIDED_TRIANGLES = 500_000  # all subdivision surfaces together, instances counted
FINEST = 5  # most levels of subdivision
FINE_ENOUGH = 1.0 / 600.0  # of the object's diagonal: triangles smaller than this are not split further
MOST_TRIANGLES = 10_000_000
SMALLEST, LARGEST = 1e-6, 1e7  # meters along the diagonal


def parse_geometry_spec(spec: str) -> tuple[Path, str]:
    """File and prim path of "PATH.usd[@/prim]"; the prim is "/", the whole stage, where none is named.

    Raises GeometryError when what follows the "@" is not an absolute prim path. File names may contain "@".
    """
    file, separator, prim = spec.rpartition("@")
    if not separator or Path(spec).exists():
        return Path(spec), "/"
    if not prim.startswith("/"):
        if not Path(file).exists():
            return Path(spec), "/"
        raise GeometryError(
            f"{prim!r} is not a prim path.", f"Write {file}@/path/to/prim, beginning with a slash."
        )
    if prim != "/" and not _is_prim_path(prim):
        raise GeometryError(f"{prim!r} is not a prim path.", "Write it like /World/ball.")
    return Path(file), prim


def _is_prim_path(text: str) -> bool:
    if not Sdf.Path.IsValidPathString(text):
        return False
    path = Sdf.Path(text)
    return bool(path.IsPrimPath() and not path.ContainsPrimVariantSelection())


def read_usd(spec: str, assign: Sequence[str] = ()) -> Geometry:
    """The surfaces at and below a prim of "PATH.usd[@/prim]".

    `assign` names prims (paths, or names and ends of paths) that take the library material with
    all below them; none means all. Animation is read at its earliest time. Raises GeometryError
    for what cannot be read, for unknown prims, and if nothing with an area is left.
    """
    path, prim_path = parse_geometry_spec(spec)
    notes = Notes()
    with _warnings_of_usd(notes) as collect:
        stage = _open(path)
        collect()
        root = _prim_at(stage, prim_path, path, notes)
        placements = Collector(notes).below(root)
        shapes = _shapes(placements, notes)
        placements = [placement for placement in placements if _key(placement) in shapes]
        if not placements:
            raise _nothing(spec, notes)
        takes = _assigned(placements, prim_path, assign)
        from_stage = _meters_y_up(stage, path, notes)
        copies = [
            placed(shapes[_key(placement)], placement.matrices @ from_stage) for placement in placements
        ]
    source = str(path) if prim_path == "/" else f"{path}@{prim_path}"
    return _recentered(copies, placements, takes, source, notes)


# --- opening ---


@contextmanager
def _warnings_of_usd(notes: Notes) -> Iterator[Callable[[], None]]:
    """What USD would print goes into the notes: at the end, and whenever the function given is called."""
    delegate = UsdUtils.CoalescingDiagnosticDelegate()

    def collect() -> None:
        for item in delegate.TakeUncoalescedDiagnostics():
            _note_warning(str(item.commentary), notes)

    try:
        yield collect
    finally:
        collect()


def _note_warning(text: str, notes: Notes) -> None:
    asset = re.search(r"Could not open asset @([^@]*)@", text)
    if asset:
        notes.add("Could not open files that are referenced", asset.group(1))
    else:
        notes.add(f"USD says: {' '.join(text.split())[:300].rstrip('.')}")


def _open(path: Path) -> Usd.Stage:
    if not path.exists():
        raise GeometryError(f"There is no file {path}.", 'Give "shaderball" or the path of a USD file.')
    if path.is_dir():
        raise GeometryError(f"{path} is a folder.", "Give the path of a USD file.")
    if not Usd.Stage.IsSupportedFile(str(path)):
        raise GeometryError(
            f"{path} is not a USD file.", "Files that are read end in .usd, .usda, .usdc or .usdz."
        )
    try:
        return Usd.Stage.Open(str(path), Usd.Stage.LoadAll)
    except Tf.ErrorException as error:
        reasons = re.findall(r" : '(.*?)'\n", f"{error}\n", re.DOTALL)
        reason = " ".join((reasons or [str(error)])[0].split())[:300]
        raise GeometryError(f"{path} cannot be read as USD: {reason}.", "Export the file again.") from None


def _prim_at(stage: Usd.Stage, prim_path: str, path: Path, notes: Notes) -> Usd.Prim:
    prim = stage.GetPrimAtPath(prim_path)
    if prim:
        return prim
    paths = [str(each.GetPath()) for each in stage.Traverse(Usd.TraverseInstanceProxies())][:20_000]
    name = prim_path.rsplit("/", 1)[-1]
    near = [each for each in paths if each.rsplit("/", 1)[-1] == name][:3]
    near += [each for each in difflib.get_close_matches(prim_path, paths, 5, 0.5) if each not in near]
    listed = ", ".join(near or paths[:8]) or "none"
    hint = " ".join([f"Prims like it: {listed}.", *notes.listed()])
    raise GeometryError(f"{path} has no prim {prim_path}.", hint)


def _nothing(spec: str, notes: Notes) -> GeometryError:
    return GeometryError(
        f"{spec} holds no mesh that is visible and has an area.",
        " ".join(notes.listed()) or "Pick a prim with meshes below it.",
    )


def _meters_y_up(stage: Usd.Stage, path: Path, notes: Notes) -> np.ndarray:
    """[4,4] row-vector matrix from stage units and axes to meters, Y up."""
    meters = UsdGeom.GetStageMetersPerUnit(stage)
    if not (np.isfinite(meters) and meters > 0.0):
        raise GeometryError(
            f"{path}: metersPerUnit is {meters}.", "Author 0.01 for centimeters, 1 for meters."
        )
    if not UsdGeom.StageHasAuthoredMetersPerUnit(stage):
        notes.add("metersPerUnit is not authored, so a unit is a centimeter")
    matrix = np.diag([meters, meters, meters, 1.0])
    if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z:
        matrix = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]]) @ matrix
    return matrix


# --- who takes the material ---


def _assigned(placements: list[Placement], root: str, assign: Sequence[str]) -> list[bool]:
    if not assign:
        return [True] * len(placements)
    takes = [False] * len(placements)
    for wanted in assign:
        hits = [any(_is_called(path, wanted) for path in placement.paths) for placement in placements]
        if not any(hits):
            raise GeometryError(
                f"Nothing that is drawn below {root} is called {wanted!r}.", _candidates(placements, wanted)
            )
        takes = [one or other for one, other in zip(takes, hits, strict=True)]
    return takes


def _is_called(path: str, wanted: str) -> bool:
    """Whether `wanted` is the path or name of the prim or of one that holds it."""
    if wanted.startswith("/"):
        return path == wanted or path.startswith(wanted.rstrip("/") + "/")
    return f"/{wanted.strip('/')}/" in path + "/"


def _candidates(placements: list[Placement], wanted: str) -> str:
    paths = list(dict.fromkeys(path for placement in placements for path in placement.paths))
    names = {path.rsplit("/", 1)[-1]: path for path in reversed(paths)}
    near = [names[name] for name in difflib.get_close_matches(wanted.rsplit("/", 1)[-1], names, 4)]
    listed = (near + [path for path in paths if path not in near])[:12]
    more = f" and {len(paths) - len(listed)} more" if len(paths) > len(listed) else ""
    return f"Meshes are {', '.join(listed)}{more}."


# --- shapes ---


def _key(placement: Placement) -> str:
    """Equal for copies of one native instance, so that they are read and subdivided once."""
    prim = placement.prim
    return str((prim.GetPrimInPrototype() if prim.IsInstanceProxy() else prim).GetPath())


def _shapes(placements: list[Placement], notes: Notes) -> dict[str, Shape]:
    """The triangles of every prim that has any, by key."""
    read: dict[str, Shape | Cage | None] = {}
    matrices: dict[str, list[np.ndarray]] = {}
    for placement in placements:
        key = _key(placement)
        if key not in read:
            read[key] = read_shape(placement.prim, notes)
        matrices.setdefault(key, []).append(placement.matrices)
    cages = {key: shape for key, shape in read.items() if isinstance(shape, Cage)}
    shapes = {key: shape for key, shape in read.items() if isinstance(shape, Shape)}
    extents = {key: _extent(cage, np.concatenate(matrices[key])) for key, cage in cages.items()}
    whole = max((extent.size for extent in extents.values()), default=0.0)
    levels = choose_levels(list(extents.values()), SUBDIVIDED_TRIANGLES, FINEST, whole * FINE_ENOUGH)
    chosen = dict(zip(extents, levels, strict=True))
    _check_size(
        sum(extents[key].triangles(level) for key, level in chosen.items())
        + sum(len(shape.faces) * sum(map(len, matrices[key])) for key, shape in shapes.items())
    )
    for key, level in chosen.items():
        shape = _subdivided(cages[key], level)
        if shape is not None:
            shapes[key] = shape
    return shapes


def _check_size(triangles: int) -> None:
    if triangles > MOST_TRIANGLES:
        raise GeometryError(
            f"The geometry expands to {triangles} triangles; {MOST_TRIANGLES} is the most that is read.",
            "Pick a smaller part of the scene or decimate it.",
        )


def _extent(cage: Cage, matrices: np.ndarray) -> Extent:
    used = cage.points[cage.indices]
    scales = np.abs(np.linalg.det(matrices[:, :3, :3])) ** (1.0 / 3.0)
    size = float(np.linalg.norm(np.ptp(used, axis=0)) * scales.max())
    return Extent(len(cage.indices), len(matrices), size, lowest_level(cage))


def _subdivided(cage: Cage, level: int) -> Shape | None:
    points, triangles, normals = subdivide(cage, level)
    triangles = triangles[~polygons.are_degenerate(points, triangles)]
    if not len(triangles):
        return None
    used, faces = np.unique(triangles, return_inverse=True)
    return Shape(points[used], faces.reshape(-1, 3), normals[used])


# --- the world around the object ---


def _recentered(
    copies: list[Shape | None],
    placements: list[Placement],
    takes: list[bool],
    source: str,
    notes: Notes,
) -> Geometry:
    rows = [
        (shape, placement.name, takes_material)
        for shape, placement, takes_material in zip(copies, placements, takes, strict=True)
        if shape is not None
    ]
    if not rows:
        raise _nothing(source, notes)
    lower = np.min([shape.positions.min(axis=0) for shape, _, _ in rows], axis=0)
    upper = np.max([shape.positions.max(axis=0) for shape, _, _ in rows], axis=0)
    _check_bounds(lower, upper, source)
    center = (lower + upper) / 2.0
    parts = tuple(
        MeshPart(
            name,
            (shape.positions - center).astype(np.float32),
            shape.faces.astype(np.int32),
            shape.normals.astype(np.float32),
            takes_material,
        )
        for shape, name, takes_material in rows
    )
    return Geometry(parts, source, (float(center[0]), float(center[1]), float(center[2])), notes.listed())


def _check_bounds(lower: np.ndarray, upper: np.ndarray, source: str) -> None:
    diagonal = float(np.linalg.norm(upper - lower))
    if not SMALLEST <= diagonal <= LARGEST:
        raise GeometryError(
            f"{source} is {diagonal:g} m large; {SMALLEST:g} m to {LARGEST:g} m can be read.",
            "Look at metersPerUnit, at the scale of the prim and for stray points.",
        )
