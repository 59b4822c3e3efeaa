"""The C++ of the kernels: each header compiles alone without warnings, and is put together with its needs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import warp as wp

from neuron_core.kernels import assembly
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


def test_the_same_headers_give_the_same_text_in_whatever_order_they_were_put_together_before() -> None:
    first = assembled("march.h")
    others = [assembled(header) for header in reversed(HEADERS)]
    assert assembled("march.h") == first and others == [assembled(header) for header in reversed(HEADERS)]


def test_a_header_that_others_include_too_changes_nothing_when_it_is_named_again() -> None:
    constants = {name: vars(layout)[name] for name in constants_of(["march.h"])}
    once, again = (assemble([*more, "march.h"], constants) for more in ([], ["platform.h"]))
    assert once == again and once.count('#line 1 "platform.h"') == 1


def test_every_header_is_used_by_a_kernel_or_by_another_header() -> None:
    root = Path(assembly.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in root.rglob("*") if path.suffix in (".py", ".h")]
    for header in HEADERS:
        assert any(f'"{header}"' in text for text in texts), header


@pytest.mark.parametrize(
    "value", [0.1, 1e-30, 1 / 255, 1e30, -2.5, 3, -7, 0, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
)
def test_numbers_are_defined_as_they_are(value: float, tmp_path: Path) -> None:
    text = assemble(["a.h"], {"NUMBER": value}, folder=folder_of(tmp_path, a="auto a = NUMBER;\n"))
    found = re.search(r"constexpr (\w+) NUMBER = ([^;]+);", text)
    assert found is not None
    kind, written = found.groups()
    assert kind == ("float" if isinstance(value, float) else "unsigned" if value >= 1 << 31 else "int")
    assert (float(written.removesuffix("f")) if kind == "float" else int(written)) == value
    checks = f'static_assert(neuron::NUMBER == {written}, "");\n'
    compile_with_warp(text.replace("auto a = NUMBER;", "") + checks, tmp_path)


def test_only_code_needs_constants(tmp_path: Path) -> None:
    code = "\n".join(
        [
            "// a COMMENT",
            'static_assert(SIDE == 9, "TEXT of a message");',
            "#define MACRO 3",
            "constexpr int OWN = MACRO;",
            "template <int WIDTH> struct A { float X[WIDTH]; };",
            "CUDA_CALLABLE inline int f() { return OWN; }",
        ]
    )
    folder = folder_of(tmp_path, a=code)
    assert "constexpr int SIDE = 9;" in assemble(["a.h"], {"SIDE": 9}, folder=folder)
    with pytest.raises(ValueError, match=r"a.h needs the constants \['SIDE'\], which are not given"):
        assemble(["a.h"], folder=folder)
    for name in ("COMMENT", "TEXT", "CUDA_CALLABLE"):
        with pytest.raises(ValueError, match=rf"No header needs the constants \['{name}'\]"):
            assemble(["a.h"], {"SIDE": 9, name: 1}, folder=folder)


def test_constants_of_a_header_are_those_of_all_that_it_includes_but_for_what_they_define() -> None:
    for header in HEADERS:
        text = (FOLDER / header).read_text(encoding="utf-8")
        for included in re.findall(r'^#include "(\w+\.h)"$', text, re.MULTILINE):
            assert constants_of([included]) <= constants_of([header]), (header, included)
    assert constants_of(HEADERS) == set().union(*(constants_of([header]) for header in HEADERS))
    assert constants_of(["platform.h"]) == set() and constants_of(["hashgrid.h"]) == {"PRIME_Y", "PRIME_Z"}


def test_errors_point_at_the_line_of_the_header(tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    folder = folder_of(
        tmp_path, low="int low;\n", top='#pragma once\n#include "low.h"\n\nint top = missing;\n'
    )
    source = tmp_path / "all.cpp"
    source.write_text(assemble(["top.h"], folder=folder), encoding="utf-8")
    found = subprocess.run(
        [compiler, "-fsyntax-only", str(source)], capture_output=True, text=True, check=False
    )
    assert found.returncode != 0 and "top.h:4:" in found.stderr
