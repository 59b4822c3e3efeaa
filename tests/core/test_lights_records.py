"""Records of lights: strict, and the same after a round trip."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.images.exr import write_exr
from neuron_core.lights.environment import environment_of
from neuron_core.lights.errors import LightError
from neuron_core.lights.records import AnalyticLight, LightRecord, read_lights, write_lights
from neuron_core.lights.studio import studio_environment

LIGHTS = (
    LightRecord("studio", "latlong", file="studio"),
    LightRecord("sunset", "latlong", "test", "lights/sunset.exr", rotation=-45.0, exposure=1.5),
    LightRecord("even", "uniform", color=(0.2, 0.4, 0.6)),
    LightRecord(
        "rig",
        "rig",
        lights=(
            AnalyticLight("distant", angle=0.53, intensity=3.0),
            AnalyticLight("sphere", radius=0.1, normalize=True),
            AnalyticLight("disk", radius=0.2),
            AnalyticLight("rect", width=1.0, height=2.0, color=(1.0, 0.5, 0.2)),
            AnalyticLight("cylinder", radius=0.05, length=1.0),
        ),
    ),
)


def test_records_survive_their_file(tmp_path):
    write_lights(tmp_path / "lights.json", LIGHTS)
    assert read_lights(tmp_path / "lights.json") == LIGHTS


def changed(folder: Path, change) -> Path:
    path = folder / "lights.json"
    write_lights(path, LIGHTS)
    content = json.loads(path.read_text())
    change(content["lights"])
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lights: lights.clear(), r"lights has 0 entries"),
        (lambda lights: lights[0].update(name="../a"), r"lights\[0\].name is '../a', not a name"),
        (lambda lights: lights[1].update(exposure=1e9), r"lights\[1\].exposure is .*, not between"),
        (lambda lights: lights[1].update(rotation="left"), r"lights\[1\].rotation is 'left', not a number"),
        (lambda lights: lights[2].update(color=[0, -1, 0]), r"lights\[2\].color is .* negative"),
        (lambda lights: lights[2].update(gobo=1), r"lights\[2\] has the unknown field 'gobo'"),
        (lambda lights: lights[2].update(file="a.exr"), r"lights\[2\]: the uniform light even has the file"),
        (lambda lights: lights[3].update(kind="latlong"), "the latlong light rig has no file"),
        (lambda lights: lights[3].update(lights=[]), "the rig light rig has no lights"),
        (lambda lights: lights[0].update(lights=lights[3]["lights"]), "studio has analytic lights"),
        (
            lambda lights: lights[3]["lights"][0].update(kind="spot"),
            r"lights\[3\].lights\[0\].kind is 'spot'",
        ),
        (lambda lights: lights[3]["lights"][0].update(radius=1), "a distant light has no radius"),
        (
            lambda lights: lights[3]["lights"][0].update(world_from_light=[[1]]),
            "world_from_light is a list of 1",
        ),
    ],
)
def test_a_damaged_record_names_file_and_field(tmp_path, change, message):
    with pytest.raises(LightError, match=message) as caught:
        read_lights(changed(tmp_path, change))
    assert "lights.json" in caught.value.message


def test_the_environment_of_a_record_is_its_map_as_it_is_placed(tmp_path):
    image = np.random.default_rng(0).random((4, 8, 3)).astype(np.float32)
    write_exr(tmp_path / "lights" / "sunset.exr", {name: image[..., i] for i, name in enumerate("RGB")})
    found = environment_of(LIGHTS[1], tmp_path)
    assert found is not None and (found.rotation, found.exposure) == (-45.0, 1.5)
    np.testing.assert_array_equal(found.image, image)
    studio = environment_of(LIGHTS[0], tmp_path)
    assert studio is not None
    np.testing.assert_array_equal(studio.image, studio_environment())


def test_uniform_light_is_the_same_from_everywhere(tmp_path):
    even = environment_of(replace(LIGHTS[2], exposure=1.0), tmp_path)
    assert even is not None
    directions = np.array([[0.0, 1.0, 0.0], [0.6, 0.0, -0.8], [0.0, -1.0, 0.0]])
    np.testing.assert_allclose(even.radiance(directions), [[0.4, 0.8, 1.2]] * 3, rtol=1e-6)


def test_a_rig_has_a_map_only_if_it_names_one(tmp_path):
    assert environment_of(LIGHTS[3], tmp_path) is None
    assert environment_of(replace(LIGHTS[3], file="studio:3"), tmp_path) is not None
