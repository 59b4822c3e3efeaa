"""Lights made ready for shading: harmonics, suns, and maps blurred by the lobes of `lobes.ROUGHNESSES`.

All of it is linear in the light, apart from which texels `suns.split_suns` takes for a sun: nothing
is clamped, and blurred maps can be slightly negative beside strong contrast.

The map is prepared once in its own frame and kept by its digest; a turn changes the harmonics of
order 5 and the suns, and lookups turn their directions instead of the maps.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from threading import Lock

import numpy as np

from neuron_core.lights.environment import Environment
from neuron_core.lights.errors import LightError
from neuron_core.lights.harmonics import basis, by_degree, orthogonal, rotation
from neuron_core.lights.latlong import analyze, convolve, lookup, shrink, synthesize, to_world
from neuron_core.lights.lobes import ROUGHNESSES, Lobe, cosine_zonal
from neuron_core.lights.studio import latlong_directions
from neuron_core.lights.suns import Sun, split_suns

FINEST = 256  # rows of the map that suns are taken off
ORDER = 5  # of the harmonics that diffuse light uses: 25 a channel
_MOST_KEPT = 16  # prepared maps; about 1 MB each at the quick size, 4 MB at the refined one
_NEGLIGIBLE = 1e-6  # of a zonal number
_LAST = 0.04  # of the last zonal number; with 0.3 a lamp has rings of 5 % of its peak, so 0.3 %
_kept: OrderedDict[tuple[str, str], "Prepared"] = OrderedDict()
_keeping = Lock()


@dataclass(frozen=True, slots=True)
class Size:
    """How finely a light is prepared."""

    name: str
    height: int  # rows of the map that is blurred, at most FINEST; twice as many columns
    order: int  # of its harmonics
    levels: tuple[int, ...]  # rows of the blurred map of each roughness


QUICK = Size("quick", 128, 96, (128, 128, 64, 64, 64))
REFINED = Size("refined", 256, 200, (256, 256, 128, 64, 64))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A light from all directions, ready for shading. Harmonics are those of `harmonics.basis`."""

    digest: str  # of the map, before it is turned or exposed
    size: Size
    whole: np.ndarray  # [25, 3] float64, harmonics of the radiance in the world
    without_suns: np.ndarray  # [25, 3] float64, the same of the map that the suns were taken off
    suns: tuple[Sun, ...]  # in the world
    levels: tuple[np.ndarray, ...]  # by roughness [H, 2 H, 3] float32 without suns, in the map's frame
    world_from_map: np.ndarray  # [3, 3] orthogonal, for column vectors

    def scaled(self, factor: float) -> "Prepared":
        """The light times a factor, such as 2**exposure. Raises LightError unless finite and not negative."""
        if not 0.0 <= factor < np.inf:
            raise LightError(f"A light cannot be scaled by {factor}.", "Give a number of 0 or more.")
        return replace(
            self,
            whole=self.whole * factor,
            without_suns=self.without_suns * factor,
            suns=tuple(replace(sun, irradiance=sun.irradiance * factor) for sun in self.suns),
            levels=tuple(level * np.float32(factor) for level in self.levels),
        )

    def turned(self, matrix: np.ndarray) -> "Prepared":
        """The light turned by an orthogonal `matrix` [3, 3]: in Q d it is what it was in d.

        The matrix may mirror. Raises LightError where it is not orthogonal.
        """
        turn = orthogonal(matrix)
        harmonics = rotation(turn, ORDER)
        return replace(
            self,
            whole=harmonics @ self.whole,
            without_suns=harmonics @ self.without_suns,
            suns=tuple(replace(sun, direction=turn @ sun.direction) for sun in self.suns),
            world_from_map=turn @ self.world_from_map,
        )

    def lookup(self, level: int, directions: np.ndarray) -> np.ndarray:
        """A blurred map without suns at unit directions [..., 3] of the world: [..., 3] float64."""
        return lookup(self.levels[level], np.asarray(directions, np.float64) @ self.world_from_map)

    def reflected(self, level: int, directions: np.ndarray) -> np.ndarray:
        """The same with the suns, each of them as the lobe that its size widens."""
        found = self.lookup(level, directions)
        for sun in self.suns:
            lobe = Lobe(ROUGHNESSES[level], sun.radius)
            found = found + lobe.value(np.asarray(directions @ sun.direction))[..., None] * sun.irradiance
        return found

    def irradiance(self, normals: np.ndarray) -> np.ndarray:
        """Of unoccluded surfaces with unit normals [..., 3]: [..., 3] float64, with the suns."""
        zonal = by_degree(np.pi * cosine_zonal(ORDER))[:, None]
        found = np.asarray(basis(normals, ORDER) @ (zonal * self.without_suns))
        for sun in self.suns:
            found = found + np.maximum(normals @ sun.direction, 0.0)[..., None] * sun.irradiance
        return found


def prepare(environment: Environment, size: Size = QUICK) -> Prepared:
    """An environment ready for shading, with its rotation and exposure.

    Maps of one content are transformed once as long as they are among the last 16.
    """
    digest = _digest(environment.image)
    with _keeping:
        found = _kept.get((digest, size.name))
    if found is None:
        found = prepare_map(environment.image, size, digest)
    with _keeping:
        _kept[digest, size.name] = found
        _kept.move_to_end((digest, size.name))
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    if environment.rotation:
        found = found.turned(_about_up(np.radians(environment.rotation)))
    return found.scaled(2.0**environment.exposure) if environment.exposure else found


def prepare_map(image: np.ndarray, size: Size, digest: str = "") -> Prepared:
    """A map [H, 2 H, 3] of radiance ready for shading, computed anew.

    Suns and the harmonics of order 5 are the same in every size: only the levels become finer.
    """
    fitted = _fitted(image, FINEST)
    suns, rest = split_suns(fitted)
    without_suns = to_world(analyze(rest, ORDER))
    harmonics = analyze(shrink(rest, size.height), size.order)
    return Prepared(
        digest=digest or _digest(image),
        size=size,
        whole=to_world(analyze(fitted, ORDER)) if suns else without_suns,
        without_suns=without_suns,
        suns=suns,
        levels=tuple(
            synthesize(convolve(harmonics[: len(zonal) ** 2], zonal), height).astype(np.float32)
            for zonal, height in zip(level_zonals(size), size.levels, strict=True)
        ),
        world_from_map=np.eye(3),
    )


@lru_cache(maxsize=4)
def level_zonals(size: Size) -> tuple[np.ndarray, ...]:
    """By level the zonal numbers that its map is blurred with, as many as matter.

    A lobe that is sharper than the order of a size can show is blurred by a Gaussian as well, so
    that its last number is small: cut off in full height it would ring around small lamps.
    """
    found = []
    for roughness, height in zip(ROUGHNESSES, size.levels, strict=True):
        zonal = _faded(Lobe(roughness).zonal(min(size.order, height)))
        found.append(zonal[: int(np.flatnonzero(np.abs(zonal) > _NEGLIGIBLE)[-1]) + 1])
    return tuple(found)


def _faded(zonal: np.ndarray) -> np.ndarray:
    """Zonal numbers [L] times a Gaussian of the degree that leaves at most `_LAST` of the last one."""
    excess = np.log(max(float(zonal[-1]) / _LAST, 1.0))
    return np.asarray(zonal * np.exp(-excess * (np.arange(len(zonal)) / (len(zonal) - 1.0)) ** 2))


def _fitted(image: np.ndarray, height: int) -> np.ndarray:
    """A map with `height` rows: means of finer pixels, or coarser ones interpolated."""
    if len(image) >= height:
        return shrink(image, height)
    return lookup(np.asarray(image, np.float64), latlong_directions(2 * height, height))


def _about_up(angle: float) -> np.ndarray:
    """About +Y, from +Z towards +X."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])


def _digest(image: np.ndarray) -> str:
    content = blake2b(repr((image.shape, image.dtype.str)).encode(), digest_size=16)
    content.update(np.ascontiguousarray(image).data)
    return content.hexdigest()
