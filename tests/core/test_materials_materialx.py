"""MaterialX files: what they say arrives, what cannot be followed is named, tricks are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.materials import Material, MaterialError, materialx, principled
from neuron_core.materials.materialx import read_materialx
from neuron_core.materials.openpbr import INPUTS


def document(body: str, attributes: str = "") -> str:
    return f'<?xml version="1.0"?>\n<materialx version="1.39" {attributes}>{body}</materialx>'


def surface(inputs: str, kind: str = "open_pbr_surface", name: str = "thing", attributes: str = "") -> str:
    return (
        f'<{kind} name="s" type="surfaceshader" {attributes}>{inputs}</{kind}>'
        f'<surfacematerial name="{name}" type="material">'
        '<input name="surfaceshader" type="surfaceshader" nodename="s"/></surfacematerial>'
    )


def value(name: str, text: str, kind: str = "float", more: str = "") -> str:
    return f'<input name="{name}" type="{kind}" value="{text}" {more}/>'


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes) -> materialx.MaterialXContent:
        path = tmp_path / "file.mtlx"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_materialx(path)

    return read_text


def only(found: materialx.MaterialXContent) -> Material:
    (material,) = found.materials
    return material


def test_openpbr_values_arrive_by_their_names(read):
    inputs = (
        value("base_color", "0.1, 0.2,0.3", "color3")
        + value("base_metalness", "1", "integer")
        + value("specular_roughness", "2.5e-1")
        + value("geometry_thin_walled", "true", "boolean")
    )
    found = read(document(surface(inputs, name="blue_thing")))
    assert only(found).name == "blue-thing"
    assert dict(only(found).parameters) == {
        "base_color": (0.1, 0.2, 0.3),
        "base_metalness": 1.0,
        "specular_roughness": 0.25,
        "geometry_thin_walled": 1.0,
    }
    assert found.notes == ()


def test_an_empty_openpbr_surface_is_the_default(read):
    assert only(read(document(surface("")))).parameters == {}


def test_an_empty_standard_surface_keeps_its_own_defaults(read):
    plain = only(read(document(surface("", "standard_surface"))))
    assert dict(plain.parameters) == {"specular_roughness": 0.2}
    older = only(read(document(surface("", "standard_surface", attributes='version="1.0.0"'))))
    assert older.value("base_weight") == 0.8 and older.value("base_color") == (1.0, 1.0, 1.0)


def test_standard_surface_is_translated(read):
    inputs = (
        value("base", "0.5")
        + value("metalness", "0.25")
        + value("specular_IOR", "1.7")
        + value("coat", "1")
        + value("sheen", "0.5")
        + value("sheen_color", "0, 1, 0", "color3")
        + value("thin_film_thickness", "400")
        + value("emission", "2")
        + value("opacity", "0.5, 0.5, 0.5", "color3")
        + value("subsurface", "1")
        + value("subsurface_radius", "4, 2, 1", "color3")
        + value("subsurface_scale", "0.1")
        + value("transmission", "1")
        + value("transmission_dispersion", "30")
    )
    values = only(read(document(surface(inputs, "standard_surface")))).parameters
    expected = {
        "base_weight": 0.5,
        "base_metalness": 0.25,
        "specular_ior": 1.7,
        "coat_weight": 1.0,
        "coat_roughness": 0.1,
        "coat_ior": 1.5,
        "coat_darkening": 0.0,
        "fuzz_weight": 0.5,
        "fuzz_color": (0.0, 1.0, 0.0),
        "fuzz_roughness": 0.3**0.4,
        "thin_film_weight": 1.0,
        "thin_film_thickness": 0.4,
        "emission_luminance": 2.0,
        "geometry_opacity": 0.5,
        "subsurface_weight": 1.0,
        "subsurface_radius": 0.4,
        "subsurface_radius_scale": (1.0, 0.5, 0.25),
        "transmission_dispersion_scale": 1.0,
        "transmission_dispersion_abbe_number": 30.0,
    }
    for name, wanted in expected.items():
        assert values.get(name, INPUTS[name].default) == pytest.approx(wanted), name


def test_bubblegum_is_read_and_not_supported(read):
    inputs = value("subsurface", "1") + value("subsurface_color", "1, 0.22, 0.493", "color3")
    result = principled(only(read(document(surface(inputs, "standard_surface", "bubblegum")))))
    assert not result.supported
    assert "subsurface_weight" in result.dropped and "subsurface_color" in result.dropped


# ---- colors


@pytest.mark.parametrize("where", ["input", "surface", "root"])
def test_a_color_space_is_inherited_from_the_nearest_element(read, where):
    order = {"input": 0, "surface": 1, "root": 2}
    spaces = {
        at: f'colorspace="{"srgb_texture" if at == where else "lin_rec709"}"'
        if order[at] >= order[where]
        else ""
        for at in order
    }
    text = document(
        surface(value("base_color", "0.5, 0, 1", "color3", spaces["input"]), attributes=spaces["surface"]),
        spaces["root"],
    )
    assert only(read(text)).value("base_color") == pytest.approx((0.2140411, 0.0, 1.0), abs=1e-6)


def test_white_is_white_in_every_color_space(read):
    for space in materialx._COLOR_SPACES:
        text = document(surface(value("base_color", "1, 1, 1", "color3", f'colorspace="{space}"')))
        assert only(read(text)).value("base_color") == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)


def test_acescg_primaries_are_clipped_with_a_note_and_soft_colors_are_not(read):
    red = read(document(surface(value("base_color", "1, 0, 0", "color3")), 'colorspace="acescg"'))
    assert only(red).value("base_color") == (1.0, 0.0, 0.0)
    assert red.notes == ("thing: base_color lies outside Rec.709 and was clipped.",)
    soft = read(document(surface(value("base_color", "0.4, 0.3, 0.2", "color3")), 'colorspace="lin_ap1"'))
    expected = materialx._REC709_FROM_AP1 @ np.array([0.4, 0.3, 0.2])
    assert only(soft).value("base_color") == pytest.approx(tuple(expected.tolist()))
    assert soft.notes == ()


def test_numbers_have_no_color_space(read):
    text = document(surface(value("specular_roughness", "0.5")), 'colorspace="srgb_texture"')
    assert only(read(text)).value("specular_roughness") == 0.5


# ---- connections


def connected(name: str, kind: str, link: str) -> str:
    return f'<input name="{name}" type="{kind}" {link}/>'


def test_constants_are_followed_through_nodes_graphs_and_interfaces(read):
    graph = (
        '<nodegraph name="NG">'
        + value("tint", "0.1, 0.2, 0.3", "color3")
        + '<input name="rough" type="float" nodename="outside"/>'
        + '<constant name="c" type="color3">'
        + '<input name="value" type="color3" interfacename="tint"/></constant>'
        + '<dot name="d" type="float"><input name="in" type="float" interfacename="rough"/></dot>'
        + '<output name="color" type="color3" nodename="c"/><output name="r" type="float" nodename="d"/>'
        + "</nodegraph>"
        + '<constant name="outside" type="float"><input name="value" type="float" value="0.7"/></constant>'
    )
    inputs = connected("base_color", "color3", 'nodegraph="NG" output="color"') + connected(
        "specular_roughness", "float", 'nodegraph="NG" output="r"'
    )
    found = read(document(graph + surface(inputs)))
    assert dict(only(found).parameters) == {"base_color": (0.1, 0.2, 0.3), "specular_roughness": 0.7}
    assert found.notes == ()


def test_what_is_not_followed_keeps_its_default_and_is_named(read):
    graph = (
        '<nodegraph name="NG_marble"><marble name="m" type="color3"/>'
        '<output name="out" type="color3" nodename="m"/></nodegraph>'
        '<image name="map" type="float"><input name="file" type="filename" value="r.exr"/></image>'
    )
    inputs = connected("base_color", "color3", 'nodegraph="NG_marble" output="out"') + connected(
        "specular_roughness", "float", 'nodename="map"'
    )
    found = read(document(graph + surface(inputs, name="gold")))
    assert only(found).parameters == {}
    assert found.notes == (
        "gold: base_color comes from node graph NG_marble, which is not followed; its default is used.",
        "gold: specular_roughness comes from node map, which is not followed; its default is used.",
    )


def test_normals_unknown_inputs_and_inputs_without_counterpart_are_named(read):
    inputs = (
        connected("normal", "vector3", 'nodename="n"')
        + value("glitter", "1")
        + value("coat_affect_roughness", "1")
    )
    notes = read(document(surface(inputs + value("coat", "1"), "standard_surface"))).notes
    assert len(notes) == 3
    for name in ("normal", "glitter", "coat_affect_roughness"):
        assert sum(f"thing: {name} " in note for note in notes) == 1


def test_circles_end(read):
    nodes = "".join(
        f'<dot name="{one}" type="float"><input name="in" type="float" nodename="{other}"/></dot>'
        for one, other in (("a", "b"), ("b", "a"))
    )
    with pytest.raises(MaterialError, match="circles"):
        read(document(nodes + surface(connected("base_metalness", "float", 'nodename="a"'))))


# ---- what is wrong is named

WRONG = {
    "malformed": (surface(value("base_metalness", "half")), ["base_metalness", "half"]),
    "nan": (surface(value("base_metalness", "nan")), ["base_metalness", "nan"]),
    "range": (surface(value("metalness", "1.5"), "standard_surface"), ["'metalness'", "1.5"]),
    "few": (surface(value("base_color", "1, 0", "color3")), ["base_color", "3 numbers"]),
    "type": (surface(value("base_color", "1", "float")), ["base_color", "'float'"]),
    "boolean": (surface(value("geometry_thin_walled", "yes", "boolean")), ["geometry_thin_walled", "yes"]),
    "no value": (surface('<input name="base_metalness" type="float"/>'), ["base_metalness", "neither"]),
    "twice": (surface(value("base_weight", "1") * 2), ["base_weight", "two"]),
    "color space": (
        surface(value("base_color", "1, 0, 0", "color3", 'colorspace="arri_wide"')),
        ["base_color", "arri_wide", "acescg"],
    ),
    "dangling": (surface(connected("base_weight", "float", 'nodename="lost"')), ["base_weight", "lost"]),
    "graph": (surface(connected("base_weight", "float", 'nodegraph="lost"')), ["base_weight", "lost"]),
    "no surface": ("<constant name='c' type='float'/>", ["standard_surface"]),
    "no shader": ('<surfacematerial name="m" type="material"/>', ["'m'", "surfaceshader"]),
    "other shader": (surface("", "gltf_pbr"), ["gltf_pbr", "standard_surface"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_file_element_and_field(read, case):
    body, named = WRONG[case]
    with pytest.raises(MaterialError) as caught:
        read(document(body))
    text = f"{caught.value.message} {caught.value.hint}"
    assert "file.mtlx" in text
    for part in named:
        assert part in text


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "text",
    [
        BOMB + document(surface(value("base_weight", "1"))).partition("\n")[2],
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><materialx/>',
        document("<a>" * 70 + "</a>" * 70),
        "<materialx",
        "",
        "<usd/>",
        document(surface("")).encode("utf-16")[:-7],
    ],
    ids=["entities", "external", "deep", "cut", "empty", "other root", "cut utf-16"],
)
def test_tricks_and_torn_files_are_material_errors(read, text):
    with pytest.raises(MaterialError, match=r"file\.mtlx"):
        read(text)


def test_too_large_and_missing_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "large.mtlx"
    path.write_text(document(surface("")))
    monkeypatch.setattr(materialx, "LARGEST_FILE", 10)
    with pytest.raises(MaterialError, match="too many"):
        read_materialx(path)
    with pytest.raises(FileError):
        read_materialx(tmp_path / "missing.mtlx")


@given(st.data())
def test_any_damage_to_a_good_file_is_read_or_a_clear_error(tmp_path_factory, data):
    inputs = value("base_color", "0.1, 0.2, 0.3", "color3") + value("metalness", "1")
    content = bytearray(document(surface(inputs, "standard_surface")).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "file.mtlx"
    path.write_bytes(bytes(content))
    try:
        assert all(isinstance(material, Material) for material in read_materialx(path).materials)
    except NeuronError as error:
        assert "file.mtlx" in error.message


# ---- folders


def test_a_folder_gives_every_file_in_the_order_of_names_and_tells_namesakes_apart(tmp_path):
    for name, shown in (("b.mtlx", "Wood"), ("a_gold.mtlx", "gold"), ("c.mtlx", "wood"), ("x.txt", "no")):
        (tmp_path / name).write_text(document(surface("", name=shown)))
    names = [material.name for material in read_materialx(tmp_path).materials]
    assert names == ["gold", "b", "c"]


def test_a_file_with_bare_surfaces_is_named_after_itself_or_them(tmp_path):
    bare = '<open_pbr_surface name="{}" type="surfaceshader"/>'
    one, two = tmp_path / "one.mtlx", tmp_path / "two.mtlx"
    one.write_text(document(bare.format("s1")))
    two.write_text(document(bare.format("left") + bare.format("right")))
    assert [material.name for material in read_materialx(one).materials] == ["one"]
    assert [material.name for material in read_materialx(two).materials] == ["left", "right"]


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(MaterialError, match=r"no \.mtlx"):
        read_materialx(tmp_path)
