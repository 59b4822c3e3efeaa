"""Draw many placed instances of baked fields together, with ordinary meshes among them.

Letters in shapes: I instances, R rays, T tiles of 8 x 8 pixels, P pairs of a tile and an instance that
may show in it, H W the sides of a picture. Colors are linear and premultiplied.

Instances whose boxes do not touch in space are hit one after another by any ray: each is marched
by itself, by what draws a single asset, and the results are sorted along each ray. Those whose boxes
interpenetrate, and those that a mesh cuts, are marched together. Whatever lies behind tiles that are
opaque already is left out, and so is what no tile can see, before anything is marched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.cameras.camera import Camera, pinhole, pixel_centers, rays
from neuron_core.kernels.baked import instances as kernels
from neuron_core.kernels.baked.compositing import MeshHits, Picture, compose
from neuron_core.kernels.baked.layout import BEAM, FAR, LAYER, PLACEMENT, RECORD
from neuron_core.kernels.baked.overlap import march_together
from neuron_core.kernels.baked.rays import Pinhole, Rays, rays_of_arrays, rays_of_camera
from neuron_core.rendering.culling import (
    Pairs,
    corners_of,
    crossing,
    in_sight,
    intersecting,
    mesh_times,
    narrowed,
    pairs_of_camera,
    pairs_of_rays,
    reaches,
)
from neuron_core.rendering.layers import Cover, Layers, decode, runs
from neuron_core.rendering.meshes import Meshes, MeshInstance
from neuron_core.rendering.shaded import LIFT, Instance, on_device

TILES_AT_ONCE = 4096  # of a picture: what they hit is kept meanwhile, 2 kB for each pair
STEP = 0.5  # voxels between two ticks


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """A picture. Depth, normal and id belong to what stops the middle of the light."""

    rgba: np.ndarray  # [H, W, 4] float32, premultiplied
    depth: np.ndarray  # [H, W] float32, distance along the unit ray; 0 where nothing is
    normal: np.ndarray  # [H, W, 3] float32, world, unit or 0
    ids: np.ndarray  # [H, W] int32: the instance, then on from I the mesh; -1 where nothing is


class Composer:
    """Draws instances and meshes; those may be exchanged between frames without building pools anew."""

    def __init__(self, device: str = "cpu", step: float = STEP, sharing: bool = False) -> None:
        """With `sharing` two by two pixels share a reflected ray, as a viewport can do (on a CPU)."""
        self._device = device
        self._sharing = 4 if sharing else 1
        self._step = step
        self._instances: tuple[Instance, ...] = ()
        self._mesh: Meshes | None = None
        self._scratch: dict[str, Any] = {}

    def place(self, instances: Sequence[Instance], meshes: Sequence[MeshInstance] = ()) -> None:
        """Draw these from now on."""
        self._instances = tuple(instances)
        self._shaded = list(dict.fromkeys(instance.asset for instance in instances))
        which = {asset: number for number, asset in enumerate(self._shaded)}
        self._look_of = np.array([which[one.asset] for one in instances], np.int32)
        self._matrices = np.array([one.world_from_local for one in instances]).reshape(-1, 4, 4)
        self._inverses = np.linalg.inv(self._matrices)
        self._boxes = np.array([one.asset.field.box for one in instances]).reshape(-1, 2, 3)
        self._corners = corners_of(self._boxes, self._matrices)
        self._touching = intersecting(self._boxes, self._matrices)
        self._mesh = Meshes(meshes, len(instances), self._device) if meshes else None
        pools, codes = [one.field.pools for one in self._shaded], [one.codes for one in self._shaded]
        self._assets = kernels.assets_of(pools, codes, self._device) if pools else None
        self._asset_of = on_device(self._look_of, self._device)

    def nbytes(self) -> int:
        """Of memory on the device for pools, looks, instances and meshes; pictures are not counted."""
        fields = {id(one.field): one.field for one in self._shaded}
        own = sum(one.nbytes() for one in self._shaded) + sum(one.nbytes() for one in fields.values())
        own += self._mesh.nbytes() if self._mesh is not None else 0
        return own + len(self._instances) * 4 * (PLACEMENT + 1)

    def render(self, camera: Camera) -> Composed:
        """One ray through the center of each pixel."""
        if camera.distorted:
            rays_o, rays_d = (array.reshape(-1, 3) for array in rays(camera, *pixel_centers(camera)))
            return self.trace(rays_o, rays_d, camera.width)
        lens = pinhole(camera)
        given = rays_of_camera(Pinhole.of(camera.width, camera.height, lens), self._device)
        return self._draw(given, lens, None)

    def trace(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Composed:
        """What rays [R, 3] see, unit directions, that are the pixels of an image of `width` row by row."""
        rays_o, rays_d = (np.ascontiguousarray(array, np.float32) for array in (rays_o, rays_d))
        given = rays_of_arrays(on_device(rays_o, self._device), on_device(rays_d, self._device), width)
        return self._draw(given, None, (rays_o, rays_d))

    def _draw(
        self, given: Rays, lens: np.ndarray | None, arrays: tuple[np.ndarray, np.ndarray] | None
    ) -> Composed:
        picture = self._picture(given.count)
        mesh_hits, limits = self._mesh_hits(given)
        everything = np.arange(len(self._instances))
        shown = everything if lens is None else in_sight(self._corners, given.view, lens)
        table = np.zeros((len(self._instances), PLACEMENT), np.float32)
        table[shown] = kernels.placements(self._inverses[shown], lens)
        table = on_device(table, self._device)
        nearest = None
        if mesh_hits is not None:
            distances = mesh_hits.times if self._device == "cpu" else mesh_hits.times.numpy()
            nearest = mesh_times(distances, given.view, lens)
        shot = _Shot(given, lens, arrays, picture, mesh_hits, limits, table, shown, nearest)
        rows = max(1, TILES_AT_ONCE // given.view.tiles_x)
        for top in range(0, given.view.tiles_y, rows):
            self._band(shot, range(top, min(top + rows, given.view.tiles_y)))
        return self._finished(given, picture)

    def _band(self, shot: "_Shot", rows: range) -> None:
        """Draw some rows of tiles."""
        across = shot.given.view.tiles_x
        pairs = self._pairs(shot, rows)
        if not len(pairs) and shot.mesh_hits is None:
            return
        layers = Layers(pairs, self._buffer("layers", len(pairs) * BEAM, LAYER))
        self._draw_pairs(shot, layers)
        drawn = layers.drawn()
        tiles = np.arange(rows.start * across, rows.stop * across, dtype=np.int32)
        if shot.mesh_hits is None:
            tiles = np.unique(pairs.tiles[drawn]).astype(np.int32)
        by_tile = layers.by_tile(drawn, tiles, self._device)
        values = layers.values[: max(layers.used, 1) * BEAM]
        compose(shot.table, shot.given, by_tile, values, shot.mesh_hits, shot.picture, self._device)

    # --- what is where ---

    def _pairs(self, shot: "_Shot", rows: range) -> Pairs:
        """Which instances may show in which tiles of some rows."""
        view = shot.given.view
        if shot.lens is None:
            assert shot.arrays is not None
            return pairs_of_rays(self._corners, view, shot.arrays, rows)
        found = pairs_of_camera(self._corners[shot.shown], view, shot.lens, rows)
        found = Pairs(found.tiles, shot.shown[found.instances], found.starts, found.ends)
        found = self._beamed(shot, found) if self._device == "cpu" else found
        if len(self._touching) or shot.mesh_hits is not None:
            found = narrowed(found, self._boxes, self._inverses, view, shot.lens)
        if shot.tile_limits is not None:
            found = found.taken(np.flatnonzero(found.starts < shot.tile_limits[1][found.tiles]))
        return found

    def _beamed(self, shot: "_Shot", found: Pairs) -> Pairs:
        """Only the pairs whose beams touch density, and when they first do."""
        tiles, instances = found.tiles.astype(np.int32), found.instances.astype(np.int32)
        times = np.empty(len(found), np.float32)
        kernels.find_starts(self._assets, self._asset_of, shot.table, shot.given, tiles, instances, times)
        pairs = found.taken(np.flatnonzero(times < FAR))
        pairs.starts[:] = times[times < FAR]
        return pairs

    # --- marching ---

    def _draw_pairs(self, shot: "_Shot", layers: Layers) -> None:
        """March and shade pairs, the nearest of each tile first, without what a whole tile hides."""
        pairs = layers.pairs
        mixed = crossing(pairs, self._touching)
        if shot.tile_limits is not None:
            mixed |= shot.tile_limits[0][pairs.tiles] <= pairs.ends
        cover = Cover(pairs)
        reach = np.zeros(len(pairs))
        if shot.lens is not None and cover.shared:
            reach = reaches(pairs, self._inverses, shot.given.view, shot.lens)
        if mixed.any():
            self._march_together(shot, layers, np.flatnonzero(mixed))
            cover.add(layers, np.flatnonzero(mixed), reach)
        waiting = np.flatnonzero(~mixed)
        for turn in range(3):
            chosen = waiting
            if turn < 2 and self._device == "cpu" and cover.shared:
                waiting = waiting[~cover.hides(pairs, waiting)]
                chosen = cover.nearest(pairs, waiting)
            if not len(chosen):
                return
            self._march_alone(shot, layers, chosen)
            waiting = np.setdiff1d(waiting, chosen, assume_unique=True)
            if not len(waiting):
                return
            cover.add(layers, chosen, reach)
            if turn == 1:
                waiting = waiting[~cover.hides(pairs, waiting)]

    def _march_together(self, shot: "_Shot", layers: Layers, chosen: np.ndarray) -> None:
        chosen = layers.give_slots(self._by_look(layers.pairs, chosen))
        tiles = np.unique(layers.pairs.tiles[chosen]).astype(np.int32)
        records = self._buffer("records", len(chosen) * BEAM, RECORD)[: len(chosen) * BEAM]
        march_together(
            self._assets,
            self._asset_of,
            shot.table,
            shot.given,
            layers.by_tile(chosen, tiles, self._device),
            shot.limits,
            records,
            step=self._step,
            device=self._device,
        )
        self._draw_layers(shot, layers, chosen, records)

    def _march_alone(self, shot: "_Shot", layers: Layers, chosen: np.ndarray) -> None:
        chosen = layers.give_slots(self._by_look(layers.pairs, chosen))
        self._draw_layers(shot, layers, chosen, None)

    def _by_look(self, pairs: Pairs, chosen: np.ndarray) -> np.ndarray:
        """Pairs of one look side by side."""
        return chosen[np.argsort(self._look_of[pairs.instances[chosen]], kind="stable")]

    def _draw_layers(self, shot: "_Shot", layers: Layers, chosen: np.ndarray, records: Any | None) -> None:
        """What pairs show, whose slots follow each other; `records` are theirs, if they are known."""
        for look, first, last in runs(self._look_of[layers.pairs.instances[chosen]]):
            asset, pairs = self._shaded[look], layers.pairs.taken(chosen[first:last])
            values = layers.of(chosen[first:last])
            kernels.draw_layers(
                self._assets,
                look,
                asset.network,
                asset.mirror,
                shot.table,
                shot.given,
                on_device(pairs.tiles.astype(np.int32), self._device),
                on_device(pairs.instances.astype(np.int32), self._device),
                on_device(pairs.starts.astype(np.float32), self._device),
                None if records is None else records[first * BEAM : last * BEAM],
                values,
                lift=LIFT,
                step=self._step,
                sharing=self._sharing,
                device=self._device,
            )
            if asset.field.shader.encoding == "srgb":
                decode(values)

    # --- arrays ---

    def _mesh_hits(self, given: Rays) -> tuple[MeshHits | None, Any]:
        """What rays hit of meshes, and how far they may go; distances along unit rays."""
        if self._mesh is None:
            limits = self._buffer("limits", given.count, 1)
            limits.fill(FAR) if self._device == "cpu" else limits.fill_(FAR)
            return None, limits[: given.count]
        hits = self._mesh.hits(given)
        return hits, hits.times

    def _picture(self, count: int) -> Picture:
        shapes: list[Any] = [(count, 4), count, (count, 3)]
        if self._device == "cpu":
            rgba, depths, normals = (np.zeros(shape, np.float32) for shape in shapes)
            return Picture(rgba, depths, normals, np.full(count, -1, np.int32))
        floats: list[Any] = [wp.zeros(shape, dtype=wp.float32, device=self._device) for shape in shapes]
        ids: Any = wp.full(count, -1, dtype=wp.int32, device=self._device)
        return Picture(floats[0], floats[1], floats[2], ids)

    def _finished(self, given: Rays, picture: Picture) -> Composed:
        arrays = (picture.rgba, picture.depths, picture.normals, picture.ids)
        found = [array if self._device == "cpu" else array.numpy() for array in arrays]
        sides = (given.view.height, given.view.width)
        rgba, depth, normal, ids = found
        return Composed(
            rgba.reshape(*sides, 4), depth.reshape(sides), normal.reshape(*sides, 3), ids.reshape(sides)
        )

    def _buffer(self, name: str, rows: int, columns: int) -> Any:
        """An array of at least so many rows, kept for the next frame."""
        kept = self._scratch.get(name)
        if kept is None or kept.shape[0] < rows:
            shape: Any = rows if columns == 1 else (rows, columns)
            kept = (
                np.empty(shape, np.float32)
                if self._device == "cpu"
                else wp.empty(shape, dtype=wp.float32, device=self._device)
            )
            self._scratch[name] = kept
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """What stays the same while one picture is drawn."""

    given: Rays
    lens: np.ndarray | None  # [4, 3] of a pinhole
    arrays: tuple[np.ndarray, np.ndarray] | None  # origins and directions, of rays without a pinhole
    picture: Picture
    mesh_hits: MeshHits | None
    limits: Any
    table: Any
    shown: np.ndarray  # instances that may be in the picture, ascending
    tile_limits: tuple[np.ndarray, np.ndarray] | None  # nearest and farthest mesh in tiles, as times
