"""What is to be drawn below a USD prim, and where: one placement per prim and instancer.

Matrices are USD's: row vectors, `p_world = p_local @ matrix`, float64, in stage units and axes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from pxr import Gf, Usd, UsdGeom

from neuron_core.geometry.mesh import GeometryError
from neuron_core.geometry.notes import Notes
from neuron_core.geometry.usd_shapes import EARLIEST

MOST_INSTANCES = 200_000  # of all point instancers together
DEEPEST_NESTING = 8  # point instancers inside prototypes of point instancers
DRAWN_PURPOSES = ("default", "render")
ANY_SPECIFIER = Usd.TraverseInstanceProxies(Usd.PrimIsActive & Usd.PrimIsLoaded)  # prototypes may be overs


@dataclass(frozen=True, slots=True)
class Placement:
    """A drawable prim and its placements."""

    prim: Usd.Prim
    name: str  # unique among the placements
    paths: tuple[str, ...]  # that it can be called by: its own, and those of its instancers
    matrices: np.ndarray  # [K,4,4] world from local, row vectors


class Collector:
    """Walks a stage at the earliest time. Skips what is hidden, proxies and guides, and says so."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.instances = 0
        self._transforms = UsdGeom.XformCache(EARLIEST)
        self._purposes: set[str] = set(DRAWN_PURPOSES)

    def below(self, root: Usd.Prim) -> list[Placement]:
        """Everything drawn at and below `root`, in the order of the stage.

        A proxy or guide is drawn when it is the root itself.
        """
        imageable = UsdGeom.Imageable(root)
        if imageable:
            self._purposes.add(imageable.ComputePurpose())
            if imageable.ComputeVisibility(EARLIEST) == "invisible":
                self.notes.add("Skipped what is invisible", str(root.GetPath()))
                return []
            for path in root.GetPath().GetPrefixes()[:-1]:
                self._note_animation(root.GetStage().GetPrimAtPath(path))
        placements = []
        walk = iter(Usd.PrimRange(root, Usd.TraverseInstanceProxies()))
        for prim in self._visible(walk):
            to_world = _sound(np.array(self._transforms.GetLocalToWorldTransform(prim))[None], prim)
            if prim.IsA(UsdGeom.PointInstancer):
                walk.PruneChildren()
                placements += self._instances(prim, to_world, (), 1)
            else:
                path = str(prim.GetPath())
                placements.append(Placement(prim, path, (path,), to_world))
        return _merged(placements)

    def _visible(self, walk: Iterator[Usd.Prim]) -> Iterator[Usd.Prim]:
        """Drawable prims and point instancers; hidden branches are left out of `walk`."""
        for prim in walk:
            imageable = UsdGeom.Imageable(prim)
            if not imageable:
                continue
            if imageable.GetVisibilityAttr().Get(EARLIEST) == "invisible":
                self.notes.add("Skipped what is invisible", str(prim.GetPath()))
                walk.PruneChildren()  # type: ignore[attr-defined]
                continue
            self._note_animation(prim)
            if prim.IsA(UsdGeom.Gprim) or prim.IsA(UsdGeom.PointInstancer):
                purpose = imageable.ComputePurpose()
                if purpose in self._purposes:
                    yield prim
                else:
                    self.notes.add(f"Skipped what has purpose {purpose}", str(prim.GetPath()))

    def _note_animation(self, prim: Usd.Prim) -> None:
        if prim.IsA(UsdGeom.Xformable) and UsdGeom.Xformable(prim).TransformMightBeTimeVarying():
            self.notes.add("Animated transforms were read at their earliest time", str(prim.GetPath()))

    def _instances(
        self, prim: Usd.Prim, to_world: np.ndarray, owners: tuple[str, ...], depth: int
    ) -> list[Placement]:
        """Placements of the prototypes of a point instancer that itself has the placements [K,4,4]."""
        path = str(prim.GetPath())
        if depth > DEEPEST_NESTING:
            self.notes.add(f"Stopped at point instancers nested more than {DEEPEST_NESTING} deep", path)
            return []
        which, matrices = self._instance_matrices(UsdGeom.PointInstancer(prim), path)
        prototypes = UsdGeom.PointInstancer(prim).GetPrototypesRel().GetForwardedTargets()
        self._count(len(which) * len(to_world), path)
        placements = []
        for index, target in enumerate(prototypes):
            prototype = prim.GetStage().GetPrimAtPath(target)
            own = matrices[which == index]
            if not len(own):
                continue
            if not prototype:
                self.notes.add("Skipped instances of prototypes that do not exist", str(target))
                continue
            places = (_sound(own, prim)[:, None] @ to_world[None]).reshape(-1, 4, 4)
            placements += self._prototype(prototype, places, (*owners, path), depth)
        return placements

    def _count(self, more: int, path: str) -> None:
        self.instances += more
        if self.instances > MOST_INSTANCES:
            raise GeometryError(
                f"{path} expands to {more} instances; {MOST_INSTANCES} is the most that is read.",
                "Pick one prototype or a smaller part of the scene.",
            )

    def _instance_matrices(
        self, instancer: UsdGeom.PointInstancer, path: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Prototype index [K] and matrix [K,4,4] of every instance that is active and visible."""
        which = np.asarray(instancer.GetProtoIndicesAttr().Get(EARLIEST) or [], dtype=np.int64)
        computed = instancer.ComputeInstanceTransformsAtTime(
            EARLIEST,
            EARLIEST,
            UsdGeom.PointInstancer.IncludeProtoXform,
            UsdGeom.PointInstancer.IgnoreMask,
        )
        matrices = np.asarray(computed, dtype=np.float64).reshape(-1, 4, 4)
        if len(matrices) != len(which):
            self.notes.add("Skipped point instancers whose arrays do not fit together", path)
            return np.zeros(0, np.int64), np.zeros((0, 4, 4))
        shown = np.asarray(instancer.ComputeMaskAtTime(EARLIEST) or np.ones(len(which)), dtype=bool)
        return which[shown], matrices[shown]

    def _prototype(
        self, prototype: Usd.Prim, places: np.ndarray, owners: tuple[str, ...], depth: int
    ) -> list[Placement]:
        placements = []
        walk = iter(Usd.PrimRange(prototype, ANY_SPECIFIER))
        for prim in self._visible(walk):
            relative = Gf.Matrix4d(1.0)
            if prim != prototype:
                relative, _ = self._transforms.ComputeRelativeTransform(prim, prototype)
            matrices = _sound(np.array(relative) @ places, prim)
            path = str(prim.GetPath())
            if prim.IsA(UsdGeom.PointInstancer):
                walk.PruneChildren()
                placements += self._instances(prim, matrices, owners, depth + 1)
            else:
                inside = path.startswith(owners[-1] + "/")
                name = path if inside and len(owners) == 1 else "".join(owners) + path
                placements.append(Placement(prim, name, (path, *owners), matrices))
        return placements


def _sound(matrices: np.ndarray, prim: Usd.Prim) -> np.ndarray:
    """The matrices [K,4,4] if all of them are finite."""
    if not np.isfinite(matrices).all():
        raise GeometryError(f"The transform of {prim.GetPath()} is not finite.", "Author it again.")
    return matrices


def _merged(placements: list[Placement]) -> list[Placement]:
    """One placement per name: an instancer may list the same prototype twice."""
    by_name: dict[str, list[Placement]] = {}
    for placement in placements:
        by_name.setdefault(placement.name, []).append(placement)
    return [
        replace(same[0], matrices=np.concatenate([placement.matrices for placement in same]))
        for same in by_name.values()
    ]
