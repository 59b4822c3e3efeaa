"""Many assets at once, from points: as references side by side, or as one point instancer.

Places are in units and axes of the stage. Every file is looked at once, however many points name it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from neuron_core.usd import adding, changing, schema
from neuron_core.usd.changing import Change, Vec3
from neuron_core.usd.published import home_of, locate
from neuron_core.usd.records import SceneError

PROTOTYPES = "Prototypes"


@dataclass(frozen=True, slots=True, eq=False)
class Placements:
    """N points. Raises SceneError for numbers that place nothing, naming the first point."""

    assets: Sequence[str]  # [N] files or folders of a library
    looks: Sequence[str]  # [N] names; "" is the asset's first
    positions: np.ndarray  # [N, 3]
    orients: np.ndarray | None = None  # [N, 4] quaternions x y z w; none turn nothing
    scales: np.ndarray | None = None  # [N, 3]

    def __post_init__(self) -> None:
        if len(self.positions) > adding.MOST_COPIES:
            raise SceneError(
                f"{len(self.positions):,} points are too many.", f"Take at most {adding.MOST_COPIES:,}."
            )
        _require_finite("position", self.positions)
        _require_finite("orientation", self.orients)
        _require_finite("scale", self.scales)
        unnamed = next((index for index, asset in enumerate(self.assets) if not asset), None)
        if unnamed is not None:
            raise SceneError(f"Point {unnamed} names no asset.", "Name one on the point, or for all of them.")

    def changes(self) -> list[Change]:
        """What places each point, as the command line says it."""
        angles = None if self.orients is None else euler_degrees(self.orients)
        return [
            Change(
                at=_vector(self.positions[index]),
                rotate=None if angles is None else _vector(angles[index]),
                scale=None if self.scales is None else _vector(self.scales[index]),
                look=self.looks[index] or None,
            )
            for index in range(len(self.positions))
        ]


def _require_finite(name: str, values: np.ndarray | None) -> None:
    if values is None:
        return
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise SceneError(f"The {name} of point {wrong[0]} is not finite.", "Look at its attributes.")


def _vector(values: np.ndarray) -> Vec3:
    x, y, z = (float(value) for value in values)
    return x, y, z


def euler_degrees(quaternions: np.ndarray) -> np.ndarray:
    """Angles [N, 3] about x, y, z, applied in this order, of quaternions [N, 4] x y z w of any length."""
    x, y, z, w = unit_quaternions(quaternions).T
    sine = np.clip(2 * (w * y - x * z), -1, 1)
    locked = np.abs(sine) > 1 - 1e-9  # then x and z turn about the same axis; z is left at 0
    rx = np.where(
        locked,
        np.arctan2(-2 * (y * z - w * x), 1 - 2 * (x * x + z * z)),
        np.arctan2(2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    rz = np.where(locked, 0.0, np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z)))
    return np.asarray(np.degrees(np.stack([rx, np.arcsin(sine), rz], axis=-1)))


def unit_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Of length 1; those of length 0 turn nothing."""
    values = np.asarray(quaternions, np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.where(lengths > 0, values / np.maximum(lengths, 1e-300), np.array([0.0, 0.0, 0.0, 1.0]))


def add_references(
    stage: Usd.Stage,
    group: str,
    placed: Placements,
    representations: Sequence[str] = (),
    instance: bool = True,
) -> list[str]:
    """One prim a point below `group`, named after its asset and numbered; their paths.

    The prims of a grid of `neuron scene add`. Of `representations` an asset shows the first that it has.
    Raises SceneError for paths that are taken and for what an asset does not have.
    """
    digits = len(str(max(len(placed.positions) - 1, 0)))
    sources = {asset: locate(Path(asset)) for asset in dict.fromkeys(placed.assets)}
    names = {asset: name_of(source) for asset, source in sources.items()}
    changes = placed.changes()
    paths = [f"{group}/{names[asset]}_{index:0{digits}d}" for index, asset in enumerate(placed.assets)]
    repeated: dict[int, list[int]] = {}  # by the point whose prim is copied
    for asset, source in sources.items():
        looks = _by_look(placed, asset)
        base = next(iter(looks.values()))[0]
        prim = adding.add(stage, source, paths[base], instance)
        changing.change(stage, paths[base], replace(changes[base], look=None))
        represent(stage, prim, representations)
        repeated |= _one_of_each(stage, base, looks, paths, changes)
    with Sdf.ChangeBlock():
        for head, rest in repeated.items():
            adding.repeat(stage, paths[head], {paths[index]: changes[index] for index in rest})
    return paths


def _by_look(placed: Placements, asset: str) -> dict[str, list[int]]:
    """The points of an asset by look, those that name none first."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(placed.assets):
        if name == asset:
            found.setdefault(placed.looks[index], []).append(index)
    return dict(sorted(found.items(), key=lambda item: bool(item[0])))


def _one_of_each(
    stage: Usd.Stage,
    base: int,
    looks: Mapping[str, Sequence[int]],
    paths: Sequence[str],
    changes: Sequence[Change],
) -> dict[int, list[int]]:
    """One prim for each look, from a placed prim that has none; the points that are to be like each.

    These prims are composed, so that their looks are checked.
    """
    found = {}
    for look, members in sorted(looks.items(), key=lambda item: base in item[1]):  # the base comes last
        head = base if base in members else members[0]
        if head != base:
            adding.repeat(stage, paths[base], {paths[head]: replace(changes[head], look=None)})
        if look:
            changing.change(stage, paths[head], Change(look=look))
        found[head] = [index for index in members if index != head]
    return found


def add_instancer(
    stage: Usd.Stage, path: str, placed: Placements, representations: Sequence[str] = ()
) -> str:
    """A point instancer with one prototype for each asset and look. Raises SceneError."""
    if stage.GetPrimAtPath(path):
        raise SceneError(f"{path} is there already.", "Take another name.")
    parent = Sdf.Path(path).GetParentPath()
    if not parent.IsAbsoluteRootPath() and not stage.GetPrimAtPath(parent):
        UsdGeom.Xform.Define(stage, parent)
    instancer = UsdGeom.PointInstancer.Define(stage, path)
    UsdGeom.Scope.Define(stage, f"{path}/{PROTOTYPES}")
    numbers: dict[tuple[str, str], int] = {}
    for pair in zip(placed.assets, placed.looks, strict=True):
        numbers.setdefault(pair, len(numbers))
    targets = [_prototype(stage, path, asset, look, representations) for asset, look in numbers]
    indices = [numbers[pair] for pair in zip(placed.assets, placed.looks, strict=True)]
    instancer.CreatePrototypesRel().SetTargets(targets)
    instancer.CreateProtoIndicesAttr(Vt.IntArray(indices))
    instancer.CreatePositionsAttr(_vectors(placed.positions))
    if placed.orients is not None:
        _turn(instancer, placed.orients)
    if placed.scales is not None:
        instancer.CreateScalesAttr(_vectors(placed.scales))
    return path


def _prototype(
    stage: Usd.Stage, path: str, asset: str, look: str, representations: Sequence[str]
) -> Sdf.Path:
    source = locate(Path(asset))
    name = adding.prim_name(f"{name_of(source)}_{look}" if look else name_of(source))
    place = adding.free_path(stage, f"{path}/{PROTOTYPES}", name)
    prim = adding.add(stage, source, place)
    represent(stage, prim, representations)
    if look:
        changing.change(stage, place, Change(look=look))
    return Sdf.Path(place)


def _turn(instancer: UsdGeom.PointInstancer, orients: np.ndarray) -> None:
    """With whole floats where this USD has them, else with halves."""
    unit = unit_quaternions(orients)
    if hasattr(instancer, "CreateOrientationsfAttr"):
        rows = [Gf.Quatf(float(w), Gf.Vec3f(float(x), float(y), float(z))) for x, y, z, w in unit]
        instancer.CreateOrientationsfAttr(Vt.QuatfArray(rows))
        return
    halves = [Gf.Quath(float(w), Gf.Vec3h(float(x), float(y), float(z))) for x, y, z, w in unit]
    instancer.CreateOrientationsAttr(Vt.QuathArray(halves))


def _vectors(values: np.ndarray) -> Vt.Vec3fArray:
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32))


def name_of(source: Path) -> str:
    """What prims of an asset are called."""
    home = home_of(source)
    return adding.prim_name(home.name if home is not None else source.stem)


def represent(stage: Usd.Stage, prim: Usd.Prim, wanted: Sequence[str]) -> None:
    """Pick the first of the representations that the asset has; none of them leaves its own choice."""
    offered = representations_of(prim)
    name = next((name for name in wanted if name in offered), None)
    if name is not None:
        changing.change(stage, str(prim.GetPath()), Change(representation=name))


def representations_of(prim: Usd.Prim) -> list[str]:
    """Those that an asset offers; none where it was not published."""
    sets = prim.GetVariantSets()
    if not sets.HasVariantSet(schema.REPRESENTATION_SET):
        return []
    return list(sets.GetVariantSet(schema.REPRESENTATION_SET).GetVariantNames())
