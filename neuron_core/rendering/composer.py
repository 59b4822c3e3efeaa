"""Draw many placed instances of baked fields together, with ordinary meshes among them.

Letters in shapes: I instances, R rays, T tiles of 8 x 8 pixels, P pairs of a tile and an instance that
may show in it, H W the sides of a picture. Colors are linear and premultiplied.

Instances whose boxes do not touch in space are met one after another along any ray: each is marched
by itself, by what draws a single asset, and the results are sorted along each ray. Those whose boxes
interpenetrate, and those that a mesh cuts, are marched kernels. Whatever lies behind tiles that
are opaque already is left out, and so is what no tile can see, before anything is marched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.kernels.baked import instances as kernels
from neuron_core.kernels.baked.bricks import BrickPools, brick_pools
from neuron_core.kernels.baked.compositing import Occluders, Picture, compose
from neuron_core.kernels.baked.instances import FAR, LAYER, RECORD, Tiled
from neuron_core.kernels.baked.marching import FAINT, OPAQUE
from neuron_core.kernels.baked.network import Network
from neuron_core.kernels.baked.overlap import march_together
from neuron_core.kernels.baked.rays import BEAM, Pinhole, Rays, rays_of_arrays, rays_of_camera
from neuron_core.rendering.baked import DULL, LIFT
from neuron_core.rendering.culling import (
    Pairs,
    corners_of,
    crossing,
    in_instances,
    in_sight,
    intersecting,
    narrowed,
    pairs_of_camera,
    pairs_of_rays,
)
from neuron_core.rendering.meshes import Meshes, MeshInstance
from neuron_core.voxels.nvf import CHANNELS, LookCodes, Nvf, VoxelError
from neuron_core.voxels.shading import Shader, direction_map, mirror_of, network_of

TILES_AT_ONCE = 4096  # of a picture: what they meet is kept meanwhile, 2 kB for each pair
STEP = 0.5  # voxels between two ticks


class Field:
    """The geometry of an asset on a device, and its shader. Instances share it."""

    def __init__(self, nvf: Nvf, shader: Shader, device: str = "cpu") -> None:
        self.pools: BrickPools = brick_pools(
            nvf.aabb[0], nvf.voxel_size, nvf.top, nvf.density, nvf.normals, device
        )
        self.shader = shader
        self.active = nvf.active
        self.samples = nvf.density.size
        self.device = device
        self.directions = direction_map(shader, device)

    @property
    def box(self) -> np.ndarray:
        """Of the density, [2, 3] float64, in the asset's space; without an inside if there is none."""
        low = np.array(self.pools.low)
        box: np.ndarray = low + np.array(self.pools.inside) * self.pools.voxel_size
        return box

    def nbytes(self) -> int:
        """Of memory on the device, without looks."""
        pools = self.pools
        arrays = (pools.top, pools.blocks, pools.density, pools.normals, self.directions.values)
        return sum(int(array.capacity) for array in arrays)


class Dressed:
    """A field under one look."""

    def __init__(self, field: Field, look: LookCodes, reflections: bool = True) -> None:
        """Raises VoxelError for codes of another field."""
        if look.codes.shape != (len(field.active), CHANNELS):
            raise VoxelError(f"A look with codes for {len(look.codes)} samples, not {len(field.active)}.")
        codes = np.zeros((field.samples, CHANNELS), np.uint8)
        codes[field.active] = look.codes
        self.field = field
        self.codes: Any = wp.array(codes, dtype=wp.uint8, device=field.device)
        self.network: Network = network_of(field.shader, field.directions, look)
        self.mirror = mirror_of(field.shader, look, DULL) if reflections else None

    def nbytes(self) -> int:
        """Of memory on the device, beside the field's."""
        return int(self.codes.capacity) + int(self.network.weights.capacity)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """Something drawn, and where."""

    dressed: Dressed
    world_from_local: np.ndarray  # [4, 4] float64, invertible


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
        self._dressed = list(dict.fromkeys(instance.dressed for instance in instances))
        which = {dressed: number for number, dressed in enumerate(self._dressed)}
        self._look_of = np.array([which[one.dressed] for one in instances], np.int32)
        self._matrices = np.array([one.world_from_local for one in instances]).reshape(-1, 4, 4)
        self._inverses = np.linalg.inv(self._matrices)
        self._boxes = np.array([one.dressed.field.box for one in instances]).reshape(-1, 2, 3)
        self._corners = corners_of(self._boxes, self._matrices)
        self._touching = intersecting(self._boxes, self._matrices)
        self._mesh = Meshes(meshes, len(instances), self._device) if meshes else None
        pools, codes = [d.field.pools for d in self._dressed], [d.codes for d in self._dressed]
        self._assets = kernels.assets_of(pools, codes, self._device) if pools else None
        self._asset_of = self._moved(self._look_of)

    def nbytes(self) -> int:
        """Of memory on the device for pools, looks, instances and meshes; pictures are not counted."""
        fields = {id(one.field): one.field for one in self._dressed}
        own = sum(one.nbytes() for one in self._dressed) + sum(one.nbytes() for one in fields.values())
        own += self._mesh.nbytes() if self._mesh is not None else 0
        return own + len(self._instances) * 4 * (kernels.PLACEMENT + 1)

    def render(self, camera: Camera) -> Composed:
        """One ray through the centre of each pixel."""
        if camera.distorted:
            rays_o, rays_d = (array.reshape(-1, 3) for array in rays(camera, *pixel_centers(camera)))
            return self.trace(rays_o, rays_d, camera.width)
        world = pinhole_of(camera)
        return self._draw(rays_of_camera(_triples(camera, world), self._device), world, None)

    def trace(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Composed:
        """What rays [R, 3] see, unit directions, that are the pixels of an image of `width` row by row."""
        rays_o, rays_d = (np.ascontiguousarray(array, np.float32) for array in (rays_o, rays_d))
        given = rays_of_arrays(self._moved(rays_o), self._moved(rays_d), width)
        return self._draw(given, None, (rays_o, rays_d))

    def _draw(
        self, given: Rays, world: np.ndarray | None, arrays: tuple[np.ndarray, np.ndarray] | None
    ) -> Composed:
        picture = self._picture(given.count)
        occluders, limits = self._occluders(given)
        everything = np.arange(len(self._instances))
        shown = everything if world is None else in_sight(self._corners, given.view, world)
        table = np.zeros((len(self._instances), kernels.PLACEMENT), np.float32)
        table[shown] = kernels.placements(self._inverses[shown], world)
        nearest = _mesh_times(given, world, occluders)
        shot = _Shot(given, world, arrays, picture, occluders, limits, self._moved(table), shown, nearest)
        rows = max(1, TILES_AT_ONCE // given.view.tiles_x)
        for top in range(0, given.view.tiles_y, rows):
            self._band(shot, range(top, min(top + rows, given.view.tiles_y)))
        return self._finished(given, picture)

    def _band(self, shot: "_Shot", rows: range) -> None:
        """Draw some rows of tiles."""
        across = shot.given.view.tiles_x
        pairs = self._pairs(shot, rows)
        if not len(pairs) and shot.occluders is None:
            return
        drawing = _Drawing(pairs, self._buffer("layers", len(pairs) * BEAM, LAYER))
        self._draw_pairs(shot, drawing)
        tiles = np.arange(rows.start * across, rows.stop * across, dtype=np.int32)
        if shot.occluders is None:
            tiles = np.unique(pairs.tiles[drawing.drawn()]).astype(np.int32)
        tiled = self._tiled(drawing, drawing.drawn(), tiles)
        layers = drawing.layers[: max(drawing.used, 1) * BEAM]
        compose(shot.table, shot.given, tiled, layers, shot.occluders, shot.picture, self._device)

    # --- what is where ---

    def _pairs(self, shot: "_Shot", rows: range) -> Pairs:
        """Which instances may show in which tiles of some rows."""
        view = shot.given.view
        if shot.world is None:
            assert shot.arrays is not None
            return pairs_of_rays(self._corners, view, shot.arrays, rows)
        found = pairs_of_camera(self._corners[shot.shown], view, shot.world, rows)
        found = Pairs(found.tiles, shot.shown[found.instances], found.starts, found.ends)
        found = self._beamed(shot, found) if self._device == "cpu" else found
        if len(self._touching) or shot.occluders is not None:
            found = narrowed(found, self._boxes, self._inverses, view, shot.world)
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

    def _draw_pairs(self, shot: "_Shot", drawing: "_Drawing") -> None:
        """March and shade pairs, the nearest of each tile first, without what a whole tile hides."""
        pairs = drawing.pairs
        mixed = crossing(pairs, self._touching)
        if shot.tile_limits is not None:
            mixed |= shot.tile_limits[0][pairs.tiles] <= pairs.ends
        cover = _Cover(pairs)
        if mixed.any():
            self._march_together(shot, drawing, np.flatnonzero(mixed))
            cover.add(drawing, np.flatnonzero(mixed), self._reaches(shot, pairs))
        waiting = np.flatnonzero(~mixed)
        for turn in range(3):
            chosen = waiting
            if turn < 2 and self._device == "cpu" and cover.shared:
                waiting = waiting[~cover.hides(pairs, waiting)]
                chosen = cover.nearest(pairs, waiting)
            if not len(chosen):
                return
            self._march_alone(shot, drawing, chosen)
            waiting = np.setdiff1d(waiting, chosen, assume_unique=True)
            if not len(waiting):
                return
            cover.add(drawing, chosen, self._reaches(shot, pairs))
            if turn == 1:
                waiting = waiting[~cover.hides(pairs, waiting)]

    def _march_together(self, shot: "_Shot", drawing: "_Drawing", chosen: np.ndarray) -> None:
        chosen = drawing.give_slots(self._by_look(drawing.pairs, chosen))
        tiles = np.unique(drawing.pairs.tiles[chosen]).astype(np.int32)
        records = self._buffer("records", len(chosen) * BEAM, RECORD)[: len(chosen) * BEAM]
        march_together(
            self._assets,
            self._asset_of,
            shot.table,
            shot.given,
            self._tiled(drawing, chosen, tiles),
            shot.limits,
            records,
            step=self._step,
            device=self._device,
        )
        self._draw_layers(shot, drawing, chosen, records)

    def _march_alone(self, shot: "_Shot", drawing: "_Drawing", chosen: np.ndarray) -> None:
        chosen = drawing.give_slots(self._by_look(drawing.pairs, chosen))
        self._draw_layers(shot, drawing, chosen, None)

    def _by_look(self, pairs: Pairs, chosen: np.ndarray) -> np.ndarray:
        """Pairs of one look side by side."""
        return chosen[np.argsort(self._look_of[pairs.instances[chosen]], kind="stable")]

    def _draw_layers(
        self, shot: "_Shot", drawing: "_Drawing", chosen: np.ndarray, records: Any | None
    ) -> None:
        """What pairs show, whose slots follow each other; `records` are theirs, if they are known."""
        for look, first, last in _runs(self._look_of[drawing.pairs.instances[chosen]]):
            dressed, pairs = self._dressed[look], drawing.pairs.taken(chosen[first:last])
            layers = drawing.of(chosen[first:last])
            kernels.draw_layers(
                self._assets,
                look,
                dressed.network,
                dressed.mirror,
                shot.table,
                shot.given,
                self._moved(pairs.tiles.astype(np.int32)),
                self._moved(pairs.instances.astype(np.int32)),
                self._moved(pairs.starts.astype(np.float32)),
                None if records is None else records[first * BEAM : last * BEAM],
                layers,
                lift=LIFT,
                step=self._step,
                sharing=self._sharing,
                device=self._device,
            )
            if dressed.field.shader.encoding == "srgb":
                _decode(layers)

    def _reaches(self, shot: "_Shot", pairs: Pairs) -> np.ndarray:
        """The least length of a time, [P], in the space of each pair's instance."""
        if shot.world is None:
            return np.zeros(len(pairs))
        local = in_instances(pairs, self._inverses, shot.world)
        x = 8.0 * (pairs.tiles % shot.given.view.tiles_x) + 3.5
        y = 8.0 * (pairs.tiles // shot.given.view.tiles_x) + 3.5
        middle = np.linalg.norm(local[:, 1] + x[:, None] * local[:, 2] + y[:, None] * local[:, 3], axis=-1)
        around = 4.0 * (np.linalg.norm(local[:, 2], axis=-1) + np.linalg.norm(local[:, 3], axis=-1))
        return np.asarray(np.maximum(middle - around, 0.0))

    # --- arrays ---

    def _tiled(self, drawing: "_Drawing", chosen: np.ndarray, tiles: np.ndarray) -> Tiled:
        """The chosen pairs by tile, nearest first; `tiles` ascend and hold those of the pairs."""
        pairs = drawing.pairs
        order = chosen[np.lexsort((pairs.starts[chosen], pairs.tiles[chosen]))]
        firsts = np.searchsorted(pairs.tiles[order], np.append(tiles, 1 << 40)).astype(np.int32)
        instances = np.zeros(max(drawing.used, 1), np.int32)
        instances[drawing.slots[order]] = pairs.instances[order]
        arrays = (tiles, firsts, drawing.slots[order].astype(np.int32), instances)
        most = int(np.diff(firsts).max(initial=0))
        own, begins, places, of = (self._moved(array) for array in arrays)
        return Tiled(own, begins, places, of, most)

    def _occluders(self, given: Rays) -> tuple[Occluders | None, Any]:
        """What rays meet of meshes, and how far they may go; distances along unit rays."""
        if self._mesh is None:
            limits = self._buffer("limits", given.count, 1)
            limits.fill(FAR) if self._device == "cpu" else limits.fill_(FAR)
            return None, limits[: given.count]
        met = self._mesh.met(given)
        return met, met.times

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

    def _moved(self, array: np.ndarray) -> Any:
        if self._device == "cpu":
            return np.ascontiguousarray(array)
        kinds: dict[str, Any] = {"float32": wp.float32, "int32": wp.int32}
        return wp.array(array, dtype=kinds[array.dtype.name], device=self._device)

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
    world: np.ndarray | None  # [4, 3] a pinhole
    arrays: tuple[np.ndarray, np.ndarray] | None  # origins and directions, where there is no pinhole
    picture: Picture
    occluders: Occluders | None
    limits: Any
    table: Any
    shown: np.ndarray  # instances that may be in the picture, ascending
    tile_limits: tuple[np.ndarray, np.ndarray] | None  # nearest and farthest mesh in tiles, as times


class _Drawing:
    """Pairs, and what they show in the order in which they were drawn: the layer of pair p begins at
    row 64 * slots[p]."""

    def __init__(self, pairs: Pairs, layers: Any) -> None:
        self.pairs = pairs
        self.layers = layers  # [64 * P, 8]
        self.slots = np.full(len(pairs), -1, np.int64)
        self.used = 0

    def give_slots(self, rows: np.ndarray) -> np.ndarray:
        """Give these pairs the next slots, in this order; returns them."""
        self.slots[rows] = self.used + np.arange(len(rows))
        self.used += len(rows)
        return rows

    def drawn(self) -> np.ndarray:
        """Which pairs have layers."""
        return np.flatnonzero(self.slots >= 0)

    def of(self, rows: np.ndarray) -> Any:
        """The layers of pairs whose slots follow each other."""
        first = int(self.slots[rows[0]])
        return self.layers[first * BEAM : (first + len(rows)) * BEAM]


class _Cover:
    """How much of the light of each tile is stopped already, and up to which time."""

    def __init__(self, pairs: Pairs) -> None:
        tiles, self._row = np.unique(pairs.tiles, return_inverse=True)
        self._several = np.bincount(self._row, minlength=len(tiles)) > 1
        self._passed = np.ones((len(tiles), BEAM), np.float32)
        self._until = np.zeros(len(tiles))
        self.shared = bool(self._several.any())

    def nearest(self, pairs: Pairs, waiting: np.ndarray) -> np.ndarray:
        """The first pair of each tile, ascending."""
        order = waiting[np.lexsort((pairs.starts[waiting], pairs.tiles[waiting]))]
        first = np.append(True, np.diff(pairs.tiles[order]) != 0)[: len(order)]
        return np.sort(order[first])

    def add(self, drawing: _Drawing, chosen: np.ndarray, reaches: np.ndarray) -> None:
        """Take account of what pairs show, where others share their tile."""
        chosen = chosen[self._several[self._row[chosen]]]
        if not len(chosen) or not isinstance(drawing.layers, np.ndarray):
            return
        layers = drawing.layers[: drawing.used * BEAM].reshape(-1, BEAM, LAYER)
        slots, rows = drawing.slots[chosen], self._row[chosen]
        alphas = layers[slots, :, 3]
        depths = np.where(alphas > FAINT, layers[slots, :, 4], 0.0).max(axis=1)
        np.multiply.at(self._passed, rows, 1.0 - alphas)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.maximum.at(self._until, rows, np.where(depths > 0, depths / reaches[chosen], 0.0))

    def hides(self, pairs: Pairs, waiting: np.ndarray) -> np.ndarray:
        """Which pairs lie behind what is opaque in the whole of their tile."""
        rows = self._row[waiting]
        opaque = (self._passed.max(axis=1) <= OPAQUE)[rows]
        return np.asarray(opaque & (pairs.starts[waiting] >= self._until[rows]))


def _mesh_times(
    given: Rays, world: np.ndarray | None, occluders: Occluders | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """The nearest and the farthest mesh in each tile, as times of its rays; FAR without one."""
    if occluders is None:
        return None
    view = given.view
    found = occluders.times
    times = found if isinstance(found, np.ndarray) else np.asarray(found.numpy())
    times = times.reshape(view.height, view.width)
    if world is not None:
        x, y = np.arange(view.width)[:, None], np.arange(view.height)[:, None]
        across, down = world[1] + x * world[2], y * world[3]
        squares = (across**2).sum(-1)[None] + (down**2).sum(-1)[:, None] + 2 * down @ across.T
        times = np.where(times < FAR, times / np.sqrt(squares), FAR)
    if view.tile_width_log2 != 3:
        high, wide, tall = 0, -times.size % BEAM, 1
        times = times.reshape(1, -1)
    else:
        high, wide, tall = -view.height % 8, -view.width % 8, 8
    shape = (view.tiles_y, tall, view.tiles_x, BEAM // tall)
    ends = []
    for fill, extreme in ((FAR, np.min), (0.0, np.max)):
        padded = np.pad(times, ((0, high), (0, wide)), constant_values=fill)
        ends.append(extreme(padded.reshape(shape), axis=(1, 3)).ravel())
    return ends[0], ends[1]


def _decode(layers: Any) -> None:
    """Make linear what was trained on encoded colors."""
    own = layers if isinstance(layers, np.ndarray) else layers.numpy()
    shown, alphas = own[:, 3] > FAINT, own[:, 3:4]
    straight = np.divide(own[:, :3], alphas, out=np.zeros_like(own[:, :3]), where=shown[:, None])
    own[:, :3] = srgb_to_linear(np.clip(straight, 0.0, 1.0)) * alphas
    if not isinstance(layers, np.ndarray):
        layers.assign(own)


def pinhole_of(camera: Camera) -> np.ndarray:
    """The eye, the direction through the centre of the first pixel, and what a pixel to the right and
    one down add to it, [4, 3] float64."""
    axes = camera.c2w[:3, :3].T
    right, down = axes[0] / camera.fl_x, -axes[1] / camera.fl_y
    first = -axes[2] + (0.5 - camera.cx) * right + (0.5 - camera.cy) * down
    return np.stack([camera.position, first, right, down])


def _triples(camera: Camera, world: np.ndarray) -> Pinhole:
    eye, first, right, down = (_triple(row) for row in world)
    return Pinhole(camera.width, camera.height, eye, first, right, down)


def _triple(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


def _runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches of equal values: the value, where it begins and where it ends."""
    if not len(values):
        return []
    starts = np.flatnonzero(np.append(True, np.diff(values) != 0))
    ends = np.append(starts[1:], len(values))
    return [(int(values[a]), int(a), int(b)) for a, b in zip(starts, ends, strict=True)]
