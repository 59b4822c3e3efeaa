"""A second pair of eyes for the study of the library: an image encoder that shares nothing with the first.

A small residual network (torchvision's) learns to tell the materials of a study apart on another
geometry, a torus knot, under another light than that of the study. It is asked which true picture a
drawn one resembles most. It is made for the study, in its folder, and goes nowhere else.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pxr import Gf, Usd, UsdGeom, Vt
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from neuron_core.datasets.contract import View, read_picture
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation.colors import linear_to_srgb

LIGHTS = ("studio:11",)
VIEWS, RENDERED, SIZE = 6, 64, 56  # cameras a light; pixels rendered, and what is cut out of them
STEPS, BATCH, SEED = 1200, 96, 4099
RATE, SHARPNESS, WIDTH = 1e-3, 16.0, 128


class Judge(nn.Module):
    """Pictures to vectors of unit length; trained to tell materials apart."""

    def __init__(self, materials: int) -> None:
        """One direction for each material."""
        super().__init__()
        self.body = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=WIDTH)
        self.directions = nn.Parameter(torch.randn(materials, WIDTH))

    def forward(self, pictures: Tensor) -> Tensor:
        """[N, WIDTH] of sRGB pictures [N, 3, S, S] in [0, 1]."""
        return nn.functional.normalize(self.body((pictures - 0.5) / 0.25), dim=-1)

    def scores(self, pictures: Tensor) -> Tensor:
        """[N, materials], sharpened cosines."""
        return SHARPNESS * self(pictures) @ nn.functional.normalize(self.directions, dim=-1).T


def knot(path: Path, around: int = 512, across: int = 48) -> None:
    """Write a (2, 3) torus knot about a metre across as a USD mesh."""
    t = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    ring = 2.0 + np.cos(3.0 * t)
    center = np.stack([ring * np.cos(2.0 * t), ring * np.sin(2.0 * t), np.sin(3.0 * t)], axis=-1)
    along = np.roll(center, -1, axis=0) - np.roll(center, 1, axis=0)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    out = center - np.array([2.0, 2.0, 0.0]) * center / np.linalg.norm(center[:, :2], axis=-1, keepdims=True)
    side = np.cross(along, out)
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    up = np.cross(side, along)
    angle = np.linspace(0.0, 2.0 * np.pi, across, endpoint=False)
    tube = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    points = ((center[:, None] + 0.62 * tube) / 6.0).reshape(-1, 3)
    first, second = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    faces = np.stack([(first + a) % around * across + (second + b) % across for a, b in corners], axis=-1)
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    mesh = UsdGeom.Mesh.Define(stage, "/knot")
    stage.SetDefaultPrim(mesh.GetPrim())
    mesh.CreatePointsAttr(Vt.Vec3fArray([Gf.Vec3f(*point) for point in points.tolist()]))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([4] * (around * across)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray(faces.ravel().tolist()))
    stage.Save()


def render(folder: Path, materials: str) -> list[Path]:
    """The judge's datasets, one for each light, rendered or found done."""
    folder.mkdir(parents=True, exist_ok=True)
    mesh = folder / "knot.usda"
    if not mesh.exists():
        knot(mesh)
    datasets = [folder / f"light_{index}" for index in range(len(LIGHTS))]
    for dataset, light in zip(datasets, LIGHTS, strict=True):
        command = [
            "dataset", dataset, "--geometry", mesh, "--light", light, "--materials", materials,
            "--resolution", RENDERED, "--views", 1, "--val-views", 0, "--test-views", VIEWS,
            "--surface-views", 0, "--truth-db", 10, "--truth-spp", 32, "--seed", SEED,
        ]  # fmt: skip
        subprocess.run([sys.executable, "-m", "neuron_core", *map(str, command)], check=True)
    return datasets


def train(datasets: Sequence[StoredDataset], names: Sequence[str]) -> Judge:
    """A judge of the materials `names`, the same for the same pictures."""
    torch.manual_seed(SEED)
    noise = np.random.default_rng(SEED)
    pictures = np.stack(
        [
            [read_picture(data, View(camera, name)) for data in datasets for camera in data.splits["test"]]
            for name in names
        ]
    )
    judge = Judge(len(names))
    optimizer = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3 * RATE, STEPS)
    for step in range(STEPS):
        rows = noise.integers(len(names), size=BATCH)
        views = noise.integers(pictures.shape[1], size=BATCH)
        shown = torch.from_numpy(_augmented(pictures[rows, views], noise))
        loss = nn.functional.cross_entropy(judge.scores(shown), torch.from_numpy(rows), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"  judge, step {step + 1} of {STEPS}: {loss.item():.3f}", flush=True)  # noqa: T201
    return judge.eval()


def _augmented(pictures: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """sRGB [N, 3, SIZE, SIZE] of linear RGBA [N, H, W, 4]: cut, mirrored, brighter or darker, over white."""
    rows = []
    for picture in pictures:
        top, left = noise.integers(0, RENDERED - SIZE + 1, 2)
        cut = picture[top : top + SIZE, left : left + SIZE]
        cut = cut[:, ::-1] if noise.random() < 0.5 else cut
        cut = np.rot90(cut, int(noise.integers(4))) if noise.random() < 0.3 else cut
        gain = 2.0 ** noise.uniform(-0.25, 0.25) * 2.0 ** noise.uniform(-0.05, 0.05, 3)
        rows.append(linear_to_srgb(cut[..., :3] * gain.astype(np.float32) + 1.0 - cut[..., 3:]))
    return np.ascontiguousarray(np.stack(rows).transpose(0, 3, 1, 2), np.float32)


@torch.inference_mode()
def vectors(judge: Judge, pictures: np.ndarray) -> np.ndarray:
    """[N, WIDTH] of sRGB pictures over white [N, H, W, 3], whole and shrunk to the judge's size."""
    shown = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32))
    small = nn.functional.interpolate(shown, size=(SIZE, SIZE), mode="area")
    return torch.cat([judge(part) for part in small.split(64)]).numpy()


def load_or_train(folder: Path, materials: str) -> Judge:
    """The judge in a folder; made there from nothing if it is not there yet."""
    datasets = [open_dataset(path) for path in render(folder, materials)]
    names = [entry.name for entry in datasets[0].materials if entry.supported]
    weights = folder / "judge.safetensors"
    if weights.exists():
        judge = Judge(len(names))
        judge.load_state_dict(load_file(weights))
        return judge.eval()
    judge = train(datasets, names)
    save_file({name: value.contiguous() for name, value in judge.state_dict().items()}, weights)
    return judge
