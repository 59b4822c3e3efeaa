"""The demo's page and its charts: text from outside stays text, and lengths are values."""

import re
from dataclasses import replace

import numpy as np
import pytest

from neuron_core.demo import charts
from neuron_core.demo.report import TEMPLATE, Report, Still, clock, read_losses, write_report
from neuron_core.images.pictures import encode_png
from neuron_core.images.sheet import write_animation
from tests.core.html_pages import Page


@pytest.fixture
def report(tmp_path):
    pixels = np.full((8, 8, 4), 200, np.uint8)
    (tmp_path / "still.png").write_bytes(encode_png(pixels))
    write_animation(tmp_path / "turn.webp", [pixels, pixels // 2])
    (tmp_path / "ball.neuron").write_bytes(b"0" * 2_500_000)
    row = {"material": "gold <b>", "representation": "nvf", "psnr": 31.25, "truth_floor": None}
    return Report(
        name="ball & co",
        asset=tmp_path / "ball.neuron",
        turntable=tmp_path / "turn.webp",
        stills=[Still("gold", 'gold, "polished" <i>', tmp_path / "still.png")],
        typed=[],
        sheet=tmp_path / "still.png",
        evaluation={"rows": [row], "mean": {"nvf": {"psnr": 31.25, "iou": None}}, "baking_loss": {}},
        losses={"appearance": {"loss": [(1.0, 1.0), (2.0, 0.1)]}},
        seconds={"dataset": 70.0, "train": 20.5},
        machine={"processor": "a"},
        versions={"neuron": "1"},
        commands=[("look", "neuron inspect 'a b'")],
    )


def test_text_from_outside_stays_text(report, tmp_path):
    write_report(tmp_path / "page.html", report)
    page = Page(tmp_path / "page.html")
    assert 'gold, "polished" <i>' in page.text and "gold <b>" in page.text and "ball & co" in page.text
    assert not page.of("b", "i")
    assert "2.5 MB" in page.text and "1:30 min" in page.text and "31.25" in page.text


SCRIPT = "</style></title><script>alert('1')</script>\"><img src=x onerror=alert(2)>{{ 7 * 7 }}"


def saying(report, text):
    """The report with that text wherever it shows one from outside."""
    still = replace(report.stills[0], slug=text, prompt=text)
    row = {**report.evaluation["rows"][0], "material": text, "representation": text}
    return replace(
        report,
        name=text,
        stills=[still],
        typed=[still],
        evaluation={"rows": [row], "mean": {}, "convention": text},
        losses={text: {text: [(1.0, 1.0), (2.0, 0.1)]}},
        seconds={text: 1.0},
        machine={text: text},
        versions={text: text},
        commands=[(text, text)],
        notes=[text],
    )


def test_no_text_of_a_report_becomes_markup(report, tmp_path):
    pages = []
    for text in ("words", SCRIPT):
        write_report(tmp_path / "page.html", saying(report, text))
        pages.append(Page(tmp_path / "page.html"))
    plain, spoiled = pages
    assert [tag for tag, _ in spoiled.tags] == [tag for tag, _ in plain.tags] and not spoiled.of("script")
    assert [set(attributes) for _, attributes in spoiled.tags] == [
        set(attributes) for _, attributes in plain.tags
    ]
    assert spoiled.text == plain.text.replace("words", SCRIPT)
    alts, words = ([image["alt"] for image in page.of("img")] for page in pages[::-1])
    assert alts == [alt.replace("words", SCRIPT) for alt in words]


def test_no_template_switches_escaping_off():
    source = TEMPLATE.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|Markup\(", source)


def test_what_is_missing_leaves_no_hole(report, tmp_path):
    bare = replace(report, losses={}, stills=[], commands=[], evaluation={"rows": [], "mean": {}})
    write_report(tmp_path / "page.html", bare)
    page = Page(tmp_path / "page.html")
    assert "Training" not in page.text and "None" not in page.text and "nan" not in page.text


def test_the_page_is_well_formed(report, tmp_path):
    write_report(tmp_path / "page.html", report)
    source = (tmp_path / "page.html").read_text()
    for tag in (
        "section",
        "div",
        "table",
        "tr",
        "td",
        "th",
        "svg",
        "figure",
        "ul",
        "li",
        "dl",
        "main",
        "html",
    ):
        assert len(re.findall(rf"<{tag}[ >]", source)) == source.count(f"</{tag}>"), tag


def test_losses_are_read_even_from_a_run_that_was_cut_off(tmp_path):
    lines = [
        '{"stage": "a", "step": 1, "loss": 2.0}',
        '{"stage": "a", "step": 2, "loss": 1.0}',
        '{"stage": "b"',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_losses(tmp_path / "metrics.jsonl") == {"a": {"loss": [(1.0, 2.0), (2.0, 1.0)]}}
    assert read_losses(tmp_path / "none.jsonl") == {}


def points_of(svg):
    texts = re.findall(r'points="([^"]*)"', svg)
    return [np.array([pair.split(",") for pair in text.split()], float) for text in texts]


def test_a_falling_curve_falls_and_stays_inside():
    falling = [(float(step), 10.0 ** (-step / 50)) for step in range(1000)]
    (points,) = points_of(charts.curves("loss", {"loss": falling}, "step"))
    assert len(points) <= charts.MOST_POINTS
    assert (np.diff(points[:, 0]) > 0).all() and (np.diff(points[:, 1]) > 0).all()
    assert points.min() >= 0 and points[:, 0].max() <= charts.WIDTH and points[:, 1].max() <= charts.HEIGHT
    slopes = np.diff(points[:, 1]) / np.diff(points[:, 0])
    assert np.ptp(slopes) < 0.1  # exponential decay is straight


def test_what_has_no_logarithm_is_left_out():
    curve = [(0.0, 1.0), (1.0, 0.0), (2.0, float("nan")), (3.0, -1.0), (4.0, 1.0)]
    (points,) = points_of(charts.curves("loss", {"loss": curve, "zero": [(0.0, 0.0), (1.0, 0.0)]}, "step"))
    assert len(points) == 2
    assert charts.curves("loss", {}, "step") == "" == charts.curves("loss", {"one": [(0.0, 1.0)]}, "step")


def test_bars_are_as_long_as_their_values():
    svg = charts.bars("time", {"a": 10.0, "b": 5.0, "c": 0.0}, "s")
    lengths = [float(text) for text in re.findall(r'<rect[^>]*width="([\d.]+)"', svg)]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.2) and lengths[2] <= 1.0
    assert charts.bars("time", {}, "s") == ""


def test_times_are_for_people():
    assert [clock(value) for value in (0.4, 41.2, 60.0, 95.4, 600.0)] == [
        "0 s", "41 s", "1:00 min", "1:35 min", "10:00 min"
    ]  # fmt: skip
