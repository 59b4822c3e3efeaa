"""Walks a stage at one time and finds what is visible: neural assets and ordinary surfaces."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom

from neuron_core.foundation.errors import NeuronError
from neuron_core.geometry.usd_scene import ANY_SPECIFIER, DEEPEST_NESTING, DRAWN_PURPOSES
from neuron_core.geometry.usd_shapes import PRIMITIVES
from neuron_core.usd import schema
from neuron_core.usd.occluders import Surface, read_surface, surface_key
from neuron_core.usd.records import Problem, SceneError

MOST_INSTANCES = 1_000_000  # of all point instancers together


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPrim:
    """A prim at one of its places. Matrices are USD's here: row vectors, stage units and axes."""

    prim: Usd.Prim
    path: str
    matrix: np.ndarray  # [4,4] world from local
    purpose: str


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where a subtree stands: once as itself, or at each instance of point instancers."""

    names: tuple[str, ...]  # how the paths begin
    matrices: np.ndarray  # [K,4,4] world from the space of `root`
    root: Usd.Prim


class Walker:
    """Finds assets and surfaces, and notes what is wrong on the way."""

    def __init__(self, stage: Usd.Stage, when: Usd.TimeCode) -> None:
        self.stage = stage
        self.when = when
        self.assets: list[PlacedPrim] = []
        self.surfaces: list[tuple[PlacedPrim, Surface]] = []
        self.problems: list[Problem] = []
        self._transforms = UsdGeom.XformCache(when)
        self._read: dict[Sdf.Path, Surface | None] = {}
        self._instances = 0
        self._nested: dict[Sdf.Path, bool] = {}

    def walk(self) -> None:
        """Fill `assets`, `surfaces` and `problems`. Raises SceneError for too many instances."""
        walk = iter(Usd.PrimRange.Stage(self.stage, Usd.TraverseInstanceProxies()))
        for prim, within in self._visible(walk):
            matrix = np.array(self._transforms.GetLocalToWorldTransform(prim))
            if prim.IsA(UsdGeom.PointInstancer):
                walk.PruneChildren()
                if not within:
                    self._point_instances(prim, matrix[None], (), 1)
            else:
                self._add(prim, [str(prim.GetPath())], matrix[None])

    def _visible(self, walk: Iterator[Usd.Prim]) -> Iterator[tuple[Usd.Prim, bool]]:
        """Assets, surfaces and point instancers, and whether an asset is above them.

        What an asset holds for hosts that do not know it (its proxy and its meshes) is left out, but
        not other assets below it.
        """
        owner: Sdf.Path | None = None
        for prim in walk:
            path = prim.GetPath()
            if owner is not None and not path.HasPrefix(owner):
                owner = None
            imageable = UsdGeom.Imageable(prim)
            if imageable and imageable.GetVisibilityAttr().Get(self.when) == UsdGeom.Tokens.invisible:
                walk.PruneChildren()  # type: ignore[attr-defined]
            elif schema.is_asset(prim):
                yield prim, owner is not None
                if prim.IsInstance() and not self._holds_assets(prim):
                    walk.PruneChildren()  # type: ignore[attr-defined]
                else:
                    owner = owner or path
            elif prim.IsA(UsdGeom.PointInstancer):
                yield prim, owner is not None
            elif owner is None and _is_surface(prim):
                yield prim, False

    def _holds_assets(self, instance: Usd.Prim) -> bool:
        """Whether other assets may lie below the root of a native instance."""
        prototype = instance.GetPrototype()
        key = prototype.GetPath()
        if key not in self._nested:
            below = Usd.PrimRange(prototype, Usd.TraverseInstanceProxies())
            self._nested[key] = any(
                schema.is_asset(prim) or prim.IsA(UsdGeom.PointInstancer)
                for prim in below
                if prim != prototype
            )
        return self._nested[key]

    def _add(self, prim: Usd.Prim, paths: list[str], matrices: np.ndarray) -> None:
        purpose = str(UsdGeom.Imageable(prim).ComputePurpose()) if UsdGeom.Imageable(prim) else "default"
        places = zip(paths, matrices, strict=True)
        if schema.is_asset(prim):
            self.assets += [PlacedPrim(prim, path, matrix, purpose) for path, matrix in places]
        elif purpose in DRAWN_PURPOSES:
            surface = self._surface(prim)
            if surface is not None:
                placed = [PlacedPrim(prim, path, matrix, purpose) for path, matrix in places]
                self.surfaces += [(one, surface) for one in placed]

    def _surface(self, prim: Usd.Prim) -> Surface | None:
        key = surface_key(prim)
        if key not in self._read:
            try:
                self._read[key] = read_surface(prim, self.when)
            except NeuronError as error:
                self._read[key] = None
                self.problems.append(Problem(str(prim.GetPath()), error.message, error.hint, error.kind))
        return self._read[key]

    # --- point instancers ---

    def _point_instances(
        self, prim: Usd.Prim, to_world: np.ndarray, owners: tuple[str, ...], depth: int
    ) -> None:
        """What a point instancer makes that stands at places [K,4,4], called `owners` or by its path."""
        path = str(prim.GetPath())
        if depth > DEEPEST_NESTING:
            self._note(path, f"Point instancers are nested more than {DEEPEST_NESTING} deep.")
            return
        instancer = UsdGeom.PointInstancer(prim)
        indices = np.asarray(instancer.GetProtoIndicesAttr().Get(self.when) or [], np.int64)
        targets = instancer.GetPrototypesRel().GetForwardedTargets()
        stray = np.flatnonzero((indices < 0) | (indices >= len(targets)))
        if len(stray):  # USD places none of them then
            self._note(path, f"Instance {stray[0]} asks for a prototype that is not there.")
            return
        matrices, shown = self._instance_matrices(instancer, len(indices), path)
        if matrices is None:
            return
        self._count(len(indices) * len(to_world), path)
        for number, target in enumerate(targets):
            chosen = np.flatnonzero((indices == number) & shown)
            prototype = self.stage.GetPrimAtPath(target)
            if not len(chosen):
                continue
            if not prototype:
                self._note(path, f"Its prototype {target} does not exist.")
                continue
            places = (matrices[chosen][None] @ to_world[:, None]).reshape(-1, 4, 4)
            names = tuple(f"{name}[{index}]" for name in owners or (path,) for index in chosen)
            self._prototype(_Places(names, places, prototype), depth)

    def _instance_matrices(
        self, instancer: UsdGeom.PointInstancer, count: int, path: str
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """[N,4,4] of all instances, and which of them are active and visible [N]."""
        computed = instancer.ComputeInstanceTransformsAtTime(
            self.when,
            self.when,
            UsdGeom.PointInstancer.IncludeProtoXform,
            UsdGeom.PointInstancer.IgnoreMask,
        )
        matrices = np.asarray(computed, dtype=np.float64).reshape(-1, 4, 4)
        if len(matrices) != count:
            self._note(path, "The arrays of the point instancer do not fit together.")
            return None, np.zeros(0, bool)
        mask = instancer.ComputeMaskAtTime(self.when)
        return matrices, np.asarray(mask if len(mask) else np.ones(count), bool)

    def _prototype(self, places: _Places, depth: int) -> None:
        walk = iter(Usd.PrimRange(places.root, ANY_SPECIFIER))
        top = str(places.root.GetPath())
        for prim, within in self._visible(walk):
            relative = Gf.Matrix4d(1.0)
            if prim != places.root:
                relative, _ = self._transforms.ComputeRelativeTransform(prim, places.root)
            matrices = np.array(relative) @ places.matrices
            below = str(prim.GetPath())[len(top) :]
            names = [f"{name}{below}" for name in places.names]
            if prim.IsA(UsdGeom.PointInstancer):
                walk.PruneChildren()
                if not within:
                    self._point_instances(prim, matrices, tuple(names), depth + 1)
            else:
                self._add(prim, names, matrices)

    def _count(self, more: int, path: str) -> None:
        self._instances += more
        if self._instances > MOST_INSTANCES:
            raise SceneError(
                f"{path} expands to {more:,} instances; {MOST_INSTANCES:,} is the most that is read.",
                "Hide a part of the scene or split it into shots.",
            )

    def _note(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message, "Author it again.", "stage"))


def _is_surface(prim: Usd.Prim) -> bool:
    """Whether a prim can hide what is behind it."""
    return bool(prim.IsA(UsdGeom.Mesh)) or str(prim.GetTypeName()) in PRIMITIVES
