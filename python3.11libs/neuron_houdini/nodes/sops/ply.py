"""Gaussian splats from PLY files, with numpy alone.

Stored are the logarithm of sigma, the logit of opacity and the quaternion w, x, y, z; what comes out
is linear, with quaternions x, y, z, w as Houdini has them. Properties are found by name.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_houdini.errors import HoudiniError

DC = 0.28209479177387814  # the constant spherical harmonic
MOST_HEADER = 1 << 16  # bytes
COEFFICIENTS = 16
_TURNED = np.array([1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)
_POSITIONS, _SCALES, _TURNS = (
    ("x", "y", "z"),
    ("scale_0", "scale_1", "scale_2"),
    ("rot_0", "rot_1", "rot_2", "rot_3"),
)
_COLORS = ("f_dc_0", "f_dc_1", "f_dc_2")


class PlyError(HoudiniError):
    """A file that holds no Gaussian splats."""


@dataclass(frozen=True, slots=True, eq=False)
class Splats:
    """N splats, float32."""

    positions: np.ndarray  # [N, 3]
    colors: np.ndarray  # [N, 3] of the constant term
    scales: np.ndarray  # [N, 3] sigma
    orients: np.ndarray  # [N, 4] x, y, z, w, unit
    alphas: np.ndarray  # [N] in [0, 1]
    harmonics: np.ndarray | None  # [N, 16, 3], the constant term first, zeros past the used degree


def read_splats(path: Path, y_down: bool = False) -> Splats:
    """Read a binary little-endian PLY file of float properties. Raises PlyError.

    `y_down` turns a file with Y down and Z forward half way about X.
    """
    try:
        names, rows = _read_rows(path)
    except OSError as error:
        raise PlyError(f"Cannot read {path}: {error.strerror}.") from error
    missing = [name for name in (*_POSITIONS, *_SCALES, *_TURNS, *_COLORS, "opacity") if name not in names]
    if missing:
        raise PlyError(f"{path} holds no Gaussian splats: it has no {', '.join(missing)}.")
    column = {name: index for index, name in enumerate(names)}

    def take(wanted: tuple[str, ...]) -> np.ndarray:
        places = [column[name] for name in wanted]
        together = places == list(range(places[0], places[0] + len(places)))
        return rows[:, places[0] : places[-1] + 1] if together else rows[:, places]

    positions, quaternions = take(_POSITIONS), take(_TURNS)[:, [1, 2, 3, 0]]
    lengths = np.linalg.norm(quaternions, axis=1, keepdims=True)
    quaternions = np.where(
        lengths > 0, quaternions / np.maximum(lengths, 1e-30), np.array([0, 0, 0, 1], np.float32)
    )
    dc = take(_COLORS)
    harmonics = _harmonics(path, take, names, dc)
    if y_down:
        positions = positions * np.array([1, -1, -1], np.float32)
        quaternions = quaternions * np.array([1, -1, -1, 1], np.float32)  # the same ellipsoids as turned ones
        harmonics = None if harmonics is None else harmonics * _TURNED[None, :, None]
    with np.errstate(over="ignore"):
        alphas = 1 / (1 + np.exp(-take(("opacity",))[:, 0]))
        scales = np.exp(take(_SCALES))
    return Splats(positions, np.float32(0.5) + np.float32(DC) * dc, scales, quaternions, alphas, harmonics)


def _harmonics(path: Path, take: object, names: list[str], dc: np.ndarray) -> np.ndarray | None:
    """From channel-major columns, all of red first."""
    count = sum(name.startswith("f_rest_") for name in names)
    if count == 0:
        return None
    if count not in (9, 24, 45):
        raise PlyError(f"{path} has {count} f_rest properties; degrees 1 to 3 have 9, 24 or 45.")
    each = count // 3
    result = np.zeros((3, len(dc), COEFFICIENTS), np.float32)  # a channel in one piece: an attribute each
    for channel, values in enumerate(result):
        values[:, 0] = dc[:, channel]
        names_of_channel = tuple(f"f_rest_{channel * each + index}" for index in range(each))
        values[:, 1 : 1 + each] = take(names_of_channel)  # type: ignore[operator]
    return result.transpose(1, 2, 0)


def _read_rows(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open("rb") as file:
        head = file.read(MOST_HEADER)
        end = head.find(b"end_header\n")
        if not head.startswith(b"ply\n") or end < 0:
            raise PlyError(f"{path} is no PLY file.")
        lines = head[:end].decode("ascii", "replace").splitlines()
        if "format binary_little_endian 1.0" not in lines:
            raise PlyError(f"{path} is not a binary little-endian PLY file.")
        elements = [line.split() for line in lines if line.startswith("element ")]
        properties = [line.split() for line in lines if line.startswith("property ")]
        if len(elements) != 1 or elements[0][1:2] != ["vertex"] or not elements[0][-1].isdigit():
            raise PlyError(f"{path} has more than vertices, or none.")
        if any(len(words) != 3 or words[1] not in ("float", "float32") for words in properties):
            raise PlyError(f"{path} has properties that are not float.")
        count, names = int(elements[0][2]), [words[2] for words in properties]
        if len(set(names)) != len(names):
            raise PlyError(f"{path} names a property twice.")
        size = path.stat().st_size - end - len(b"end_header\n")
        if size != count * len(names) * 4:
            raise PlyError(f"{path} has {size} bytes of splats, not {count * len(names) * 4}.")
        file.seek(end + len(b"end_header\n"))
        return names, np.fromfile(file, "<f4").reshape(count, len(names))
