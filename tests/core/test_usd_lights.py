"""Lights of a stage: emission, place, size, links, and what is left out."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdLux

from neuron_core.lights.environment import Environment
from neuron_core.lights.studio import latlong_directions
from neuron_core.usd import Problem, SceneError, SceneStage, engine_from_stage, read_stage
from neuron_core.usd.light_records import StageLight
from neuron_core.usd.lights import MOST_LIGHTS, blackbody, irradiance_of_radiance
from tests.core.scene_samples import matrix_op, moved, usd_matrix, write_stage

AREA_LIGHTS = {
    "SphereLight": ("float inputs:radius = 0.2", 4.0 * np.pi * 0.2**2),
    "DiskLight": ("float inputs:radius = 0.2", np.pi * 0.2**2),
    "RectLight": ("float inputs:width = 0.3\nfloat inputs:height = 0.2", 0.06),
    "CylinderLight": ("float inputs:radius = 0.2\nfloat inputs:length = 0.7", 2.0 * np.pi * 0.2 * 0.7),
}
TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])  # a rotation
NORMALIZED = "bool inputs:normalize = 1"


def light(name: str = "key", body: str = "", kind: str = "SphereLight", metadata: str = "") -> str:
    return f'def {kind} "{name}" ({metadata})\n{{\n{body}\n}}\n'


def group(name: str, body: str) -> str:
    return f'def Xform "{name}"\n{{\n{body}\n}}\n'


def placed(linear: np.ndarray, at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> str:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, at
    return matrix_op(matrix)


def lit(folder: Path, body: str, time: float | None = None, **stage: object) -> tuple[StageLight, ...]:
    """The lights of a stage of text, which have nothing wrong with them."""
    lights, problems = read(folder, body, time, **stage)
    assert not problems
    return lights


def read(
    folder: Path, body: str, time: float | None = None, **stage: object
) -> tuple[tuple[StageLight, ...], list[Problem]]:
    problems: list[Problem] = []
    return opened(folder, body, **stage).lights(time, problems), problems


def opened(folder: Path, body: str, **stage: object) -> SceneStage:
    return read_stage(write_stage(folder / "s.usda", body, **stage))  # type: ignore[arg-type]


def close(first: StageLight, second: StageLight) -> None:
    """Assert that two lights are the same but for their names."""
    np.testing.assert_allclose(first.world_from_light, second.world_from_light, atol=1e-9)
    for name in ("emission", "radius", "width", "height", "length", "angle", "diffuse", "specular"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-6, err_msg=name)
    for name in ("kind", "thin", "texture", "casts_shadows", "shaping"):
        assert getattr(first, name) == getattr(second, name)


def area_of(one: StageLight) -> float:
    """Square meters of the world, from the record alone."""
    return {
        "sphere": 4.0 * np.pi * one.radius**2,
        "disk": np.pi * one.radius**2,
        "rect": one.width * one.height,
        "cylinder": 2.0 * np.pi * one.radius * one.length,
    }[one.kind]


# --- emission ---


@pytest.mark.parametrize("kind", ["DomeLight", "DomeLight_1", "DistantLight", *AREA_LIGHTS])
def test_intensity_exposure_and_color_multiply(tmp_path, kind):
    body = "float inputs:intensity = {}\nfloat inputs:exposure = {}\ncolor3f inputs:color = {}"
    values = [(1, 0, "(1, 1, 1)"), (3, 0, "(1, 1, 1)"), (3, 1, "(1, 1, 1)"), (3, 1, "(0.5, 2, 0)")]
    text = "".join(light(f"l{n}", body.format(*each), kind) for n, each in enumerate(values))
    base, scaled, stopped, colored = (np.array(one.emission) for one in lit(tmp_path, text))
    np.testing.assert_allclose(scaled, 3.0 * base)
    np.testing.assert_allclose(stopped, 2.0 * scaled)
    np.testing.assert_allclose(colored, stopped * [0.5, 2.0, 0.0])


@pytest.mark.parametrize("kind", ["DomeLight", *AREA_LIGHTS])
def test_intensity_is_the_radiance_of_what_has_an_area(tmp_path, kind):
    assert lit(tmp_path, light("key", "float inputs:intensity = 7", kind))[0].emission == (7.0, 7.0, 7.0)


def test_a_stage_has_the_lights_of_its_halves(tmp_path):
    first, second = light("a", moved(1)), light("b", "float inputs:radius = 2", "DiskLight")
    both = lit(tmp_path, first + second)
    for one, alone in zip(both, (first, second), strict=True):
        close(one, lit(tmp_path, alone)[0])


@pytest.mark.parametrize("kind", AREA_LIGHTS)
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_normalized_light_keeps_its_power_at_every_size(tmp_path, kind, scale):
    size, area = AREA_LIGHTS[kind]
    body = f"{size}\n{NORMALIZED}\nfloat inputs:intensity = 5\n{placed(scale * TURN)}"
    (one,) = lit(tmp_path, light("key", body, kind))
    np.testing.assert_allclose(area_of(one), area * scale**2, rtol=1e-6)
    np.testing.assert_allclose(np.array(one.emission) * area_of(one), 5.0, rtol=1e-6)


def test_a_normalized_rect_keeps_its_power_under_shear(tmp_path):
    shear = np.array([[1.0, 0.7, 0], [0, 2.0, 0], [0, 0, 1]])
    plain, sheared = (
        lit(tmp_path, light("key", f"{NORMALIZED}\n{placed(linear)}", "RectLight"))[0]
        for linear in (np.eye(3), shear)
    )
    np.testing.assert_allclose(np.array(plain.emission) / 2.0, sheared.emission)  # det of X and Y is 2


def test_the_irradiance_of_a_distant_light_is_the_integral_of_its_disk():
    for angle in (0.53, 40.0, 180.0, 300.0):
        theta = np.linspace(0.0, np.radians(angle) / 2.0, 20_001)
        integral = 2.0 * np.pi * np.trapezoid(np.abs(np.cos(theta)) * np.sin(theta), theta)
        np.testing.assert_allclose(irradiance_of_radiance(angle), integral, rtol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.53, 10.0])
def test_the_intensity_of_a_normalized_distant_light_is_its_irradiance(tmp_path, angle):
    body = f"float inputs:angle = {angle}\nfloat inputs:intensity = 4\n"
    text = light("a", body + NORMALIZED, "DistantLight") + light("b", body, "DistantLight")
    normalized, plain = lit(tmp_path, text)
    np.testing.assert_allclose(normalized.emission, 4.0)
    np.testing.assert_allclose(plain.emission, 4.0 * irradiance_of_radiance(angle), rtol=1e-6)


def test_a_distant_light_has_the_fallbacks_of_usd(tmp_path):
    (one,) = lit(tmp_path, light("sun", kind="DistantLight"))
    assert one.angle == pytest.approx(0.53)
    np.testing.assert_allclose(one.emission, 50000.0 * irradiance_of_radiance(0.53), rtol=1e-6)


def test_a_normalized_point_needs_no_radius(tmp_path):
    body = f"float inputs:radius = 0\nbool treatAsPoint = 1\nfloat inputs:intensity = 5\n{NORMALIZED}"
    (one,) = lit(tmp_path, light("key", body))
    assert one.thin
    np.testing.assert_allclose(np.array(one.emission) * area_of(one), 5.0)


def test_color_temperature_counts_where_it_is_enabled(tmp_path):
    body = "float inputs:colorTemperature = 3000\ncolor3f inputs:color = (0.5, 1, 2)\n"
    off, on = lit(tmp_path, light("off", body) + light("on", f"{body}bool inputs:enableColorTemperature = 1"))
    assert off.emission == (0.5, 1.0, 2.0)
    np.testing.assert_allclose(on.emission, np.array(off.emission) * blackbody(3000.0))


def test_6500_kelvin_are_about_white_and_less_is_warmer():
    luminance = np.array([0.2126, 0.7152, 0.0722])
    assert np.abs(blackbody(6500.0) - 1.0).max() < 0.05
    ratios = []
    for kelvin in np.linspace(1000.0, 10000.0, 19):
        color = blackbody(float(kelvin))
        np.testing.assert_allclose(color @ luminance, 1.0, rtol=1e-3)
        ratios.append(color[0] - color[2])
    assert (np.diff(ratios) < 0.0).all()
    for beyond, end in ((-5.0, 1000.0), (1e30, 10000.0)):
        np.testing.assert_array_equal(blackbody(beyond), blackbody(end))


# --- place and size ---


def test_a_moved_parent_moves_the_light_as_the_product_of_matrices(tmp_path):
    child = light("key", placed(TURN, (1.0, 2.0, 3.0)))
    body = f"{group('a', placed(TURN.T, (4.0, 5.0, 6.0)) + child)}{child.replace('key', 'alone')}"
    moved_light, alone = lit(tmp_path, body)
    parent = np.eye(4)
    parent[:3, :3], parent[:3, 3] = TURN.T, (4.0, 5.0, 6.0)
    np.testing.assert_allclose(moved_light.world_from_light, parent @ alone.world_from_light, atol=1e-12)


@pytest.mark.parametrize("kind", ["DomeLight", "DistantLight", *AREA_LIGHTS])
@pytest.mark.parametrize(("unit", "up"), [(0.01, "Y"), (1.0, "Z"), (0.01, "Z")])
def test_units_and_axes_of_a_stage_do_not_change_its_light(tmp_path, kind, unit, up):
    size, _ = AREA_LIGHTS.get(kind, ("", 0.0))
    body = light("key", f"{size}\n{placed(3.0 * TURN, (1.0, 2.0, 3.0))}", kind)
    (own,) = lit(tmp_path, body, unit=unit, up=up)
    converted = lit(tmp_path, group("converted", matrix_op(engine_from_stage(unit, up)) + body))
    close(own, converted[0])


def test_normalize_divides_by_the_area_in_units_of_the_stage(tmp_path):
    body = light("key", f"float inputs:radius = 20\n{NORMALIZED}")
    meters, centimeters = (lit(tmp_path, body, unit=unit)[0] for unit in (1.0, 0.01))
    assert meters.emission == pytest.approx(centimeters.emission)
    assert meters.radius == pytest.approx(100.0 * centimeters.radius)


@pytest.mark.parametrize("kind", ["RectLight", "DiskLight"])
def test_a_flat_light_keeps_its_shape_under_uneven_scale_and_shear(tmp_path, kind):
    size, _ = AREA_LIGHTS[kind]
    linear = TURN @ np.array([[2.0, 0.5, 0.3], [0, 0.7, 0.1], [0, 0, -3.0]])
    (one,) = lit(tmp_path, light("key", f"{size}\n{placed(linear)}", kind))
    points = np.array([[0.3, 0, 0], [0, 0.2, 0]]) / 2 if kind == "RectLight" else 0.2 * np.eye(3)[:2]
    sizes = np.diag([one.width, one.height]) / 2 if kind == "RectLight" else one.radius * np.eye(2)
    axes = one.world_from_light[:3, :3]
    np.testing.assert_allclose(axes[:, :2] @ sizes, linear @ points.T, rtol=1e-6)
    normal = np.linalg.inv(linear).T[:, 2]
    np.testing.assert_allclose(axes[:, 2], normal / np.linalg.norm(normal), atol=1e-9)


def test_a_cylinder_may_be_stretched_along_its_axis(tmp_path):
    body = f"float inputs:radius = 0.2\nfloat inputs:length = 0.7\n{placed(TURN @ np.diag([3.0, 2.0, 2.0]))}"
    (one,) = lit(tmp_path, light("key", body, "CylinderLight"))
    assert (one.radius, one.length) == pytest.approx((0.4, 2.1))
    np.testing.assert_allclose(one.world_from_light[:3, :3], TURN, atol=1e-9)


@pytest.mark.parametrize("kind", ["SphereLight", "CylinderLight", "DomeLight"])
def test_an_uneven_scale_that_cannot_be_kept_is_reported(tmp_path, kind):
    lights, problems = read(tmp_path, light("key", placed(np.diag([1.0, 2.0, 4.0])), kind))
    assert [one.path for one in lights] == ["/key"]
    assert "uneven" in problems[0].message
    assert not problems[0].fatal


def test_an_unevenly_scaled_sphere_keeps_its_volume(tmp_path):
    ((one,), _) = read(tmp_path, light("key", placed(TURN @ np.diag([1.0, 2.0, 4.0]))))
    assert one.radius == pytest.approx(0.5 * 2.0)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_a_distant_light_shines_along_the_transformed_z(tmp_path, mirror):
    linear = np.array([[mirror, 0.2, 0.9], [0.1 * mirror, 3.0, 0.4], [0.0, -0.5, 0.2]])
    (one,) = lit(tmp_path, light("sun", placed(linear), "DistantLight"))
    axes = one.world_from_light[:3, :3]
    np.testing.assert_allclose(axes[:, 2], linear[:, 2] / np.linalg.norm(linear[:, 2]), rtol=1e-9)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.sign(np.linalg.det(axes)) == np.sign(np.linalg.det(linear))


def test_a_dome_turned_about_y_is_its_map_rotated(tmp_path):
    order = 'uniform token[] xformOpOrder = ["xformOp:rotateY"]'
    (dome,) = lit(tmp_path, light("sky", f"double xformOp:rotateY = 30\n{order}", "DomeLight"))
    image = np.random.default_rng(0).random((16, 32, 3)).astype(np.float32)
    directions = latlong_directions(32, 16)
    own = directions @ dome.world_from_light[:3, :3]  # in the frame of the map
    np.testing.assert_allclose(
        Environment("turned", image, rotation=30.0).radiance(directions),
        Environment("plain", image).radiance(own),
        atol=1e-6,
    )


@pytest.mark.parametrize(("pole", "up"), [("scene", "Y"), ("scene", "Z"), ("Y", "Y"), ("Z", "Z")])
def test_a_dome_with_its_pole_up_needs_no_turn(tmp_path, pole, up):
    (dome,) = lit(tmp_path, light("sky", f'uniform token poleAxis = "{pole}"', "DomeLight_1"), up=up)
    np.testing.assert_allclose(dome.world_from_light, np.eye(4), atol=1e-12)


def test_a_pole_along_z_turns_the_dome_and_not_its_children(tmp_path):
    body = f'uniform token poleAxis = "Z"\n{placed(TURN)}\n{light("lamp")}'
    dome, lamp = lit(tmp_path, light("sky", body, "DomeLight_1"))
    top, middle = dome.world_from_light[:3, 1], dome.world_from_light[:3, 2]
    np.testing.assert_allclose(top, TURN[:, 2], atol=1e-9)
    np.testing.assert_allclose(middle, -TURN[:, 1], atol=1e-9)
    np.testing.assert_allclose(lamp.world_from_light[:3, :3], TURN, atol=1e-9)


def test_samples_of_time_are_interpolated(tmp_path):
    samples = "float inputs:intensity.timeSamples = {1: 2, 3: 6}\n"
    move = "double3 xformOp:translate.timeSamples = {1: (0, 0, 0), 3: (4, 0, 0)}\n"
    body = light("key", samples + move + 'uniform token[] xformOpOrder = ["xformOp:translate"]')
    for time, share in ((1.0, 0.0), (2.0, 0.5), (2.5, 0.75), (9.0, 1.0)):
        (one,) = lit(tmp_path, body, time)
        assert one.emission[0] == pytest.approx(2.0 + 4.0 * share)
        assert one.world_from_light[0, 3] == pytest.approx(4.0 * share)


# --- links ---

LINKED = 'prepend apiSchemas = ["CollectionAPI:lightLink", "CollectionAPI:shadowLink"]'


def test_an_excluded_prim_and_what_is_below_it_are_not_lit(tmp_path):
    body = (
        "rel collection:lightLink:excludes = [</World/a>]\nrel collection:lightLink:includes = [</World/a/b>]"
    )
    (one,) = lit(tmp_path, light("key", body, metadata=LINKED))
    lit_paths = {path for path in PATHS if one.lights(path)}
    assert set(PATHS) - lit_paths == {"/World/a", "/World/a/x", "/World/a[3]"}
    assert all(one.shadows(path) for path in PATHS)


PATHS = ("/World", "/World/a", "/World/a/x", "/World/a[3]", "/World/a/b", "/World/a/b/c", "/World/ab", "/key")


def test_a_light_of_some_prims_lights_those_alone(tmp_path):
    body = "uniform bool collection:{0}:includeRoot = 0\nrel collection:{0}:includes = [</World/a>, </gone>]"
    lights = lit(tmp_path, light("l", body.format("lightLink")) + light("s", body.format("shadowLink")))
    inside = {path for path in PATHS if path.startswith("/World/a") and path != "/World/ab"}
    assert {path for path in PATHS if lights[0].lights(path)} == inside
    assert {path for path in PATHS if lights[1].shadows(path)} == inside
    assert all(lights[1].lights(path) and lights[0].shadows(path) for path in PATHS)


def test_a_link_may_be_an_expression(tmp_path):
    body = 'uniform pathExpression collection:lightLink:membershipExpression = "/World/a//"\n'
    text = light("key", body + "uniform bool collection:lightLink:includeRoot = 0")
    (one,) = lit(tmp_path, text + group("World", group("a", group("x", "")) + group("ab", "")))
    assert one.lights("/World/a/x")
    assert not one.lights("/World/ab")


def test_an_unlinked_light_is_an_absent_one(tmp_path):
    nothing = "uniform bool collection:lightLink:includeRoot = 0"
    both = lit(tmp_path, light("key") + light("fill", nothing, "DomeLight"))
    for path in PATHS:
        assert [one.path for one in both if one.lights(path)] == ["/key"]


def test_shadows_can_be_turned_off(tmp_path):
    (one,) = lit(
        tmp_path, light("key", "bool inputs:shadow:enable = 0", metadata='apiSchemas = ["ShadowAPI"]')
    )
    assert not any(one.shadows(path) for path in PATHS)
    assert all(one.lights(path) for path in PATHS)


def test_links_of_an_instanced_light_follow_the_instance(tmp_path):
    lamp = light("key", "rel collection:lightLink:excludes = [</proto/ball>]") + 'def Sphere "ball" {}\n'
    text = f'class Xform "proto"\n{{\n{lamp}\n}}\n'
    text += 'def Xform "one" (\ninstanceable = true\nprepend references = </proto>\n)\n{\n}\n'
    (one,) = lit(tmp_path, text)
    assert one.path == "/one/key"
    assert not one.lights("/one/ball")
    assert one.lights("/two/ball")


# --- what counts as a light ---


@pytest.mark.parametrize(
    "text",
    [
        light("key", 'token visibility = "invisible"'),
        group("a", 'token visibility = "invisible"\n' + light()),
        light("key", 'uniform token purpose = "guide"'),
        light("key", metadata="active = false"),
        f'class Xform "a"\n{{\n{light()}\n}}\n',
        light("key", "float inputs:intensity = 0"),
        light("key", "color3f inputs:color = (0, 0, 0)"),
        light("key", "float inputs:radius = 0"),
        light("key", placed(np.zeros((3, 3)))),
        light("key", placed(np.diag([0.0, 1.0, 1.0])), "RectLight"),
        'over "key"\n{\n}\n',
    ],
)
def test_what_does_not_shine_is_left_out(tmp_path, text):
    assert [one.path for one in lit(tmp_path, text + light("other"))] == ["/other"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (light("x", kind="PortalLight"), "PortalLight"),
        (light("x", kind="GeometryLight"), "GeometryLight"),
        (light("x", kind="PluginLight"), "PluginLight"),
        (light("x", kind="Mesh", metadata='apiSchemas = ["MeshLightAPI"]'), "Mesh"),
        (light("x", kind="PxrBarn", metadata='apiSchemas = ["LightAPI"]'), "PxrBarn"),
        (light("x", "float inputs:intensity = -1"), "negative"),
        (light("x", "float inputs:radius = -1"), "radius is negative"),
        (light("x", "asset inputs:texture:file = @./gone.exr@", "DomeLight"), "./gone.exr"),
        (light("x", "asset inputs:texture:file = @./gone.exr@", "RectLight"), "./gone.exr"),
        (light("x", placed(np.diag([0.0, 1.0, 1.0]))), "singular"),
        (light("x", placed(1e30 * np.eye(3))), "scaled by 1e+30"),
    ],
)
def test_a_light_that_cannot_be_read_is_named_and_the_others_shine(tmp_path, text, words):
    lights, problems = read(tmp_path, text + light("other"))
    assert [one.path for one in lights] == ["/other"]
    assert [(one.path, one.fatal) for one in problems] == [("/x", True)]
    assert words in problems[0].message
    assert problems[0].hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("asset inputs:shaping:ies:file = @./spot.ies@", "spot.ies"),
        ("rel light:filters = [</filter>]", "light filters"),
        ("color3f inputs:color.connect = </ramp.outputs:out>", "inputs:color"),
    ],
)
def test_a_light_shines_without_what_is_not_read_of_it(tmp_path, body, words):
    lights, problems = read(tmp_path, light("key", body))
    assert len(lights) == 1
    assert words in problems[0].message
    assert not problems[0].fatal


@pytest.mark.parametrize("form", ["automatic", "latlong", "angular", "mirroredBall"])
def test_textures_of_domes_are_latitude_longitude(tmp_path, form):
    (tmp_path / "sky.exr").write_bytes(b"")
    body = f'asset inputs:texture:file = @./sky.exr@\ntoken inputs:texture:format = "{form}"'
    lights, problems = read(tmp_path, light("sky", body, "DomeLight"))
    if form in ("automatic", "latlong"):
        assert lights[0].texture == tmp_path / "sky.exr"
        assert not problems
    else:
        assert not lights
        assert form in problems[0].message


def test_textures_outside_a_library_are_refused(tmp_path):
    (tmp_path / "sky.exr").write_bytes(b"")
    stage = opened(tmp_path, light("sky", "asset inputs:texture:file = @./sky.exr@", "DomeLight"))
    problems: list[Problem] = []
    assert not SceneStage(stage.stage, stage.path, tmp_path / "library").lights(None, problems)
    assert "outside the library" in problems[0].message
    assert len(SceneStage(stage.stage, stage.path, tmp_path).lights()) == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("inputs:intensity", "float inputs:intensity = nan"),
        ("inputs:exposure", "float inputs:exposure = 1e30"),
        ("inputs:color", "color3f inputs:color = (1, inf, 1)"),
        ("inputs:radius", "float inputs:radius = inf"),
        ("inputs:diffuse", "float inputs:diffuse = nan"),
        (
            "inputs:colorTemperature",
            "bool inputs:enableColorTemperature = 1\nfloat inputs:colorTemperature = nan",
        ),
        ("inputs:intensity", 'string inputs:intensity = "3"'),
        ("inputs:color", 'string inputs:color = "red"'),
        ("inputs:color", "float2 inputs:color = (1, 1)"),
        (
            "inputs:normalize",
            f"{NORMALIZED}\nfloat inputs:radius = 1e-38\nfloat inputs:intensity = 1e38\n"
            "float inputs:exposure = 800",
        ),
        ("xformOp", moved("nan")),
    ],
)
def test_what_is_not_finite_is_an_error_that_names_prim_and_attribute(tmp_path, name, body):
    with pytest.raises(SceneError) as caught:
        opened(tmp_path, light("key", body)).lights()
    assert name in caught.value.message
    assert "/key" in caught.value.message


def test_shaping_is_read_and_absent_without_the_schema(tmp_path):
    body = "float inputs:shaping:focus = 2\nfloat inputs:shaping:cone:angle = 40\n"
    applied = 'apiSchemas = ["ShapingAPI"]'
    softness = "float inputs:shaping:cone:softness = 0.25"
    shaped, fallback, plain = lit(
        tmp_path,
        light("a", body + softness, metadata=applied) + light("b", metadata=applied) + light("c"),
    )
    assert (shaped.shaping.focus, shaped.shaping.cone_angle, shaped.shaping.cone_softness) == (
        2.0,
        40.0,
        0.25,
    )
    assert fallback.shaping.cone_angle == 90.0
    assert plain.shaping.cone_angle == 180.0


def test_multipliers_of_diffuse_and_specular_are_read(tmp_path):
    (one,) = lit(tmp_path, light("key", "float inputs:diffuse = 0.5\nfloat inputs:specular = 0"))
    assert (one.diffuse, one.specular) == (0.5, 0.0)


# --- many ---


def instanced(count: int, intensity: float = 1.0) -> tuple[SceneStage, np.ndarray]:
    """A stage of one lamp at the places [N,3] of a point instancer."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    instancer = UsdGeom.PointInstancer.Define(stage, "/many")
    lamp = UsdLux.SphereLight.Define(stage, "/many/lamp")
    lamp.CreateIntensityAttr(intensity)
    UsdGeom.XformCommonAPI(lamp).SetTranslate((0, 0, 1))
    places = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
    instancer.CreatePositionsAttr([Gf.Vec3f(*map(float, place)) for place in places])
    instancer.CreateProtoIndicesAttr([0] * count)
    instancer.CreatePrototypesRel().AddTarget("/many/lamp")
    return SceneStage(stage, Path("memory.usda")), places


def test_a_point_instancer_repeats_its_lights():
    stage, places = instanced(3)
    lights = stage.lights()
    assert [one.path for one in lights] == ["/many[0]", "/many[1]", "/many[2]"]
    found = np.array([one.world_from_light[:3, 3] for one in lights])
    np.testing.assert_allclose(found, places + [0.0, 0.0, 1.0], atol=1e-6)


def test_what_is_wrong_with_a_repeated_light_is_said_once():
    problems: list[Problem] = []
    assert not instanced(3, intensity=-1.0)[0].lights(None, problems)
    assert [one.path for one in problems] == ["/many/lamp"]


def test_too_many_lights_are_one_clear_error():
    assert len(instanced(100)[0].lights()) == 100
    with pytest.raises(SceneError, match=f"more than {MOST_LIGHTS:,} lights; /many/lamp"):
        instanced(MOST_LIGHTS + 1)[0].lights()


def test_places_are_those_that_usd_computes(tmp_path):
    body = group("a", placed(2.0 * TURN, (1.0, 0.0, 5.0)) + light("key", moved(3, 4, 5)))
    stage = opened(tmp_path, body)
    (one,) = stage.lights()
    matrix = usd_matrix(stage.stage, "/a/key", Usd.TimeCode.Default())
    size = np.diag([2.0, 2.0, 2.0, 1.0])
    np.testing.assert_allclose(one.world_from_light @ size, matrix, atol=1e-9)
    assert one.radius == pytest.approx(1.0)
