"""Which tensors an asset may hold: one table, and the laws that tie tensors to each other.

To add a tensor, add a row to TENSORS. A name that no row knows is refused. In shapes, a letter
stands for one size throughout a file (V: voxels that contribute), None for any size.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuron_core.assets.container import ITEM_SIZES, TensorInfo
from neuron_core.assets.errors import AssetError
from neuron_core.assets.manifest import Manifest
from neuron_core.assets.png import MAX_BYTES, check_png
from neuron_core.foundation.strict_json import shown
from neuron_core.kernels.baked.layout import CELLS, SAMPLES

NUMPY_DTYPES: Mapping[str, np.dtype] = {
    "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "F64": np.dtype("<f8"),
    "U8": np.dtype("u1"), "U16": np.dtype("<u2"), "U32": np.dtype("<u4"), "U64": np.dtype("<u8"),
    "I8": np.dtype("i1"), "I16": np.dtype("<i2"), "I32": np.dtype("<i4"), "I64": np.dtype("<i8"),
    "BOOL": np.dtype("?"),
}  # fmt: skip

ANY = frozenset(ITEM_SIZES)
FLOATS = frozenset({"F16", "F32"})
MAX_BRICKS = 1 << 18  # 3 GB once unpacked to float32 density and normals


@dataclass(frozen=True, slots=True)
class TensorRule:
    """What is allowed for the tensors whose names match."""

    pattern: str  # dotted; `*` stands for one word, at the end for one or more
    dtypes: frozenset[str]
    shape: tuple[int | str | None, ...] | None = None  # None: any
    low: int | float | None = None  # of the values
    high: int | float | None = None
    required: bool = False  # where the manifest names the group, or once for each look
    max_bytes: int | None = None

    def matches(self, name: str) -> bool:
        """Whether the rule is the one for this tensor."""
        words = [r"[^.]+" if word == "*" else re.escape(word) for word in self.pattern.split(".")]
        if self.pattern.endswith("*"):
            words[-1] = ".+"
        return re.fullmatch(r"\.".join(words), name) is not None


TENSORS: tuple[TensorRule, ...] = (
    TensorRule("inr.*", ANY, required=True),
    TensorRule("nvf.top", frozenset({"I32"}), ("X", "Y", "Z"), low=-1, high=MAX_BRICKS - 1, required=True),
    TensorRule("nvf.aabb", frozenset({"F32"}), (2, 3), low=-1e8, high=1e8, required=True),
    TensorRule("nvf.voxel_size", frozenset({"F32"}), (1,), low=1e-9, high=1e8, required=True),
    TensorRule("nvf.active", frozenset({"I32", "U32"}), ("V",), low=0, required=True),
    TensorRule("nvf.density", FLOATS, ("V",), required=True),
    TensorRule("nvf.normals", FLOATS | {"I8"}, ("V", 3), required=True),
    TensorRule("nvf.features", FLOATS, ("V", None)),
    TensorRule("looks.*.codes", frozenset({"U8"}), ("V", 8), required=True),
    TensorRule("looks.*.range", frozenset({"F32"}), (2, 8), required=True),
    TensorRule("looks.*.base_codes", frozenset({"U8"}), ("V", 8)),  # of a look that was edited since
    TensorRule("looks.*.base_range", frozenset({"F32"}), (2, 8)),
    TensorRule("shader.*", FLOATS),
    TensorRule("pose.*", FLOATS),
    TensorRule("splat.*", ANY),
    TensorRule("preview.*", frozenset({"U8"}), (None,), max_bytes=MAX_BYTES),
)
"""The first row that matches a name is its rule."""


def rule_for(name: str) -> TensorRule:
    """The rule of a tensor. Raises AssetError if none knows its name."""
    for rule in TENSORS:
        if rule.matches(name):
            return rule
    raise AssetError(f"it holds the unknown tensor {shown(name)}.")


def check_layout(manifest: Manifest, tensors: Mapping[str, TensorInfo]) -> None:
    """Names, dtypes and shapes, from the header alone. Raises AssetError with the tensor's name."""
    sizes: dict[str, tuple[int, str]] = {}
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, rule_for(name), sizes)
    _check_required(manifest, tensors)


def check_values(tensors: Mapping[str, np.ndarray]) -> None:
    """Finiteness, ranges and the laws between tensors whose layout is right. Raises AssetError."""
    for name, array in tensors.items():
        _check_finite(name, array)
        _check_range(name, array, rule_for(name))
        if name.startswith("preview."):
            check_png(array.tobytes(), f"tensor {name}")
        if name.endswith(".range") and not (array[0] <= array[1]).all():
            raise AssetError(f"tensor {name} has a low end above its high end.")
    if "nvf.top" in tensors:
        _check_bricks(tensors["nvf.top"], tensors["nvf.active"])
        _check_box(tensors["nvf.aabb"], tensors["nvf.top"].shape, float(tensors["nvf.voxel_size"][0]))


def _check_tensor(name: str, tensor: TensorInfo, rule: TensorRule, sizes: dict[str, tuple[int, str]]) -> None:
    if tensor.dtype not in rule.dtypes:
        raise AssetError(f"tensor {name} is {tensor.dtype}; it can be {', '.join(sorted(rule.dtypes))}.")
    if rule.max_bytes is not None and tensor.size > rule.max_bytes:
        raise AssetError(f"tensor {name} has {tensor.size} bytes; at most {rule.max_bytes} are allowed.")
    if rule.shape is None:
        return
    if len(tensor.shape) != len(rule.shape):
        raise AssetError(f"tensor {name} has {len(tensor.shape)} dimensions instead of {len(rule.shape)}.")
    for side, expected in zip(tensor.shape, rule.shape, strict=True):
        if isinstance(expected, str):
            expected, whose = sizes.setdefault(expected, (side, name))
            if side != expected:
                raise AssetError(f"tensor {name} has {side} rows, {whose} has {expected}; they must agree.")
        elif expected is not None and side != expected:
            raise AssetError(f"tensor {name} has the shape {tensor.shape}; a side of {expected} is expected.")


def _check_required(manifest: Manifest, tensors: Mapping[str, TensorInfo]) -> None:
    groups = {name.split(".")[0] for name in tensors}
    for group in ("inr", "nvf"):
        if group in groups and group not in manifest.architecture:
            raise AssetError(f"it holds {group} tensors, but its manifest names no architecture for them.")
    slugs = {look.slug for look in manifest.looks}
    for name in tensors:
        if name.startswith("looks.") and name.split(".")[1] not in slugs:
            raise AssetError(f"tensor {name} belongs to a look that its manifest does not list.")
    if slugs and "nvf" not in manifest.architecture:
        raise AssetError("its manifest lists looks, but no nvf that they could belong to.")
    if slugs and "shader" not in groups:
        raise AssetError("it has looks, but no shader tensors that could show them.")
    for rule in TENSORS:
        if rule.required:
            for pattern in _needed(rule.pattern, manifest):
                _check_present(pattern, tensors)


def _needed(pattern: str, manifest: Manifest) -> list[str]:
    group, rest = pattern.split(".", 1)
    if group == "looks":
        return [f"looks.{look.slug}.{rest.split('.', 1)[1]}" for look in manifest.looks]
    return [pattern] if group in manifest.architecture else []


def _check_present(pattern: str, tensors: Mapping[str, TensorInfo]) -> None:
    prefix = pattern.removesuffix("*")
    if pattern in tensors or (prefix != pattern and any(name.startswith(prefix) for name in tensors)):
        return
    raise AssetError(f"it lacks the tensor {pattern} that its manifest promises.")


def _check_finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(array.size - np.isfinite(array).sum())
        raise AssetError(f"tensor {name} holds {count} values that are not finite.")


def _check_range(name: str, array: np.ndarray, rule: TensorRule) -> None:
    if rule.low is not None and array.min() < rule.low:
        raise AssetError(f"tensor {name} holds {array.min()}; its values are at least {rule.low}.")
    if rule.high is not None and array.max() > rule.high:
        raise AssetError(f"tensor {name} holds {array.max()}; its values are at most {rule.high}.")


def _check_bricks(top: np.ndarray, active: np.ndarray) -> None:
    """Every brick has one place in the grid; active samples ascend and lie in the bricks.

    There are no more bricks than active samples, which bounds what unpacking allocates by the size
    of the file.
    """
    bricks = np.sort(top[top >= 0])
    if not np.array_equal(bricks, np.arange(bricks.size)):
        raise AssetError(f"tensor nvf.top does not number its {bricks.size} bricks 0 to {bricks.size - 1}.")
    if int(active.max()) >= bricks.size * SAMPLES:
        raise AssetError(f"tensor nvf.active points at sample {active.max()}, beyond {bricks.size} bricks.")
    if not (active[1:] > active[:-1]).all():
        raise AssetError("tensor nvf.active does not list samples in ascending order.")
    if bricks.size > active.size:
        raise AssetError(f"it has {bricks.size} bricks, but only {active.size} active samples in them.")


def _check_box(aabb: np.ndarray, bricks: tuple[int, ...], voxel_size: float) -> None:
    """The box of the bake is as large as its bricks are together."""
    expected = np.array(bricks, np.float64) * (CELLS * voxel_size)
    sides = aabb[1].astype(np.float64) - aabb[0]
    if not np.allclose(sides, expected, rtol=1e-3):
        raise AssetError(
            f"tensor nvf.aabb has sides of {_sides(sides)} m, the bricks of nvf.top of {_sides(expected)} m."
        )


def _sides(lengths: np.ndarray) -> str:
    return " x ".join(f"{length:.6g}" for length in lengths)
