"""Which views belong to which split: a rule over the splits of the names on every axis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from neuron_core.datasets.contract import Axis, Split, View

HELD_OUT: Mapping[Split, Axis] = {"compositional": "material", "lights": "light", "poses": "pose"}
_NOT_TRAINED_ON = ("test", "compositional")


@dataclass(frozen=True, slots=True)
class SplitRule:
    """The splits of names. A camera may be in several: few photographs serve as train and test."""

    cameras: Mapping[str, Sequence[str]]  # train, val, test, surface -> names
    others: Mapping[Axis, Mapping[str, str]]  # axis -> name -> split; names that are not listed are train

    def select(self, split: Split, views: Iterable[View]) -> tuple[View, ...]:
        """The views that belong to a split, in their order. Without a material they are shapes."""
        return tuple(view for view in views if self._belongs(split, view))

    def _belongs(self, split: Split, view: View) -> bool:
        held_out = [axis for axis in HELD_OUT.values() if self._split(axis, view) in _NOT_TRAINED_ON]
        if split in HELD_OUT:
            return held_out == [HELD_OUT[split]]
        if held_out:
            return False
        pose, frame, cameras = self._split("pose", view), self._split("frame", view), self._cameras(view)
        if split == "train":
            return "train" in cameras and pose == frame == "train"
        if split == "val":
            moved = "val" in (pose, frame) and "train" in cameras
            return frame != "test" and ("val" in cameras or moved)
        return pose == "train" and ("test" in cameras or (frame == "test" and bool(cameras)))

    def _split(self, axis: Axis, view: View) -> str:
        return self.others.get(axis, {}).get(str(getattr(view, axis)), "train")

    def _cameras(self, view: View) -> set[str]:
        """The splits of the camera. Cameras that see the shape alone teach it."""
        found = {split for split, names in self.cameras.items() if view.camera in names}
        return found | {"train"} if "surface" in found and not view.material else found - {"surface"}
