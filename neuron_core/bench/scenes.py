"""How fast scenes of many instances are drawn, what they weigh, and what the cost grows with.

All functions take a baked asset with at least one look and draw 512 x 512 pixels, one ray each,
unless they say otherwise.
"""

import numpy as np

from neuron_core.bench.figure import Figure, timed
from neuron_core.cameras.camera import Camera, look_at
from neuron_core.rendering.baked import FAST
from neuron_core.rendering.composer import Composer
from neuron_core.rendering.shaded import DeviceField, Instance, ShadedAsset
from neuron_core.voxels.baked import Baked

SIDE = 512
FOCAL = 1.4  # picture widths
QUARTER, HALF = 1.4, 1.0  # how far away a camera sees 16 instances cover that much of its picture
OVERLAPS = (1, 2, 4, 8)  # instances in one place


def instances16_fps(baked: Baked, device: str = "cpu", runs: int = 15, sharing: bool = True) -> Figure:
    """16 instances of one asset on a grid, the camera above it; the slowest of its looks where they
    cover a quarter of the picture. The table also has nearer cameras."""
    rows: list[tuple[str, ...]] = [("look", "covered", "frames/s", "wall ms", "CPU ms")]
    field = DeviceField(baked.nvf, baked.shader, device)
    quarter = []
    for away in (QUARTER, HALF):
        for slug in baked.slugs():
            composer = Composer(device, FAST, sharing)
            composer.place(_grid([ShadedAsset(field, baked.looks[slug])], 4))
            view = _above(4, away)
            covered = float((composer.render(view).ids >= 0).mean())
            times = timed(lambda composer=composer, view=view: composer.render(view), runs)  # type: ignore[misc]
            numbers = (1 / times.median, times.median * 1e3, times.cpu_median * 1e3)
            rows.append((slug, f"{100 * covered:.0f} %", *(f"{number:.3g}" for number in numbers)))
            quarter += [times] if away == QUARTER else []
    slowest = max(quarter, key=lambda times: times.median)
    shared = "; four pixels share a reflected ray" * sharing
    return Figure(
        "instances16_512_fps",
        1 / slowest.median,
        "frames/s",
        "at least 30",
        slowest.rates(),
        detail=f"the slowest look, {rows[1][1]} of the picture covered, density read every voxel{shared}",
        table=tuple(rows),
    )


def instances1000_seconds(baked: Baked, device: str = "cpu", runs: int = 5) -> Figure:
    """1,000 instances of three assets that share nothing, over the whole depth of the picture."""
    slugs = baked.slugs()
    shaded = [
        ShadedAsset(DeviceField(baked.nvf, baked.shader, device), baked.looks[slugs[number % len(slugs)]])
        for number in range(3)
    ]
    composer = Composer(device)
    composer.place(_grid(shaded, 32)[:1000])
    view = _above(32)
    covered = float((composer.render(view).ids >= 0).mean())
    times = timed(lambda: composer.render(view), runs, warm=1)
    return Figure(
        "instances1000_512_s",
        times.median,
        "s",
        "at most 2",
        times.spread(),
        detail=f"{100 * covered:.0f} % of the picture covered, {times.cpu_median:.2f} s of CPU",
    )


def instances_memory(baked: Baked, device: str = "cpu") -> Figure:
    """How much 16 instances weigh compared with one."""
    shaded = ShadedAsset(DeviceField(baked.nvf, baked.shader, device), baked.looks[baked.slugs()[0]])
    composer = Composer(device)
    composer.place([Instance(shaded, np.eye(4))])
    one = composer.nbytes()
    composer.place(_grid([shaded], 4))
    many = composer.nbytes()
    return Figure("instances16_memory", many / one, "times one", "at most 1.01", detail=f"{one / 1e6:.1f} MB")


def offscreen_cost(baked: Baked, device: str = "cpu", runs: int = 7) -> Figure:
    """A frame of 16 instances with ever more of them behind the camera, compared with none there."""
    shaded = ShadedAsset(DeviceField(baked.nvf, baked.shader, device), baked.looks[baked.slugs()[0]])
    rows: list[tuple[str, ...]] = [("shown", "out of sight", "ms", "CPU ms")]
    first, last = 0.0, 0.0
    for hidden in (0, 100, 1000, 10000):
        composer = Composer(device)
        composer.place([*_grid([shaded], 4), *_behind(shaded, hidden)])
        times = timed(lambda composer=composer: composer.render(_above(4)), runs)  # type: ignore[misc]
        last = times.cpu_median
        first = first or last
        rows.append(("16", f"{hidden:,}", f"{times.median * 1e3:.1f}", f"{times.cpu_median * 1e3:.1f}"))
    detail = "CPU time with 10,000 instances out of sight, by that without"
    return Figure("instances_offscreen_cost", last / first, "times", detail=detail, table=tuple(rows))


def coverage_cost(baked: Baked, device: str = "cpu", runs: int = 7) -> Figure:
    """A frame of 16 instances from nearer and nearer: time for each covered pixel."""
    shaded = ShadedAsset(DeviceField(baked.nvf, baked.shader, device), baked.looks[baked.slugs()[0]])
    composer = Composer(device)
    composer.place(_grid([shaded], 4))
    rows: list[tuple[str, ...]] = [("covered", "ms", "CPU ms", "CPU ns a covered pixel")]
    costs = []
    for away in (4.0, 2.0, 1.0, 0.6):
        view = _above(4, away)
        covered = float((composer.render(view).ids >= 0).mean())
        times = timed(lambda view=view: composer.render(view), runs)  # type: ignore[misc]
        costs.append(times.cpu_median * 1e9 / max(covered * SIDE * SIDE, 1.0))
        numbers = (times.median * 1e3, times.cpu_median * 1e3)
        rows.append((f"{100 * covered:.0f} %", *(f"{number:.1f}" for number in numbers), f"{costs[-1]:.0f}"))
    return Figure("instances_ns_per_pixel", costs[2], "CPU ns", detail="of 16 instances", table=tuple(rows))


def overlap_cost(baked: Baked, device: str = "cpu", runs: int = 7) -> Figure:
    """A frame of 16 places with ever more instances in each, which interpenetrate: how the time grows
    while hardly more pixels are covered."""
    shaded = ShadedAsset(DeviceField(baked.nvf, baked.shader, device), baked.looks[baked.slugs()[0]])
    view = _above(4)
    rows: list[tuple[str, ...]] = [("at each place", "covered", "ms", "CPU ms", "CPU ns a covered pixel")]
    costs = []
    for together in OVERLAPS:
        composer = Composer(device)
        composer.place([other for one in _grid([shaded], 4) for other in _beside(one, together)])
        covered = float((composer.render(view).ids >= 0).mean())
        times = timed(lambda composer=composer: composer.render(view), runs)  # type: ignore[misc]
        costs.append(times.cpu_median * 1e9 / max(covered * SIDE * SIDE, 1.0))
        numbers = (times.median * 1e3, times.cpu_median * 1e3)
        shown = (f"{number:.1f}" for number in numbers)
        rows.append((f"{together}", f"{100 * covered:.0f} %", *shown, f"{costs[-1]:.0f}"))
    growth = costs[-1] / costs[0]
    detail = f"CPU time a covered pixel with {OVERLAPS[-1]} instances in each of 16 places, by that with one"
    return Figure("instances_overlap_cost", growth, "times", detail=detail, table=tuple(rows))


def _beside(one: Instance, count: int) -> list[Instance]:
    """So many instances, a little apart and turned around their upright axes."""
    size = _extent(one.asset)
    found = []
    for number in range(count):
        angle = 2.399963 * number
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        matrix = one.world_from_local.copy()
        matrix[:3, :3] = matrix[:3, :3] @ turn
        matrix[[0, 2], 3] += 0.05 * size * min(number, 1) * turn[[0, 2], 0]
        found.append(Instance(one.asset, matrix))
    return found


def _grid(shaded: list[ShadedAsset], side: int) -> list[Instance]:
    """Rows of instances on the ground around the origin, a little apart, of all looks in turn."""
    size = _extent(shaded[0])
    found = []
    for number in range(side * side):
        row, column = divmod(number, side)
        matrix = np.eye(4)
        matrix[0, 3] = 1.2 * size * (column - (side - 1) / 2)
        matrix[2, 3] = 1.2 * size * (row - (side - 1) / 2)
        found.append(Instance(shaded[number % len(shaded)], matrix))
    return found


def _behind(shaded: ShadedAsset, count: int) -> list[Instance]:
    """Instances above and behind the camera of `_above`."""
    size = _extent(shaded)
    found = []
    for number in range(count):
        matrix = np.eye(4)
        matrix[:3, 3] = size * np.array([number % 32 - 16.0, 20.0 + number // 1024, 30.0 + number // 32 % 32])
        found.append(Instance(shaded, matrix))
    return found


def _extent(shaded: ShadedAsset) -> float:
    low, high = shaded.field.box
    return float((high - low).max())


def _above(side: int, away: float = 1.0) -> Camera:
    """Looks down at the middle of a grid of `side` rows of an asset about a meter wide."""
    eye = np.array([0.75, 0.65, 1.15]) * side * away
    pose = look_at(eye, (0.0, 0.0, 0.0))
    return Camera("above", SIDE, SIDE, FOCAL * SIDE, FOCAL * SIDE, SIDE / 2, SIDE / 2, pose)
