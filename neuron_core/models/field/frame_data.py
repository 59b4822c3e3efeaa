"""What whole frames of a rendered dataset teach: the colors of any of their pixels.

Letters in shapes: M materials, P pixels of all frames together, V frames, Q pixels of all lenses
together, R rays, L looks.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float16, Int
from torch import Tensor

from neuron_core.datasets.contract import View, has_picture, read_gbuffer, read_picture
from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.models.field.ray_data import lens_directions

SOLID = 0.5


class FrameBatch(NamedTuple):
    """Rays through random places in some pixels, and what the pixels are."""

    rays_o: Float[Tensor, "R 3"]
    rays_d: Float[Tensor, "R 3"]  # unit
    colors: Float[Tensor, "L R 4"]  # linear, premultiplied
    normals: Float[Tensor, "R 3"]  # unit, or 0 where nothing is hit

    def of(self, rows: Int[Tensor, " K"]) -> "FrameBatch":
        """Some of its rays."""
        return FrameBatch(self.rays_o[rows], self.rays_d[rows], self.colors[:, rows], self.normals[rows])


@dataclass(frozen=True, slots=True)
class FramePool:
    """Every pixel of the training frames, hit or not: 8 bytes for each material, 6 for its normal."""

    colors: Float16[Tensor, "M P 4"]  # linear, premultiplied; frame after frame
    normals: Float16[Tensor, "P 3"]
    starts: Int[Tensor, " V"]  # where the pixels of a frame begin
    positions: Float[Tensor, "V 3"]  # of the cameras
    rotations: Float[Tensor, "V 3 3"]  # world from camera
    footprints: Float[Tensor, "V 2"]  # of a pixel on the plane at distance 1
    lens_starts: Int[Tensor, " V"]  # where the places of a frame's lens begin
    places: Float[Tensor, "Q 2"]  # of pixel centers on the plane at distance 1 before the camera

    def __len__(self) -> int:
        return len(self.normals)

    def batch(
        self, rows: Int[Tensor, " R"], looks: Int[Tensor, " L"], jitter: Float[Tensor, "R 2"]
    ) -> FrameBatch:
        """The pixels `rows` under some materials; `jitter` in [-0.5, 0.5] is the place in the pixel."""
        views = torch.searchsorted(self.starts, rows, right=True) - 1
        places = self.places[self.lens_starts[views] + rows - self.starts[views]]
        places = places + jitter * self.footprints[views]
        local = F.normalize(F.pad(places, (0, 1), value=-1.0), dim=-1)
        rays_d = (self.rotations[views] @ local[:, :, None]).squeeze(-1)
        colors = torch.stack([self.colors[look][rows] for look in looks.tolist()]).float()
        return FrameBatch(self.positions[views], rays_d, colors, self.normals[rows].float())


def read_frames(dataset: StoredDataset, materials: list[str], device: torch.device) -> FramePool:
    """Read every training frame once, without masked pixels. Raises NeuronError if none is left."""
    names = dataset.splits["train"]
    partly = [look for look in materials if not all(has_picture(dataset, View(name, look)) for name in names)]
    if partly:
        raise NeuronError(
            f"{dataset.path} shows {partly[0]} from some of its training cameras only.",
            "Frames are learned where all materials were seen by all: leave --learn-from out, or render "
            "the dataset without --view-sets.",
        )
    valid = {name: dataset.valid(View(name)) for name in names}
    counts = [int(np.count_nonzero(valid[name])) for name in names]
    if not sum(counts):
        raise NeuronError(f"{dataset.path} has no pixels to learn from.", "Give it a mask that leaves some.")
    colors, normals = [], []
    for name in names:
        interrupts.stop_if_requested()
        pictures = [read_picture(dataset, View(name, material))[valid[name]] for material in materials]
        colors.append(np.clip(np.stack(pictures), 0.0, np.finfo(np.float16).max).astype(np.float16))
        gbuffer = read_gbuffer(dataset, View(name))
        assert gbuffer is not None, "only rendered datasets are learned from frames"
        hit = gbuffer.coverage[..., None] > SOLID
        normals.append((gbuffer.normal * hit)[valid[name]].astype(np.float16))
    cameras = [dataset.cameras[name] for name in names]
    lens_starts, directions = lens_directions(cameras, [valid[name] for name in names])

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return FramePool(
        tensor(np.concatenate(colors, axis=1)),
        tensor(np.concatenate(normals)),
        tensor((np.cumsum(counts) - counts).astype(np.int64)),
        tensor(np.stack([camera.position for camera in cameras]).astype(np.float32)),
        tensor(np.stack([camera.c2w[:3, :3] for camera in cameras]).astype(np.float32)),
        tensor(np.array([(1 / camera.fl_x, -1 / camera.fl_y) for camera in cameras], np.float32)),
        tensor(lens_starts),
        tensor(directions[:, :2] / -directions[:, 2:]),
    )
