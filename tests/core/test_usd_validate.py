"""Checks of stages: what is wrong is found, what is right is not called wrong."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from neuron_core.assets import AssetError, read_header
from neuron_core.assets.encoders import check_encoder
from neuron_core.library.publishing import Submission, publish
from neuron_core.prompts import EncoderId, PromptError, load_encoder
from neuron_core.usd import Problem, read_stage, schema, validators
from neuron_core.usd.proxy import fog_of
from neuron_core.usd.splats import TYPE, splat_problems
from neuron_core.usd.validate import held_density, validate
from neuron_core.voxels.baked import to_tensors
from tests.core.scene_samples import (
    asset_prim,
    ball,
    publish_ball,
    reference_prim,
    write_ball,
    write_plain,
    write_stage,
)

FIELD = {
    "positions": (Sdf.ValueTypeNames.Point3fArray, Vt.Vec3fArray([(0, 0, 0), (1, 2, 3)])),
    "scales": (Sdf.ValueTypeNames.Float3Array, Vt.Vec3fArray([(0.1, 0.1, 0.1), (0.2, 0.1, 0.3)])),
    "orientations": (Sdf.ValueTypeNames.QuatfArray, Vt.QuatfArray([Gf.Quatf(1), Gf.Quatf(0.6, 0.8, 0, 0)])),
    "opacities": (Sdf.ValueTypeNames.FloatArray, Vt.FloatArray([0.5, 1.0])),
    "radiance:sphericalHarmonicsDegree": (Sdf.ValueTypeNames.Int, 1),
    "radiance:sphericalHarmonicsCoefficients": (
        Sdf.ValueTypeNames.Float3Array, Vt.Vec3fArray([(0.1, 0.2, 0.3)] * 8)),
    "extent": (Sdf.ValueTypeNames.Float3Array, Vt.Vec3fArray([(-1, -1, -1), (2, 3, 4)])),
}  # fmt: skip


def splat(changes: dict[str, object]) -> list[Problem]:
    """What is wrong with two splats of which some attributes are others, or None at all."""
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/s", TYPE)
    for name, (kind, value) in FIELD.items():
        wanted = changes.get(name, value)
        if wanted is not None:
            prim.CreateAttribute(name, kind, False).Set(wanted)
    return splat_problems(prim, Usd.TimeCode.EarliestTime())


def test_sound_splats_have_no_problems():
    assert not splat({})


def test_half_precision_splats_are_read_too():
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/s", TYPE)
    halves = {
        "positionsh": (Sdf.ValueTypeNames.Point3hArray, Vt.Vec3hArray([Gf.Vec3h(0, 0, 0)])),
        "scalesh": (Sdf.ValueTypeNames.Half3Array, Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)])),
        "orientationsh": (Sdf.ValueTypeNames.QuathArray, Vt.QuathArray([Gf.Quath(1, 0, 0, 0)])),
        "opacitiesh": (Sdf.ValueTypeNames.HalfArray, Vt.HalfArray([1])),
        "radiance:sphericalHarmonicsDegree": (Sdf.ValueTypeNames.Int, 0),
        "radiance:sphericalHarmonicsCoefficientsh": (
            Sdf.ValueTypeNames.Half3Array,
            Vt.Vec3hArray([Gf.Vec3h(1)]),
        ),
        "extent": FIELD["extent"],
    }
    for name, (kind, value) in halves.items():
        prim.CreateAttribute(name, kind, False).Set(value)
    assert not splat_problems(prim, Usd.TimeCode.EarliestTime())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("positions", None, "no positions"),
        ("positions", Vt.Vec3fArray([(0, 0, 0), (np.nan, 0, 0)]), "not all finite"),
        ("scales", None, "0 scales where 2"),
        ("scales", Vt.Vec3fArray([(0.1, 0.1, 0.1)]), "1 scales where 2"),
        ("scales", Vt.Vec3fArray([(0.1, 0.1, 0.1), (0.1, 0, 0.1)]), "not all positive"),
        ("orientations", Vt.QuatfArray([Gf.Quatf(1, 0, 0, 0)] * 3), "3 orientations where 2"),
        ("orientations", Vt.QuatfArray([Gf.Quatf(2, 0, 0, 0)] * 2), "unit quaternions"),
        ("opacities", Vt.FloatArray([0.5, 7.0]), "within 0 and 1"),
        ("radiance:sphericalHarmonicsDegree", 4, "degree"),
        ("radiance:sphericalHarmonicsDegree", None, "degree"),
        ("radiance:sphericalHarmonicsCoefficients", Vt.Vec3fArray([(0, 0, 0)]), "1 coefficients"),
        ("radiance:sphericalHarmonicsCoefficients", Vt.Vec3fArray([(np.inf, 0, 0)] * 8), "not all finite"),
        ("extent", None, "no extent"),
    ],
)  # fmt: skip
def test_incoherent_splats_are_found(name, value, said):
    problems = splat({name: value})
    assert any(said in problem.message and problem.path == "/s" for problem in problems)


def test_splats_in_a_stage_are_checked(tmp_path):
    path = write_stage(tmp_path / "s.usda", f'def {TYPE} "s"\n{{\n}}\n')
    assert [one.message for one in validate(read_stage(path)) if one.kind == "splat"] == [
        "It has no positions."
    ]


def published(tmp_path: Path) -> Path:
    publish_ball(tmp_path, tmp_path / "lib")
    return write_stage(
        tmp_path / "s.usda", f'def Xform "World"\n{{\n{reference_prim("b", "@./lib/ball/ball.usd@")}}}\n'
    )


def test_a_sound_stage_has_no_problems(tmp_path):
    assert not validate(read_stage(published(tmp_path)), deep=True)


def test_tensors_that_were_changed_are_only_found_by_reading_them(tmp_path):
    stage = read_stage(published(tmp_path))
    file = tmp_path / "lib/ball/v001/ball.neuron"
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[read_header(file).tensors["looks.gold.codes"].start] ^= 1
    file.write_bytes(content)
    assert not validate(stage)
    (problem,) = validate(stage, deep=True)
    assert problem.path == "/World/b" and "digest" in problem.message


def test_an_extent_that_does_not_hold_the_density_is_found(tmp_path):
    scene = read_stage(published(tmp_path))
    hint = Vt.Vec3fArray([(-0.3, 0.2, -0.3), (0.3, 0.6, 0.3)])
    scene.stage.GetPrimAtPath("/World/b").GetAttribute("extentsHint").Set(hint)
    (problem,) = validate(scene, deep=True)
    assert problem.path == "/World/b" and "extentsHint holds" in problem.message


def test_the_share_in_a_box_is_that_of_the_mass():
    fog = fog_of(to_tensors(ball(), {}))
    low, high = fog.box()
    assert held_density(fog, fog.box()) == 1.0
    half = np.stack([low, [high[0], 0.3, high[2]]])
    assert held_density(fog, half) == pytest.approx(0.5, abs=0.05)


def test_looks_that_the_file_lacks_are_found_where_they_are_offered(tmp_path):
    path = published(tmp_path)
    scene = read_stage(path)
    prim = scene.stage.GetPrimAtPath("/World/b")
    prim.GetVariantSet("look").AddVariant("chrome")
    (problem,) = validate(scene)
    assert "chrome" in problem.message and problem.fatal
    prim.GetVariantSet("look").SetVariantSelection("velvet")
    assert any("'velvet' is selected" in one.message for one in validate(scene))


def test_encoders_are_checked_by_name_and_weights(tmp_path):
    known = load_encoder().id
    write_ball(tmp_path / "known.neuron", "known", encoder=known)
    write_ball(tmp_path / "changed.neuron", "changed", encoder=EncoderId(known.name, "0" * 64))
    write_ball(tmp_path / "strange.neuron", "strange", encoder=EncoderId("word2vec", "0" * 64))
    for name in ("known", "changed", "strange"):
        publish(Submission(tmp_path / f"{name}.neuron", tmp_path / "lib"))
    body = "".join(
        reference_prim(name, f"@./lib/{name}/{name}.usd@") for name in ("known", "changed", "strange")
    )
    scene = read_stage(write_stage(tmp_path / "s.usda", f'def Xform "World"\n{{\n{body}}}\n'))
    problems = {one.path: one for one in validate(scene, check_encoder=check_encoder)}
    assert set(problems) == {"/World/changed", "/World/strange"}
    assert {one.kind for one in problems.values()} == {PromptError.kind}
    assert not validate(scene)


def test_an_asset_layer_that_was_not_published_is_warned_about(tmp_path):
    write_plain(tmp_path / "plain.neuron")
    path = write_stage(tmp_path / "a.usda", asset_prim("World"))
    problems = [one for one in validate(read_stage(path)) if one.kind == "asset"]
    assert len(problems) == 5 and not any(one.fatal for one in problems)


def test_what_is_wrong_at_one_frame_is_found(tmp_path):
    write_plain(tmp_path / "plain.neuron")
    body = 'token neuron:look.timeSamples = { 1: "cafe", 5: "chrome" }\n'
    scene = read_stage(
        write_stage(tmp_path / "s.usda", f'def Xform "World"\n{{\n{asset_prim("a", body)}\n}}\n')
    )
    assert not validate(scene, times=(None, 1.0))
    (problem,) = validate(scene, times=(1.0, 5.0))
    assert problem.path == "/World/a" and "chrome" in problem.message


def test_each_problem_is_said_once_and_warnings_are_not_fatal(tmp_path):
    write_plain(tmp_path / "plain.neuron")
    text = '#usda 1.0\ndef Xform "World"\n{\n' + asset_prim("a", file="./gone.neuron") + "}\n"
    (tmp_path / "s.usda").write_text(text)
    problems = validate(read_stage(tmp_path / "s.usda"))
    assert len({(one.path, one.message) for one in problems}) == len(problems)
    assert [one.path for one in problems if "gone.neuron" in one.message] == ["/World/a"]
    assert any("upAxis" in one.message for one in problems)


def test_files_that_are_broken_are_named_at_their_prim(tmp_path):
    (tmp_path / "plain.neuron").write_bytes(b"x" * 64)
    path = write_stage(tmp_path / "s.usda", f'def Xform "World"\n{{\n{asset_prim("a")}\n}}\n')
    (problem,) = validate(read_stage(path), deep=True)
    assert (problem.path, problem.kind) == ("/World/a", AssetError.kind)
    assert UsdGeom and schema.NAME


def test_our_checks_are_validators_of_usd_too(tmp_path):
    """Any tool that lets USD validate a stage finds them, and we do not say them twice."""
    from pxr import UsdValidation

    names = validators.register()
    assert names == validators.register() == (validators.ASSETS, validators.SPLATS)
    registry = UsdValidation.ValidationRegistry()
    assert all(registry.HasValidator(name) for name in names)
    sound = read_stage(published(tmp_path))
    body = asset_prim("gone", file="./gone.neuron") + f'def {TYPE} "splats"\n{{\n}}\n'
    body += asset_prim("posed", "float[] neuron:pose = [1]", file="./lib/ball/v001/ball.neuron")
    broken = read_stage(write_stage(tmp_path / "broken.usda", f'def Xform "World"\n{{\n{body}}}\n'))
    context = UsdValidation.ValidationContext([registry.GetOrLoadValidatorByName(name) for name in names])
    assert not context.Validate(sound.stage)
    kinds = UsdValidation.ValidationErrorType
    found = {str(one.GetSites()[0].GetPrim().GetPath()): one for one in context.Validate(broken.stage)}
    assert {path: one.GetType() for path, one in found.items()} == {
        "/World/gone": kinds.Error,
        "/World/splats": kinds.Error,
        "/World/posed": kinds.Warn,
    }
    assert "gone.neuron" in found["/World/gone"].GetMessage()
    ours = [one for one in validate(broken) if one.kind != "usd"]
    assert sorted(one.path for one in ours) == sorted(found)
    assert not [one for one in validate(broken) if one.kind == "usd" and one.path == "/World/posed"]
