"""Functions of the native headers, called on rows of numbers: the CPU's half of them and that of CUDA.

The CPU's half is compiled by Warp, as in kernels; that of CUDA by the machine's C++ compiler, for its CPU.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import warp as wp

from neuron_core.kernels.assembly import assemble, compiled_with, constants_of
from neuron_core.kernels.baked import layout
from neuron_core.kernels.launch import launch, view

HEADERS = ("exponential.h", "harmonics.h", "light.h", "field.h", "reflect.h", "shade.h")
MAP_CELLS = 8  # along a side of the map that is probed
CONSTANTS = {name: vars(layout)[name] for name in sorted(constants_of(HEADERS))}


class Probe(NamedTuple):
    """What is computed from a row of numbers `from`, and written to `to`."""

    taken: int
    given: int
    body: str


VECTORS = "const Vec a = vec(from), b = vec(from + 3);"
PROBES = {
    "decay": Probe(1, 1, "to[0] = decay(from[0]);"),
    "cell_in": Probe(2, 1, "to[0] = (float)cell_in(from[0], (int)from[1]);"),
    "basis_at": Probe(3, 16, "const Basis b = basis_at(from); for (int i = 0; i < 16; ++i) to[i] = b.v[i];"),
    "mean_on_line": Probe(5, 1, "to[0] = mean_on_line(from[0], from[1], from[2], from[3], from[4]);"),
    "ticks_since_side": Probe(
        6,
        1,
        f"{VECTORS} to[0] = ticks_since_side(a, b, vec(inverse_of(b.x), inverse_of(b.y), inverse_of(b.z)));",
    ),
    "inverse_of": Probe(1, 1, "to[0] = inverse_of(from[0]);"),
    "to_unit": Probe(3, 1, "to[0] = to_unit(vec(from));"),
    "dot": Probe(6, 1, f"{VECTORS} to[0] = dot(a, b);"),
    "lower": Probe(6, 3, f"{VECTORS} const Vec c = lower(a, b); to[0] = c.x, to[1] = c.y, to[2] = c.z;"),
    "higher": Probe(6, 3, f"{VECTORS} const Vec c = higher(a, b); to[0] = c.x, to[1] = c.y, to[2] = c.z;"),
    "truncated": Probe(3, 3, "const Vec c = truncated(vec(from)); to[0] = c.x, to[1] = c.y, to[2] = c.z;"),
    "by_sign": Probe(
        5, 3, "const Vec c = by_sign(vec(from), from[3], from[4]); to[0] = c.x, to[1] = c.y, to[2] = c.z;"
    ),
    "extremes": Probe(3, 2, "to[0] = least(vec(from)), to[1] = greatest(vec(from));"),
    "trilinear": Probe(layout.SAMPLES + 3, 1, "to[0] = trilinear(from, vec(from + SAMPLES));"),
    "whole_ticks": Probe(1, 1, "to[0] = (float)whole_ticks(from[0]);"),
    "softplus": Probe(16, 16, "Row<8> a, b; load<8>(a, from), load<8>(b, from + 8); softplus(a, b, to);"),
    "sigmoid": Probe(1, 1, "to[0] = sigmoid(from[0]);"),
    "positive": Probe(8, 8, "Row<8> a; load<8>(a, from); store_positive<8>(a, to);"),
    "sum_of_rows": Probe(
        17,
        8,
        """Row<8> a;
        load<8>(a, from);
        add<8>(a, from[16], from + 8);
        for (int i = 0; i < 8; ++i) to[i] = a[i];""",
    ),
    "mean_of_rows": Probe(
        8 + 4 + 32,
        8,
        """short stored[32];
        for (int i = 0; i < 32; ++i) stored[i] = (short)from[12 + i];
        const short* const rows[4] = {stored, stored + 8, stored + 16, stored + 24};
        const float zeros[8] = {0.0f};
        Row<8> a;
        load<8>(a, zeros);
        add_mean<8>(a, from, rows, from + 8);
        for (int i = 0; i < 8; ++i) to[i] = a[i];""",
    ),
    "map_at": Probe(
        3 + (MAP_CELLS + 1) ** 2,
        1,
        f"""short map[{8 * (MAP_CELLS + 1) ** 2}];
        float weights[1000];
        for (int i = 0; i < 8; ++i) weights[i] = 1.0f;
        for (int i = 0; i < {8 * (MAP_CELLS + 1) ** 2}; ++i) map[i] = (short)from[3 + i / 8];
        const float zeros[8] = {{0.0f}};
        Row<8> a;
        load<8>(a, zeros);
        Shader<8>(weights, map, {MAP_CELLS}).add_direction(a, from[0], from[1], from[2]);
        to[0] = a[3];""",
    ),
    "is_mirror": Probe(
        layout.CHANNELS + 1 + layout.CHANNELS + 2,
        1,
        """Record records[RAYS] = {};
        for (int ray = 0; ray < RAYS; ++ray) {
            for (int i = 0; i < CHANNELS; ++i) records[ray].codes[i] = from[i];
            records[ray].alpha = from[CHANNELS];
        }
        Mirrors mirrors;
        mirrors.find(records, from + CHANNELS + 1);
        to[0] = mirrors.mirrors[0];""",
    ),
    "reflected": Probe(  # origin, direction, distance, normal, lift, voxels a unit, whether it mirrors
        13,
        8,
        """Field field{};
        field.scale = from[11];
        Marcher marcher(field, 1.0f);
        Record records[RAYS] = {};
        Mirrors mirrors;
        for (int ray = 0; ray < RAYS; ++ray) {
            for (int axis = 0; axis < 3; ++axis) {
                marcher.begins[axis][ray] = from[axis];
                records[ray].direction[axis] = from[3 + axis];
                records[ray].normal[axis] = from[7 + axis];
            }
            records[ray].distance = from[6];
            mirrors.mirrors[ray] = from[12] > 0.0f;
            mirrors.leaders[ray] = ray;
        }
        to[7] = (float)reflect(marcher, mirrors, records, from[10]) / RAYS;
        for (int axis = 0; axis < 3; ++axis) {
            to[axis] = marcher.begins[axis][0];
            to[3 + axis] = marcher.ahead[axis][0];
        }
        to[6] = marcher.start[0];""",
    ),
    "leaders": Probe(  # on a CPU only, where a tile has more than a ray
        layout.BEAM + 1,
        layout.BEAM,
        """Mirrors mirrors;
        for (int ray = 0; ray < RAYS; ++ray) mirrors.mirrors[ray] = from[ray] > 0.0f;
        mirrors.share((int)from[BEAM]);
        for (int ray = 0; ray < RAYS; ++ray) to[ray] = (float)mirrors.leaders[ray];""",
    ),
}
NUMBERS = {name: number for number, name in enumerate(PROBES)}
CASES = "\n".join(
    f"case {NUMBERS[name]}: {{ from += {p.taken} * row, to += {p.given} * row; {p.body} }} break;"
    for name, p in PROBES.items()
)
SWITCH = f"using namespace neuron; switch (number) {{ {CASES} }}"
FOR_CUDA = """
#include <math.h>
#include <stddef.h>
#define CUDA_CALLABLE
#define __CUDA_ARCH__ 800
inline float atomicAdd(float* to, float value) {
    const float before = *to;
    *to += value;
    return before;
}
"""
ROWS = f"""
extern "C" void probe(int number, int rows, const float* first_from, float* first_to) {{
    for (int row = 0; row < rows; ++row) {{
        const float* from = first_from;
        float* to = first_to;
        {SWITCH}
    }}
}}
"""

wp.set_module_options(compiled_with(HEADERS, CONSTANTS))


@wp.func_native(f"const float* from = taken.data; float* to = given.data; {SWITCH}")
def call_probe(taken: wp.array[wp.float32], given: wp.array[wp.float32], number: wp.int32, row: wp.int32): ...


@wp.kernel(enable_backward=False)
def probe_kernel(
    taken: wp.array[wp.float32], given: wp.array[wp.float32], number: wp.int32, first: wp.int32
) -> None:
    call_probe(taken, given, number, first + wp.tid())


class Half:
    """The functions of the headers as one of the two kinds of machine has them."""

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        """Those of a library, or those of Warp's kernels on the CPU."""
        self.library = library

    def __call__(self, name: str, *columns: object) -> np.ndarray:
        """Call a function on the rows of columns side by side: numbers, [N] or [N, K]."""
        probe = PROBES[name]
        arrays = [np.atleast_1d(np.asarray(column, np.float32)) for column in columns]
        rows = max(len(array) for array in arrays)
        wide = [np.broadcast_to(a.reshape(len(a), -1), (rows, a[0].size)) for a in arrays]
        taken = np.ascontiguousarray(np.concatenate(wide, axis=1))
        assert taken.shape == (rows, probe.taken)
        given = np.full((rows, probe.given), np.nan, np.float32)
        if self.library is None:
            views = view(taken, wp.float32, [taken.size]), view(given, wp.float32, [given.size])
            launch(probe_kernel, [*views, NUMBERS[name]], rows)
        else:
            pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (taken, given))
            self.library.probe(NUMBERS[name], rows, *pointers)
        return given[:, 0] if probe.given == 1 else given


def compiled_for_cuda(text: str, folder: Path) -> ctypes.CDLL:
    """The half of CUDA of some C++, compiled into a folder; skips the test without a compiler."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    source, library = folder / "probes.cpp", folder / "probes.so"
    source.write_text(FOR_CUDA + text, encoding="utf-8")
    options = ["-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-w"]
    subprocess.run([compiler, *options, str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def cuda_half(folder: Path) -> Half:
    """The functions that have probes as CUDA has them."""
    return Half(compiled_for_cuda(assemble(HEADERS, CONSTANTS) + ROWS, folder))
