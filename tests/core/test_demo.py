"""The whole loop at a tiny size through the command line, and the report that it ends in."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuron_core.demo.config import DemoConfig, Plan
from neuron_core.demo.journal import Journal
from neuron_core.demo.machine import machine, versions
from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.files import write_json
from neuron_core.foundation.progress import Silent
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.tasks.evaluate.run import run as evaluate
from tests.core.html_pages import Page

TINY = Plan(24, 8, 1, 2, 4, 20.0, 8, 200, 24, 3, 24)
ROOT = Path(__file__).resolve().parents[2]
MATERIALS = "polished-gold,white-ceramic"
PROMPTS = ("purple velvet, worn", "rough brass, aged")


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
