"""Files of splats: round trips, byte layouts, and what is refused."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdValidation

from neuron_core.splats import harmonics
from neuron_core.splats.cloud import SplatError, Splats, normalized, quaternions_of, rotation_matrices
from neuron_core.splats.drawing import SplatRenderer
from neuron_core.splats.files import read_splats, write_splats
from neuron_core.splats.moving import HALF_TURN, in_encoding, transformed, turned_upside_down
from neuron_core.splats.spz import packed
from neuron_core.splats.usd import fields_of
from neuron_core.usd.splats import splat_problems
from tests.core.splat_samples import camera

FIELDS = ("positions", "rotations", "scales", "opacities", "harmonics")


def cloud(count: int = 40, terms: int = 16, seed: int = 0) -> Splats:
    random = np.random.default_rng(seed)
    return Splats(
        random.normal(size=(count, 3)).astype(np.float32) * 0.25,
        normalized(random.normal(size=(count, 4))),
        np.exp(random.normal(size=(count, 3)) * 0.4 - 2.5).astype(np.float32),
        random.uniform(0.1, 0.95, count).astype(np.float32),
        (random.normal(size=(count, terms, 3)) * 0.15).astype(np.float32),
    )


def close(a: Splats, b: Splats, atol: float) -> None:
    signs = np.sign((a.rotations * b.rotations).sum(axis=1))
    turned = replace(b, rotations=b.rotations * signs[:, None])
    for name in FIELDS:
        np.testing.assert_allclose(getattr(a, name), getattr(turned, name), atol=atol, err_msg=name)
    assert (a.encoding, a.antialiased) == (b.encoding, b.antialiased)


@pytest.mark.parametrize("terms", [1, 4, 9, 16])
@pytest.mark.parametrize("ending", ["ply", "usda", "usdc", "usdz"])
def test_what_is_written_is_read(tmp_path, ending, terms):
    for encoding in ("linear", "srgb"):
        splats = replace(cloud(terms=terms), encoding=encoding, antialiased=encoding == "srgb")
        path = tmp_path / f"{encoding}.{ending}"
        write_splats(path, splats, half=False)
        close(read_splats(path), splats, 2e-6)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"linear.{ending}", f"srgb.{ending}"]


def test_half_precision_keeps_positions(tmp_path):
    splats = cloud()
    write_splats(tmp_path / "a.usdc", splats)
    found = read_splats(tmp_path / "a.usdc")
    np.testing.assert_array_equal(found.positions, splats.positions)
    close(found, splats, 1e-3)


def test_spz_keeps_what_its_bits_can_hold(tmp_path):
    splats = cloud()
    write_splats(tmp_path / "a.spz", splats)
    found = read_splats(tmp_path / "a.spz")
    np.testing.assert_allclose(found.positions, splats.positions, atol=0.51 / 4096)
    np.testing.assert_allclose(found.scales, splats.scales, rtol=0.033)
    assert np.abs((found.rotations * splats.rotations).sum(axis=1)).min() > 1 - 1e-5
    np.testing.assert_allclose(found.harmonics[:, 1:4], splats.harmonics[:, 1:4], atol=0.5 * 8 / 128 + 0.01)
    np.testing.assert_allclose(found.opacities, splats.opacities, atol=0.51 / 255)


def test_an_spz_stream_has_the_bytes_that_other_programs_write():
    root = np.sqrt(0.5)
    one = Splats(
        np.float32([[1, -0.5, 0.25]]),
        np.float32([[root, 0, 0, root]]),
        np.float32([[0.1, 0.05, 0.02]]),
        np.float32([0.9]),
        np.float32([[[0.5, -0.5, 0]]]),
    )
    text = "4e475350 03000000 01000000 000c0000 001000 00f8ff 000400 e6 936c80 7b7061 ff010080"
    assert packed(one) == bytes.fromhex(text.replace(" ", ""))


def test_a_ply_lists_the_properties_in_the_order_of_the_convention(tmp_path):
    write_splats(tmp_path / "a.ply", cloud(1))
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")[0].decode()
    names = [line.split()[-1] for line in header.splitlines() if line.startswith("property float")]
    rest = [f"f_rest_{index}" for index in range(45)]
    ends = ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert names == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest, *ends]


def test_a_ply_of_another_order_without_normals_is_read(tmp_path):
    splats = cloud(5)
    write_splats(tmp_path / "a.ply", splats)
    content = (tmp_path / "a.ply").read_bytes()
    head, body = content.split(b"end_header\n", 1)
    lines = head.decode().splitlines()
    names = [line for line in lines if line.startswith("property")]
    table = np.frombuffer(body, "<f4").reshape(5, -1)
    order = [index for index in reversed(range(len(names))) if names[index].split()[-1][0] != "n"]
    first = [line for line in lines if not line.startswith("property")]
    new = "\n".join([*first, *(names[index] for index in order), "end_header\n"]).encode()
    (tmp_path / "b.ply").write_bytes(new + np.ascontiguousarray(table[:, order]).tobytes())
    close(read_splats(tmp_path / "b.ply"), splats, 1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.replace(b"binary_little_endian", b"ascii"), "'ascii'"),
        (lambda c: c.replace(b"binary_little_endian", b"binary_big_endian"), "'binary_big_endian'"),
        (lambda c: c[:-1], "ends early"),
        (lambda c: c[:80], "no end of its header"),
        (lambda c: c.replace(b"opacity", b"density"), "has no opacity"),
        (lambda c: c.replace(b"f_rest_44", b"f_some_44"), "44 f_rest"),
        (lambda c: c.replace(b"float x", b"list x"), "which no splat has"),
        (lambda c: c.replace(b"vertex 40", b"vertex 999999999999"), "999999999999"),
        (lambda c: b"solid", "not a PLY file"),
    ],
)
def test_a_ply_that_cannot_be_read_says_why(tmp_path, change, said):
    write_splats(tmp_path / "a.ply", cloud())
    (tmp_path / "b.ply").write_bytes(change((tmp_path / "a.ply").read_bytes()))
    with pytest.raises(SplatError, match=said):
        read_splats(tmp_path / "b.ply")


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (lambda s: s[:4] + b"\x04" + s[5:], "version 4"),
        (lambda s: s[:-1], "bytes where"),
        (lambda s: s + b"\0" * 1000, "bytes where"),
        (lambda s: s[:12] + b"\x09" + s[13:], "degree 9"),
        (lambda s: s[:8], "ends early"),
    ],
)
def test_an_spz_that_cannot_be_read_says_why(tmp_path, stream, said):
    (tmp_path / "a.spz").write_bytes(gzip.compress(stream(packed(cloud()))))
    with pytest.raises(SplatError, match=said):
        read_splats(tmp_path / "a.spz")


def test_later_and_damaged_spz_files_are_told_apart(tmp_path):
    (tmp_path / "a.spz").write_bytes(b"NGSP\x04")
    with pytest.raises(SplatError, match="version 4 or later"):
        read_splats(tmp_path / "a.spz")
    (tmp_path / "a.spz").write_bytes(gzip.compress(packed(cloud()))[:10] + b"\xff" * 50)
    with pytest.raises(SplatError, match="damaged"):
        read_splats(tmp_path / "a.spz")


def test_no_splats_are_not_written(tmp_path):
    for ending in ("ply", "spz", "usdc", "npz"):
        with pytest.raises(SplatError, match="no splats"):
            write_splats(tmp_path / f"a.{ending}", cloud(0))
    assert not list(tmp_path.iterdir())


def test_a_usd_field_is_authored_as_its_schema_wants(tmp_path):
    splats = cloud()
    write_splats(tmp_path / "a.usda", splats)
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    (prim,) = fields_of(stage)
    known = set(prim.GetPrimDefinition().GetPropertyNames())
    assert {a.GetName() for a in prim.GetAuthoredAttributes()} <= known
    assert stage.GetDefaultPrim() == prim.GetParent()
    low, high = np.array(UsdGeom.Boundable(prim).GetExtentAttr().Get())
    axes = rotation_matrices(splats.rotations) * splats.scales[:, None]
    reach = 3 * np.sqrt((axes**2).sum(-1))
    np.testing.assert_allclose(
        [low, high], [(splats.positions - reach).min(0), (splats.positions + reach).max(0)], atol=1e-5
    )
    assert prim.GetAttribute("colorSpace:name").Get() == "srgb_rec709_scene"


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("terms", [1, 4, 9, 16])
@pytest.mark.parametrize("ending", ["usda", "usdc", "usdz"])
def test_neither_usds_validators_nor_ours_find_anything_in_written_fields(tmp_path, ending, terms, half):
    write_splats(tmp_path / f"a.{ending}", cloud(terms=terms), half)
    stage = Usd.Stage.Open(str(tmp_path / f"a.{ending}"))
    (prim,) = fields_of(stage)
    assert not splat_problems(prim, Usd.TimeCode.EarliestTime())
    registry = UsdValidation.ValidationRegistry()
    assert not UsdValidation.ValidationContext(registry.GetOrLoadAllValidators()).Validate(stage)


def test_splats_as_points_carry_the_attributes_of_houdinis_tools(tmp_path):
    splats = cloud()
    write_splats(tmp_path / "a.usdc", splats, as_points=True)
    write_splats(tmp_path / "a.npz", splats)
    wanted = np.load(tmp_path / "a.npz")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    (prim,) = (prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Points))
    np.testing.assert_array_equal(np.array(UsdGeom.Points(prim).GetPointsAttr().Get()), wanted["P"])
    primvars = UsdGeom.PrimvarsAPI(prim)
    for name in ("scale", "GS_Alpha", "GS_SPH_R", "GS_SPH_G", "GS_SPH_B"):
        primvar = primvars.GetPrimvar(name)
        assert primvar.GetInterpolation() == "vertex"
        size = primvar.GetElementSize()
        found = np.array(primvar.Get()).reshape(wanted[name].shape)
        np.testing.assert_array_equal(found, wanted[name])
        assert size == (16 if name.startswith("GS_SPH") else 1)
    first = primvars.GetPrimvar("orient").Get()[0]
    np.testing.assert_array_equal([first.GetReal(), *first.GetImaginary()], splats.rotations[0])
    registry = UsdValidation.ValidationRegistry()
    assert not UsdValidation.ValidationContext(registry.GetOrLoadAllValidators()).Validate(stage)


def test_a_field_under_a_transform_is_read_where_it_is(tmp_path):
    splats = cloud()
    write_splats(tmp_path / "a.usda", splats, half=False)
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    root = UsdGeom.Xformable(stage.GetDefaultPrim())
    root.AddTranslateOp().Set((1, 2, 3))
    root.AddRotateXYZOp().Set((20, 30, 40))
    stage.Save()
    matrix = np.array(root.GetLocalTransformation()).T
    moved = read_splats(tmp_path / "a.usda")
    np.testing.assert_allclose(
        moved.positions, splats.positions @ matrix[:3, :3].T + matrix[:3, 3], atol=1e-5
    )


def test_turned_splats_look_from_a_turned_camera_as_before():
    splats = cloud()
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrices(normalized(np.array([[0.3, -0.5, 0.7, 0.2]])))[0]
    view = camera()
    turned = replace(view, c2w=matrix @ view.c2w)
    before = SplatRenderer(splats).draw(view)
    after = SplatRenderer(transformed(splats, matrix)).draw(turned)
    np.testing.assert_allclose(after, before, atol=2e-3)


def test_half_a_turn_flips_signs_only():
    splats = cloud()
    matrix = np.eye(4)
    matrix[:3, :3] = HALF_TURN
    flipped, general = turned_upside_down(splats), transformed(splats, matrix)
    np.testing.assert_allclose(flipped.harmonics, general.harmonics, atol=1e-5)
    signs = flipped.harmonics[0, :, 0] / splats.harmonics[0, :, 0]
    np.testing.assert_allclose(signs, [1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], atol=1e-5)
    a = rotation_matrices(flipped.rotations)
    np.testing.assert_allclose(a, HALF_TURN @ rotation_matrices(splats.rotations), atol=1e-5)


def test_rotations_of_harmonics_are_orthogonal_and_compose():
    turns = rotation_matrices(normalized(np.random.default_rng(0).normal(size=(2, 4))))
    a, b = (harmonics.rotation(turn) for turn in turns)
    np.testing.assert_allclose(a @ a.T, np.eye(16), atol=1e-5)
    np.testing.assert_allclose(harmonics.rotation(turns[0] @ turns[1]), a @ b, atol=1e-5)


def test_harmonics_are_orthonormal():
    values = harmonics.basis(harmonics.fibonacci_sphere(20_000))
    np.testing.assert_allclose(values.T @ values * 4 * np.pi / 20_000, np.eye(16), atol=2e-3)


def test_least_squares_finds_the_harmonics_that_made_the_colors():
    wanted = cloud(7).harmonics.astype(np.float64)
    sphere = harmonics.fibonacci_sphere(80)
    seen = 0.5 + np.einsum("dk,nkc->ndc", harmonics.basis(sphere), wanted)
    np.testing.assert_allclose(
        harmonics.fit(sphere, seen, np.ones((7, 80)), stiffness=0.0), wanted, atol=1e-4
    )


def test_constant_colors_survive_another_encoding():
    splats = cloud(terms=1)
    there = in_encoding(splats, "linear")
    np.testing.assert_allclose(in_encoding(there, "srgb").base_colors(), splats.base_colors(), atol=1e-4)


def test_quaternions_and_matrices_are_inverse():
    turns = rotation_matrices(normalized(np.random.default_rng(1).normal(size=(500, 4))))
    np.testing.assert_allclose(rotation_matrices(quaternions_of(turns)), turns, atol=1e-6)
