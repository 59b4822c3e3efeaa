"""The whole loop at a tiny size through the command line, and the report that it ends in."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from neuron_core.demo import charts
from neuron_core.demo.config import DemoConfig, Plan
from neuron_core.demo.journal import Journal
from neuron_core.demo.machine import machine, versions
from neuron_core.demo.report import Report, Still, clock, read_losses, write_report
from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.files import write_json
from neuron_core.foundation.progress import Silent
from neuron_core.images.pictures import encode_png
from neuron_core.images.sheet import write_animation
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.tasks.evaluate.run import run as evaluate

TINY = Plan(24, 8, 1, 2, 4, 20.0, 8, 200, 24, 3, 24)
ROOT = Path(__file__).resolve().parents[2]
MATERIALS = "polished-gold,white-ceramic"
PROMPTS = ("purple velvet, worn", "rough brass, aged")


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def start(words):
    """Run a command in a process of its own, in which the quick demo is tiny."""
    code = (
        "import sys; from neuron_core.demo import config; from neuron_core.cli import main; "
        f"config.QUICK = config.{TINY!r}; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *map(str, words), "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def answer(words):
    """The result of a command, run as a program would."""
    done = start(words)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines[:-1]] == ["progress"] * (len(lines) - 1)
    fractions = [line["fraction"] for line in lines[:-1]]
    assert fractions == sorted(fractions)
    return lines[-1]


def words_for(folder):
    asked = [word for prompt in PROMPTS for word in ("--prompt", prompt)]
    return ["demo", "--quick", "--out", folder, "--materials", MATERIALS, "--device", "cpu", *asked]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a finished demo."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    answer(words_for(folder))
    return folder


def test_the_loop_leaves_everything_that_it_promises(demo):
    result = answer(words_for(demo))
    for name in ("asset", "dataset", "run", "report", "evaluation"):
        assert Path(result[name]).exists(), name
    assert set(result["mean"]) == {"nvf", "inr"}
    assert 12 < result["mean"]["nvf"]["psnr"] < 60 and 0.5 < result["mean"]["nvf"]["iou"] <= 1
    assert result["seconds"] > 0
    assert len(result["summary"].splitlines()) == 5


def test_a_second_call_does_nothing_again(demo):
    stamps = {path: path.stat().st_mtime_ns for path in demo.rglob("*") if path.is_file()}
    assert "Already done" in answer(words_for(demo))["summary"]
    after = {path: path.stat().st_mtime_ns for path in demo.rglob("*") if path.is_file()}
    changed = {path.name for path in after if after[path] != stamps.get(path)}
    assert changed <= {"demo.json"} and set(after) == set(stamps)


def test_what_was_lost_is_made_again_and_nothing_else(demo):
    asset = demo / "shaderball.neuron"
    content, field = asset.read_bytes(), (demo / "run" / "field.safetensors").stat().st_mtime_ns
    asset.unlink()
    answer(words_for(demo))
    assert asset.read_bytes() == content
    assert (demo / "run" / "field.safetensors").stat().st_mtime_ns == field


def test_another_demo_is_not_overwritten(demo):
    done = start([*words_for(demo), "--seed", "1"])
    error = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, error["event"], error["kind"]) == (2, "error", "config")


def test_the_report_needs_no_network_and_no_scripts(demo):
    page = Page(demo / "report" / "index.html")
    assert not page.of("script", "link", "iframe", "object", "embed")
    for attributes in page.of("img", "source", "video", "audio"):
        assert str(attributes["src"]).startswith("data:image/")
    assert not re.findall(r"https?:|url\(|@import", re.sub(r'src="data:[^"]*"', "", page.source))
    assert not page.of("a") or all(str(a["href"]).startswith("#") for a in page.of("a"))


def test_every_picture_of_the_report_says_what_it_shows(demo):
    page = Page(demo / "report" / "index.html")
    assert all(attributes.get("alt") for attributes in page.of("img"))
    assert len(page.of("img")) == 2 + 2 + 2  # turntable and sheet, two looks, two prompts
    assert all(prompt in page.text for prompt in PROMPTS)
    assert all(attributes.get("aria-label") for attributes in page.of("svg"))


def test_the_report_tells_figures_times_machine_and_what_next(demo):
    page = Page(demo / "report" / "index.html")
    evaluation = json.loads((demo / "evaluation" / "table.json").read_text())
    for row in evaluation["rows"]:
        assert row["material"] in page.text and f"{row['psnr']:.2f}" in page.text
        assert f"{row['truth_floor']:.1f}" in page.text
    for word in ("baked voxels", "neural field", "four rays a pixel", "appearance", "dataset", "neuron bake"):
        assert word in page.text
    for value in (*machine().values(), *versions().values()):
        assert value in page.text


def test_a_run_is_measured_as_a_field(demo):
    result = evaluate(EvaluateConfig(demo / "run", demo / "dataset", device="cpu"), Silent())
    assert {row["representation"] for row in result["rows"]} == {"inr"}
    assert Path(result["table"]).parent == demo / "run.evaluation"
    known = json.loads((demo / "evaluation" / "table.json").read_text())["mean"]["inr"]["psnr"]
    assert result["mean"]["inr"]["psnr"] == pytest.approx(known, abs=0.1)  # tables are halves in the asset


# -- the parts ---------------------------------------------------------------------------------


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


def test_a_stage_that_was_cut_off_counts_all_its_time(tmp_path):
    journal = Journal(tmp_path, {"a": 1}, overwrite=False)
    with pytest.raises(KeyError), journal, journal.timed("train"):
        raise KeyError
    with Journal(tmp_path, {"a": 1}, overwrite=False) as again:
        before = again.seconds["train"]
        with again.timed("train"):
            pass
        assert again.seconds["train"] >= before
        finished = again.seconds["train"]
        with again.timed("train"):
            np.linalg.svd(np.ones((50, 50)))
        assert again.seconds["train"] == finished


def test_a_journal_of_another_config_is_refused_or_begun_anew(tmp_path):
    with Journal(tmp_path, {"a": 1}, overwrite=False) as journal:
        journal.finish({"seconds": 1})
    with pytest.raises(ConfigMismatchError, match="another config: a 1 instead of 2"):
        Journal(tmp_path, {"a": 2}, overwrite=False)
    for overwrite in (True, False):
        with Journal(tmp_path, {"a": 2}, overwrite=overwrite) as journal:
            assert journal.result is None


def test_a_journal_from_before_is_read(tmp_path):
    """The layout that demos on disk have."""
    with Journal(tmp_path, {"a": 1}, overwrite=False) as journal, journal.timed("train"):
        pass
    content = json.loads((tmp_path / "demo.json").read_text())
    assert set(content) == {"config", "fingerprint", "seconds", "finished", "result"}
    write_json(tmp_path / "demo.json", {**content, "seconds": {"train": 7}, "result": {"seconds": 7.0}})
    with Journal(tmp_path, {"a": 1}, overwrite=False) as journal:
        assert journal.seconds == {"train": 7.0} and journal.result == {"seconds": 7.0}


def test_the_device_and_the_place_do_not_make_another_demo():
    here, there = DemoConfig(Path("a")), DemoConfig(Path("b"), device="cpu", overwrite=True)
    assert here.described() == there.described()
    assert here.described() != DemoConfig(quick=True).described()
