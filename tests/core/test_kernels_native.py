"""The C++ of the kernels: each header compiles alone without warnings, and is put together with its needs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import warp as wp

from neuron_core.kernels.assembly import FOLDER, assemble, constants_of, header_names
from neuron_core.kernels.baked import layout
from neuron_core.kernels.splats.raster import OPAQUEST
from neuron_core.kernels.training.hashgrid import PRIME_Y, PRIME_Z

HEADERS = header_names()
MATH = ("sqrtf", "fabsf", "expf", "log1pf", "truncf")
WARP = "\n".join(  # what a header has from Warp, or from the compiler of CUDA
    [
        "#define CUDA_CALLABLE",
        "typedef decltype(sizeof(0)) size_t;",
        *(f'extern "C" float {name}(float);' for name in MATH),
        'extern "C" float fminf(float, float);',
        'extern "C" float fmaxf(float, float);',
        "float atomicAdd(float*, float);",
        "",
    ]
)
STRICT = "\n".join(
    [
        '#pragma clang diagnostic error "-Wall"',
        '#pragma clang diagnostic error "-Wextra"',
        '#pragma clang diagnostic ignored "-Wunused-const-variable"',  # they are for who includes it
        "",
    ]
)


def assembled(header: str) -> str:
    constants = {**vars(layout), "PRIME_Y": PRIME_Y, "PRIME_Z": PRIME_Z, "OPAQUEST": OPAQUEST}
    return assemble([header], {name: constants[name] for name in constants_of([header])})


def compile_with_warp(text: str, folder: Path) -> None:
    """Compile for the CPU with the Clang that Warp carries. Raises an exception for an error."""
    build = pytest.importorskip("warp._src.build", reason="this release of Warp hides its compiler")
    wp.init()
    source = folder / "header.cpp"
    source.write_text(WARP + STRICT + text, encoding="utf-8")
    build.build_cpu(str(folder / "header.o"), str(source))


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_compiles_alone_for_a_cpu_without_warnings(header: str, tmp_path: Path) -> None:
    compile_with_warp(assembled(header), tmp_path)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_compiles_alone_for_cuda_without_warnings(header: str, tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    source = tmp_path / "header.cpp"
    source.write_text(WARP + assembled(header), encoding="utf-8")
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-variable"]
    command = [compiler, "-fsyntax-only", "-D__CUDA_ARCH__=800", *strict, str(source)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "fault", ["float f(float a) { int unused = 3; return a; }", "int f(int a) { return b; }", "float f( {"]
)
def test_a_warning_and_an_error_are_noticed(fault: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="failed"):
        compile_with_warp(fault, tmp_path)


@pytest.mark.parametrize("header", HEADERS)
def test_functions_and_headers_are_short(header: str) -> None:
    lines = (FOLDER / header).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 500
    begins: dict[int, int] = {}
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.rstrip().endswith("{") and "(" in line:
            begins.setdefault(indent, number)
        elif line.strip() == "}" and indent in begins:
            assert number - begins.pop(indent) < 60, line
            begins = {other: first for other, first in begins.items() if other < indent}


def folder_of(tmp_path: Path, **headers: str) -> Path:
    for name, text in headers.items():
        (tmp_path / f"{name}.h").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_header_comes_once_and_behind_what_it_includes(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        top='#pragma once\n#include "left.h"\n#include "right.h"\nint top;\n',
        left='#include "base.h"\nint left;\n',
        right='#include "base.h"\nint right;\n',
        base="int base;\n",
    )
    text = assemble(["top.h", "right.h"], folder=folder)
    assert re.findall(r"int (\w+);", text) == ["base", "left", "right", "top"]
    assert "#include" not in text and "#pragma once" not in text


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    text = assemble(
        ["a.h"], folder=folder_of(tmp_path, a='// one\n#pragma once\n#include "b.h"\nint four;', b="int b;")
    )
    own = text.split('#line 1 "a.h"\n')[1].splitlines()
    assert own[3] == "int four;"


def test_constants_are_defined_as_what_they_are(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, a="// NOT_THIS\nfloat a = HALF + SIDES + LARGE;\n#define OWN 3\nint b = OWN;\n"
    )
    text = assemble(["a.h"], {"HALF": 0.5, "SIDES": 4, "LARGE": 1 << 31}, folder=folder)
    assert "constexpr float HALF = 0.5f;" in text and "constexpr int SIDES = 4;" in text
    assert "constexpr unsigned LARGE = 2147483648" in text


@pytest.mark.parametrize(
    ("headers", "constants", "said"),
    [
        ({"a": '#include "b.h"\n', "b": '#include "a.h"\n'}, {}, "a.h -> b.h -> a.h include each other"),
        ({"a": '#include "b.h"\n'}, {}, "no header b.h, which a.h includes"),
        ({"b": ""}, {}, "no header a.h, which a kernel includes"),
        (
            {"a": '#include "b.h"\n', "b": "int b = MANY;\n"},
            {"FEW": 1},
            r"b.h needs the constants \['MANY'\]",
        ),
        ({"a": "int a = FEW;\n"}, {"FEW": 1, "MANY": 2}, r"No header needs the constants \['MANY'\]"),
    ],
)
def test_headers_that_do_not_fit_together_are_named(
    headers: dict[str, str], constants: dict[str, int], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        assemble(["a.h"], constants, folder=folder_of(tmp_path, **headers))


def test_products_and_sums_are_rounded_once_only_where_it_is_asked_for() -> None:
    plain, fused = (assemble(["platform.h"], fused=fused) for fused in (False, True))
    assert "contract" not in re.sub(r"_Pragma.*", "", plain)
    assert fused.index("contract(fast)") < fused.index("platform.h") < fused.rindex("contract(off)")
