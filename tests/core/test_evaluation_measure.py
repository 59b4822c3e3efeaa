"""What is measured of a ball whose color, size and place are known: every figure is known, too."""

import numpy as np
import pytest

from neuron_core.datasets.contract import View, read_encoded
from neuron_core.datasets.reader import open_dataset
from neuron_core.evaluation.measure import FIGURES, compare, mean_of, measure
from neuron_core.foundation.colors import linear_to_srgb, srgb_to_linear
from neuron_core.images.metrics import LARGEST_PSNR
from tests.core.plain_samples import SIDE, TEST, Ball, info, write_balls

RED, BLUE, GRAY = (0.6, 0.1, 0.1), (0.1, 0.2, 0.7), (0.4, 0.4, 0.4)
PALETTE = {"red": RED, "blue": BLUE, "gray": GRAY}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    infos = [info("red"), info("blue"), info("gray", "compositional")]
    return write_balls(tmp_path_factory.mktemp("measured") / "balls", PALETTE, infos)


@pytest.fixture(scope="module")
def dataset(folder):
    return open_dataset(folder)


def measured(dataset, tracer, cameras=TEST, names=("red", "blue", "gray"), shown=()):
    return measure(dataset, cameras, [dataset.material(name) for name in names], tracer, shown)


def test_the_truth_against_itself_has_no_error(dataset):
    for one in measured(dataset, Ball((RED, BLUE, GRAY))):
        for figures in one.views:
            assert figures == {
                "psnr": LARGEST_PSNR, "ssim": pytest.approx(1), "l1": 0.0, "iou": 1.0, "depth_error": 0.0
            }  # fmt: skip


def test_an_even_offset_of_the_encoded_color_is_the_error_where_the_ball_is(dataset):
    """Inside of the silhouette: at its edge pixels are mixed with white in linear."""
    offset = 0.05
    wrong = tuple(srgb_to_linear(linear_to_srgb(np.float32(GRAY)) + offset).tolist())
    (one,) = measured(dataset, Ball((wrong,)), TEST[:1], ["gray"], TEST)
    truth = read_encoded(dataset, View(TEST[0], "gray"))
    inside = np.isclose(truth, linear_to_srgb(np.float32(GRAY)), atol=1e-6).all(axis=-1)
    assert 0.2 < inside.mean() < 0.8
    found = compare(one.pictures[TEST[0]], truth, inside)
    assert found["l1"] == pytest.approx(offset, abs=1e-6)
    assert found["psnr"] == pytest.approx(-20 * np.log10(offset), abs=1e-4)
    around = (truth > 0.9999).all(axis=-1)
    assert compare(one.pictures[TEST[0]], truth, around)["l1"] == 0.0


def test_a_depth_that_is_off_by_a_length_has_that_error_and_no_other(dataset):
    right, behind = (
        measured(dataset, Ball((RED,), behind=length), names=["red"])[0].views for length in (0, 0.03)
    )
    for before, after in zip(right, behind, strict=True):
        assert after["depth_error"] == pytest.approx(0.03, abs=1e-6)
        assert {**after, "depth_error": 0.0} == before


def test_a_smaller_ball_overlaps_by_its_share_of_the_silhouette(dataset):
    (one,) = measured(dataset, Ball((RED,), radius=0.35), TEST, ["red"])
    for camera, figures in zip(TEST, one.views, strict=True):
        inner, outer = (
            np.count_nonzero(Ball((RED,), radius=radius).surfaces(*centers(dataset, camera), SIDE).alphas)
            for radius in (0.35, 0.5)
        )
        assert figures["iou"] == inner / outer < 0.7


def centers(dataset, camera):
    """Rays through the centers of pixels: from the camera's place through points of its image plane."""
    seen = dataset.cameras[camera]
    columns, rows = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    local = np.stack(
        [(columns - seen.cx) / seen.fl_x, -(rows - seen.cy) / seen.fl_y, -np.ones_like(rows)], axis=-1
    ).reshape(-1, 3)
    directions = local @ np.asarray(seen.c2w)[:3, :3].T
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.broadcast_to(np.asarray(seen.c2w)[:3, 3], directions.shape), directions


def test_materials_in_another_order_are_measured_the_same(dataset):
    names, colors = ["red", "blue", "gray"], {"red": BLUE, "blue": GRAY, "gray": RED}
    found = {}
    for order in (names, names[::-1], ["blue"]):
        for one in measured(dataset, Ball(tuple(colors[name] for name in order)), names=order):
            assert found.setdefault(one.entry.name, one.views) == one.views
    assert len({str(views) for views in found.values()}) == 3


def test_views_are_measured_one_by_one(dataset):
    whole = measured(dataset, Ball((BLUE,)), names=["red"])[0]
    parts = [measured(dataset, Ball((BLUE,)), [camera], ["red"])[0].views[0] for camera in TEST]
    assert whole.views == parts
    for name in FIGURES:
        assert whole.mean()[name] == pytest.approx(np.mean([view[name] for view in parts]))


def test_a_view_without_a_picture_of_the_material_does_not_count(tmp_path):
    infos = [info("red"), info("blue")]
    partial = open_dataset(write_balls(tmp_path / "balls", PALETTE, infos, unseen={(TEST[0], "blue")}))
    red, blue = measured(partial, Ball((RED, RED)), names=["red", "blue"], shown=TEST)
    assert (len(red.views), len(blue.views)) == (2, 1)
    assert set(red.pictures) == set(TEST) and set(blue.pictures) == {TEST[1]}
    (alone,) = measured(partial, Ball((RED,)), TEST[1:], ["blue"])
    assert alone.views == blue.views


def test_pixels_under_the_mask_change_no_figure(folder):
    """A mask over the whole ball hides that it has the wrong color, size and depth."""
    whole = open_dataset(folder, mask=[2, 2, SIDE - 2, SIDE - 2])
    wrong = Ball((BLUE,), radius=0.45, behind=0.1)
    for figures in measured(whole, wrong, names=["red"])[0].views:
        assert figures == {
            "psnr": LARGEST_PSNR, "ssim": None, "l1": 0.0, "iou": 1.0, "depth_error": None
        }  # fmt: skip
    bare = measured(open_dataset(folder), wrong, names=["red"])[0].mean()
    assert bare["l1"] > 0.01 and bare["iou"] < 1 and bare["depth_error"] > 0.05


def test_where_every_pixel_is_masked_nothing_can_be_said(folder):
    covered = open_dataset(folder, mask=[0, 0, SIDE, SIDE])
    (one,) = measured(covered, Ball((RED,)), names=["red"])
    assert one.mean() == dict.fromkeys(FIGURES)


def test_pictures_are_kept_of_the_cameras_that_are_shown(dataset):
    (one,) = measured(dataset, Ball((RED,)), names=["red"], shown=TEST[1:])
    assert list(one.pictures) == [TEST[1]]
    np.testing.assert_array_equal(one.pictures[TEST[1]], read_encoded(dataset, View(TEST[1], "red")))


def test_progress_counts_every_camera_once(dataset):
    done = []
    entry = dataset.material("red")
    measure(dataset, TEST, [entry], Ball((RED,)), (), done.append)
    assert done == [1, 2]


# --- figures of two pictures ---


def two(seed=0, side=20):
    return np.random.default_rng(seed).random((2, side, side, 3)).astype(np.float32)


def test_figures_do_not_change_when_both_pictures_are_turned_mirrored_or_recolored():
    image, truth = two()
    valid = np.ones(image.shape[:2], bool)
    valid[:3, 4:] = False  # of no symmetry
    figures = compare(image, truth, valid)
    assert None not in figures.values()
    for changed in (np.flipud, np.fliplr, np.rot90, lambda picture: picture.swapaxes(0, 1)):
        assert compare(changed(image), changed(truth), changed(valid)) == pytest.approx(figures, rel=1e-6)
    assert compare(image[..., [2, 0, 1]], truth[..., [2, 0, 1]], valid) == pytest.approx(figures, rel=1e-6)


def test_error_is_symmetric_and_grows_with_the_offset():
    image, truth = two(2)
    valid = np.ones(image.shape[:2], bool)
    assert compare(image, truth, valid) == pytest.approx(compare(truth, image, valid))
    mixed = [compare(truth + share * (image - truth), truth, valid) for share in (0.1, 0.3, 1.0)]
    for before, after, ratio in ((mixed[0], mixed[1], 3), (mixed[1], mixed[2], 1 / 0.3)):
        assert after["l1"] == pytest.approx(ratio * before["l1"], rel=1e-4)
        assert after["psnr"] == pytest.approx(before["psnr"] - 20 * np.log10(ratio), rel=1e-4)
        assert after["ssim"] < before["ssim"]


def test_windows_that_touch_a_masked_pixel_are_left_out_of_ssim():
    image, truth = two(3, 22)
    valid = np.ones((22, 22), bool)
    valid[11:] = False  # the windows of 11 rows that lie above: one row of them
    assert compare(image, truth, valid)["ssim"] == pytest.approx(
        compare(image[:11], truth[:11], valid[:11])["ssim"], rel=1e-6
    )
    valid[10] = False
    assert compare(image, truth, valid)["ssim"] is None


def test_a_mean_over_subsets_weighs_them_by_how_many_have_the_figure():
    random = np.random.default_rng(4)
    figures = [
        {name: value if keep else None for name, value, keep in zip("ab", random.random(2), row, strict=True)}
        for row in random.random((9, 2)) < 0.7
    ]
    whole = mean_of(figures, "ab")
    for name in "ab":
        parts = [[one[name] for one in part if one[name] is not None] for part in (figures[:4], figures[4:])]
        means = [mean_of([{name: value} for value in part], name)[name] for part in parts]
        weights = [len(part) for part in parts]
        assert whole[name] == pytest.approx(np.average(means, weights=weights))
    assert mean_of([], "ab") == {"a": None, "b": None}


def test_a_material_without_views_has_no_figures(dataset):
    one = measured(dataset, Ball((RED,)), (), ["red"])[0]
    assert one.views == [] and one.mean() == dict.fromkeys(FIGURES)
