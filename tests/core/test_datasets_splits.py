"""The rule of splits against one that is written down the slow way."""

from itertools import product

import pytest

from neuron_core.datasets.contract import SPLITS, View
from neuron_core.datasets.splits import SplitRule

ORDER = ("train", "val", "test")
RULE = SplitRule(
    cameras={**{name: (f"{name}_camera",) for name in ORDER}, "surface": ("surface_camera",)},
    others={
        "material": {"gold": "train", "copper": "compositional"},
        "light": {"sun": "train", "lamp": "test"},
        "pose": {name: name for name in ORDER},
        "frame": {"0": "train", "1": "val", "2": "test"},
    },
)


def splits_of(view: View) -> list[str]:
    return [split for split in SPLITS if RULE.select(split, [view])]


def expected(camera: str, material: str, light: str, pose: str, frame: int) -> list[str]:
    new = {"compositional": material == "copper", "lights": light == "lamp", "poses": pose == "test"}
    if any(new.values()):
        return [name for name in new if new[name]] if sum(new.values()) == 1 else []
    latest = max(ORDER.index(camera), frame)
    if pose == "val":
        return ["val"] if latest < 2 else []
    return [ORDER[latest]]


def test_pictures_belong_where_the_slow_rule_puts_them():
    for names in product(ORDER, ("gold", "copper"), ("sun", "lamp"), ORDER, range(3)):
        camera, material, light, pose, frame = names
        view = View(f"{camera}_camera", material, light, pose, frame)
        assert splits_of(view) == expected(*names), view


def test_shapes_are_split_alike_and_cameras_that_see_them_alone_are_for_training():
    for camera, pose, frame in product((*ORDER, "surface"), ORDER, range(3)):
        view = View(f"{camera}_camera", pose=pose, frame=frame)
        alike = "train" if camera == "surface" else camera
        assert splits_of(view) == expected(alike, "gold", "sun", pose, frame), view


def test_cameras_without_pictures_give_pictures_to_no_split():
    assert splits_of(View("surface_camera", "gold", "sun", "train", 0)) == []


def test_a_camera_of_two_splits_is_in_both():
    rule = SplitRule({"train": ("only",), "test": ("only",)}, {})
    view = View("only", "scene", "captured", "rest")
    assert [split for split in SPLITS if rule.select(split, [view])] == ["train", "test"]


@pytest.mark.parametrize("split", SPLITS)
def test_views_keep_their_order(split):
    views = [
        View(f"{camera}_camera", material, light, pose, frame)
        for camera, material, light, pose, frame in product(
            reversed(ORDER), ("copper", "gold"), ("lamp", "sun"), ORDER, (2, 0, 1)
        )
    ]
    found = RULE.select(split, views)
    assert found and list(found) == [view for view in views if view in set(found)]
