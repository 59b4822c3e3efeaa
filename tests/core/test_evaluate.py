"""Figures: an asset that drew the truth itself is perfect, and everything else follows from that."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import MaterialInfo
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import open_dataset
from neuron_core.evaluation.baselines import NEAREST, nearest
from neuron_core.evaluation.comparison import Comparison, measure_share, unseen_cameras
from neuron_core.evaluation.measure import Measured, compare, mean_of
from neuron_core.evaluation.splits import share_of
from neuron_core.evaluation.subjects import open_subjects
from neuron_core.evaluation.summary import markdown as summary_table
from neuron_core.evaluation.summary import summarize
from neuron_core.evaluation.table import Result, baking_loss
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.progress import Silent
from neuron_core.images import metrics
from neuron_core.images.pictures import decode_image
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.tasks.evaluate.run import run
from tests.core.baked_samples import MATERIALS, write_ball, write_photographs, write_truth

GLASS = MaterialInfo("clear-glass", "clear glass", (), "train", True, True)
WAX = MaterialInfo("wax", "wax", (), "train", False, False)
HELD_OUT = MaterialInfo("worn-gold", "worn gold", (), "compositional", True, False)


class Hears(Silent):
    """Keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("asset") / "ball.neuron")


@pytest.fixture(scope="module")
def dataset(asset, tmp_path_factory):
    return write_truth(tmp_path_factory.mktemp("truth") / "ball", asset, HELD_OUT)


@pytest.fixture
def config(asset, dataset, tmp_path):
    return EvaluateConfig(asset, dataset, representation="nvf", out=tmp_path / "out", device="cpu")


def test_the_asset_that_drew_the_truth_is_perfect(config):
    result = run(config, Silent())
    assert [row["material"] for row in result["rows"]] == list(MATERIALS)
    for row in result["rows"]:
        assert row["psnr"] > 80 and row["ssim"] > 0.9999 and row["l1"] < 1e-4
        assert row["iou"] == 1.0 and row["depth_error"] < 1e-6
        assert (row["views"], row["split"], row["representation"]) == (2, "test", "nvf")
        assert row["truth_floor"] == 40.0 and row["prompt"] == row["material"].replace("-", " ")


def test_the_wrong_look_is_not(config, dataset, tmp_path):
    swapped = write_ball(tmp_path / "swapped.neuron", MATERIALS[::-1])
    result = run(replace(config, subject=swapped), Silent())
    for row in result["rows"]:
        assert row["psnr"] < 40
        assert row["iou"] == 1.0 and row["depth_error"] < 1e-6  # the shape has no look


def test_the_mean_is_that_of_the_rows(config):
    result = run(replace(config, representation="all"), Silent())
    for representation in ("nvf", "inr"):
        rows = [row for row in result["rows"] if row["representation"] == representation]
        for name, value in result["mean"][representation].items():
            known = [row[name] for row in rows if row[name] is not None]
            assert value == (pytest.approx(np.mean(known)) if known else None)
    assert result["baking_loss"]["psnr"] < 0  # the field was never trained, its voxels are the truth
    assert result["baselines"] == {}


def test_glass_and_what_the_renderer_cannot_do_stay_out_of_the_mean(config, asset, tmp_path):
    names = (*MATERIALS, "clear-glass", "wax")
    four = write_ball(tmp_path / "four.neuron", names)
    truth = write_truth(tmp_path / "truth", asset, GLASS, WAX)
    result = run(replace(config, subject=four, dataset=truth), Silent())
    rows = {row["material"]: row for row in result["rows"]}
    assert set(rows) == set(names)
    counted = [rows[name]["psnr"] for name in MATERIALS]
    assert result["mean"]["nvf"]["psnr"] == pytest.approx(np.mean(counted))
    assert result["transmissive"]["nvf"]["psnr"] == pytest.approx(rows["clear-glass"]["psnr"])


def test_another_asset_is_measured_beside_it(config, tmp_path):
    other = write_ball(tmp_path / "swapped.neuron", MATERIALS[::-1])
    result = run(replace(config, against=other), Silent())
    assert {row["representation"] for row in result["rows"]} == {"nvf", "against"}
    assert result["mean"]["against"]["psnr"] < result["mean"]["nvf"]["psnr"]


def test_held_out_materials_are_the_compositional_split(config, tmp_path):
    baked = write_ball(tmp_path / "prompted.neuron", (*MATERIALS, "worn-gold"))
    with pytest.raises(NeuronError, match="compositional") as caught:
        run(replace(config, split="compositional"), Silent())
    assert "bake" in caught.value.hint
    result = run(replace(config, subject=baked, split="compositional"), Silent())
    assert [row["material"] for row in result["rows"]] == ["worn-gold"]


def test_a_field_knows_held_out_materials_by_their_prompt(config):
    wanted = replace(config, split="compositional", representation="inr")
    (row,) = run(wanted, Silent())["rows"]
    assert (row["material"], row["representation"], row["split"]) == ("worn-gold", "inr", "compositional")


def test_held_out_materials_have_baselines_beside_them(config):
    result = run(replace(config, split="compositional", representation="inr"), Silent())
    assert set(result["baselines"]) == {"nearest material", "mean image"}
    assert result["baselines"]["nearest material"]["l1"] == 0.0  # its truth is that of a trained one
    assert result["baselines"]["mean image"]["l1"] > 0.0
    rows = {(row["representation"], row["category"]): row for row in result["categories"]}
    own = rows["inr", "all"]
    assert own["materials"] == 1 and own["l1_mean"] == own["l1_median"] > 0.0
    assert "By category" in (config.out / "table.md").read_text()


def test_summaries_compare_with_the_nearest_material_category_by_category():
    glass = {"name": "g", "parameters": {"transmission_weight": 1.0}}
    metal = {"name": "m", "parameters": {"base_metalness": 1.0}}
    entries = [
        MaterialEntry("g", "g", (), glass, "compositional", transmissive=True),
        MaterialEntry("m", "m", (), metal, "compositional"),
        MaterialEntry("s", "s", (), metal, "compositional", supported=False),
    ]

    def result(name: str, errors: tuple[float, ...]) -> Result:
        views = [[{"l1": error, "psnr": 20.0, "ssim": 0.5}] for error in errors]
        return Result(name, "compositional", [Measured(*pair) for pair in zip(entries, views, strict=True)])

    rows = summarize([result("inr", (0.1, 0.3, 9.0)), result(NEAREST, (0.2, 0.4, 9.0))])
    ratios = {row["category"]: row.get("l1_mean_ratio") for row in rows if row["representation"] == "inr"}
    assert ratios["translucent"] == pytest.approx(0.5) and ratios["metal"] == pytest.approx(0.75)
    assert ratios["all"] == pytest.approx(2 / 3) and ratios["not rendered as it is"] == 1.0
    assert "| all | inr | 2 | 0.2000 | 0.2000 | 0.67 |" in summary_table(rows)


def test_the_nearest_material_is_never_the_material_itself():
    pictures = np.stack([np.full((4, 4, 3), value, np.float32) for value in (0.1, 0.5, 0.9)])
    valid = np.ones((4, 4), bool)
    assert nearest(pictures, ["a", "b", "c"], "x", pictures[1], valid) == 1
    assert nearest(pictures, ["a", "b", "c"], "b", pictures[1] + 0.05, valid) == 2
    valid[:2] = False
    mixed = pictures[0].copy()
    mixed[:2] = 0.9
    assert nearest(pictures, ["a", "b", "c"], "x", mixed, valid) == 0


def test_looks_are_drawn_together_or_one_by_one_with_the_same_figures(asset, dataset):
    opened = open_dataset(dataset)
    (subject,) = open_subjects(asset, "nvf", "cpu", None)
    comparison = Comparison(asset, opened, "test", unseen_cameras(opened, 0))
    share = share_of(subject, asset, opened, "test", Silent())
    together, one_by_one = (measure_share(comparison, share, Silent(), count) for count in (16, 1))
    assert len(together.rows()) > 1
    assert one_by_one.rows() == together.rows()


def test_materials_that_it_was_not_trained_on_are_left_out_and_named(config, tmp_path):
    one = write_ball(tmp_path / "one.neuron", MATERIALS[:1])
    report = Hears()
    result = run(replace(config, subject=one), report)
    assert [row["material"] for row in result["rows"]] == [MATERIALS[0]]
    assert MATERIALS[1] in report.warnings[0] and "compositional" in report.warnings[0]


def test_the_same_evaluation_is_not_made_twice(config):
    first = run(config, Silent())
    stamps = {path: path.stat().st_mtime_ns for path in config.out.iterdir()}
    assert run(config, Silent()) == first
    assert {path: path.stat().st_mtime_ns for path in config.out.iterdir()} == stamps


def test_another_evaluation_is_only_replaced_when_told(config):
    run(config, Silent())
    with pytest.raises(ConfigMismatchError):
        run(replace(config, views=1), Silent())
    result = run(replace(config, views=1, overwrite=True), Silent())
    assert {row["views"] for row in result["rows"]} == {1}


def test_without_a_folder_it_goes_beside_the_subject_and_is_replaced(config, tmp_path):
    subject = write_ball(tmp_path / "ball.neuron")
    wanted = replace(config, subject=subject, out=None)
    assert Path(run(wanted, Silent())["table"]).parent == tmp_path / "ball.neuron.evaluation"
    run(replace(wanted, views=1), Silent())


def test_the_table_says_what_was_measured_and_how(config):
    result = run(replace(config, representation="all"), Silent())
    text = Path(result["table"]).read_text()
    assert "2 x 2" in text and "white" in text and "truth floor" in text and "Loss by baking" in text
    for row in result["rows"]:
        assert f"| {row['material']} | {row['representation']} | 2 | {row['psnr']:.2f} |" in text
    assert result["summary"].startswith("# ball.neuron on")
    content = json.loads(Path(result["data"]).read_text())
    assert content["rows"] == json.loads(json.dumps(result["rows"]))


def test_the_sheet_shows_truth_and_pictures(config):
    sheet = decode_image(Path(run(config, Silent())["contact_sheet"]))
    assert sheet.shape[0] > 2 * 2 * 192 and sheet.shape[1] > 3 * 192


def test_masked_pixels_are_left_out():
    random = np.random.default_rng(0)
    truth, image = random.random((2, 30, 30, 3)).astype(np.float32)
    valid = np.ones((30, 30), bool)
    valid[20:, 20:] = False
    spoiled = image.copy()
    spoiled[~valid] = 1 - spoiled[~valid]
    assert compare(image, truth, valid) == compare(spoiled, truth, valid)
    whole = compare(image, truth, np.ones_like(valid))
    assert whole["psnr"] == pytest.approx(metrics.psnr(image, truth))
    assert whole["ssim"] == pytest.approx(metrics.ssim(image, truth))
    assert compare(image, truth, np.zeros_like(valid)) == {"psnr": None, "ssim": None, "l1": None}


def test_pictures_smaller_than_the_window_have_no_ssim():
    image = np.zeros((8, 8, 3), np.float32)
    figures = compare(image, image, np.ones((8, 8), bool))
    assert figures["ssim"] is None and figures["psnr"] == metrics.LARGEST_PSNR


def test_what_is_unknown_stays_out_of_means():
    assert mean_of([{"psnr": 30.0, "iou": None}, {"psnr": 20.0}])["psnr"] == 25.0
    assert mean_of([{"iou": None}])["iou"] is None


def test_loss_by_baking_is_positive_where_voxels_are_worse():
    mean = {
        "inr": {"psnr": 30.0, "l1": 0.01, "depth_error": 0.001, "iou": None},
        "nvf": {"psnr": 29.5, "l1": 0.02, "depth_error": 0.003, "iou": 1.0},
    }
    loss = baking_loss(mean)
    assert set(loss) == {"psnr", "l1", "depth_error"}
    assert loss["psnr"] == pytest.approx(0.5) and loss["l1"] == pytest.approx(0.01)
    assert baking_loss({"nvf": {"psnr": 1.0}}) == {}


def test_photographs_are_compared_in_srgb_on_those_held_out(config, tmp_path):
    subject = write_ball(tmp_path / "scene.neuron", ("scene",), encoding="srgb")
    photographs = write_photographs(tmp_path / "photographs", subject)
    (row,) = run(replace(config, subject=subject, dataset=photographs), Silent())["rows"]
    assert row["psnr"] > 50 and row["views"] == 2  # every eighth of nine; 8 bits
    assert row["iou"] is None and row["depth_error"] is None and row["truth_floor"] is None


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("missing.neuron", "nothing at"),
        ("splats.ply", "export"),
        ("empty", "No training run"),
        ("a.txt", "a.txt"),
    ],
)
def test_what_cannot_be_measured_is_named(config, tmp_path, subject, said):
    (tmp_path / "empty").mkdir()
    for name in ("splats.ply", "a.txt"):
        (tmp_path / name).write_text("")
    wanted = replace(config, subject=tmp_path / subject, representation="all")
    with pytest.raises(NeuronError, match=said):
        run(wanted, Silent())
    assert not config.out.exists()


def test_a_dataset_of_other_materials_is_refused(config, tmp_path):
    stranger = write_ball(tmp_path / "stranger.neuron", ("oak",))
    with pytest.raises(NeuronError, match="shares no test material"):
        run(replace(config, subject=stranger), Silent())


def test_a_dataset_without_test_views_is_refused(config, dataset, tmp_path):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    for name in ("cameras.json", "dataset.json"):  # the manifest has the checksum of the other one
        content = json.loads((copy / name).read_text())
        content["splits"]["test"] = []
        if name == "dataset.json":
            content["files"]["cameras.json"] = sha256_of(copy / "cameras.json")
        (copy / name).write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="no test views"):
        run(replace(config, dataset=copy), Silent())
