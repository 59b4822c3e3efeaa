"""Tiny datasets as other NeRF programs write them, of a scene whose cameras are known in our world."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from neuron_core.cameras.camera import Camera
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.images.pictures import encode_png

# What (x, y, z) of our Y-up world is called in a Z-up world: (x, -z, y).
Z_UP_FROM_Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def encode_jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    """The JPEG file of uint8 pixels [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def scene_cameras(count: int = 10, width: int = 24, height: int = 16) -> list[Camera]:
    """Cameras around the origin, 4 away, named as pictures are."""
    return fibonacci_dome(count, (0, 0, 0), 4.0, width=width, height=height, prefix="shot")


def picture(index: int, width: int, height: int, channels: int = 3) -> np.ndarray:
    """A flat picture whose value tells which one it is; with alpha, its left half is empty."""
    pixels = np.full((height, width, channels), 10 + 10 * (index % 20), np.uint8)
    if channels == 4:
        pixels[..., 3] = 255
        pixels[:, : width // 2, 3] = 0
    return pixels


def matrix(camera: Camera) -> list[list[float]]:
    """The pose as a Z-up file has it, with the rounding of a text file."""
    return [[round(float(value), 9) for value in row] for row in Z_UP_FROM_Y_UP @ camera.c2w]


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_synthetic(folder: Path, cameras: Sequence[Camera]) -> None:
    """NeRF's Blender scenes: RGBA PNG files, one JSON file per split, names that repeat."""
    splits = {"train": cameras[:-4], "val": cameras[-4:-2], "test": cameras[-2:]}
    for split, members in splits.items():
        frames = []
        for index, camera in enumerate(members):
            frames.append(
                {"file_path": f"./{split}/r_{index}", "rotation": 0.01, "transform_matrix": matrix(camera)}
            )
            image = folder / split / f"r_{index}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(encode_png(picture(index, camera.width, camera.height, 4)))
        angle = 2 * math.atan(cameras[0].width / 2 / cameras[0].fl_x)
        write(folder / f"transforms_{split}.json", {"camera_angle_x": angle, "frames": frames})


def write_ngp(folder: Path, cameras: Sequence[Camera], **extra: object) -> None:
    """instant-ngp: JPEG files, one JSON file, intrinsics in pixels."""
    frames = [
        {"file_path": f"images/{camera.name}.jpg", "sharpness": 30.0, "transform_matrix": matrix(camera)}
        for camera in cameras
    ]
    write_jpegs(folder, cameras)
    write(folder / "transforms.json", {**intrinsics(cameras[0]), "aabb_scale": 4, "frames": frames, **extra})


def write_nerfstudio(folder: Path, cameras: Sequence[Camera], **extra: object) -> None:
    """nerfstudio: intrinsics per frame, lists of names per split, entries that say nothing to us."""
    frames = [
        {
            "file_path": f"./images/{camera.name}.jpg",
            "colmap_im_id": 7,
            "mask_path": "masks/none.png",
            "transform_matrix": matrix(camera),
            **intrinsics(camera),
        }
        for camera in cameras
    ]
    write_jpegs(folder, cameras)
    names = [f"images/{camera.name}.jpg" for camera in cameras]
    content = {
        "camera_model": "OPENCV",
        "applied_transform": [[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]],
        "ply_file_path": "sparse_pc.ply",
        "train_filenames": names[:-3],
        "val_filenames": names[-3:-1],
        "test_filenames": names[-1:],
        "frames": frames,
    }
    write(folder / "transforms.json", {**content, **extra})


def write_jpegs(folder: Path, cameras: Sequence[Camera]) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for index, camera in enumerate(cameras):
        pixels = picture(index, camera.width, camera.height)
        (folder / "images" / f"{camera.name}.jpg").write_bytes(encode_jpeg(pixels, 95))


def intrinsics(camera: Camera) -> dict[str, object]:
    return {
        "fl_x": camera.fl_x,
        "fl_y": camera.fl_y,
        "cx": camera.cx,
        "cy": camera.cy,
        "w": camera.width,
        "h": camera.height,
        "k1": camera.k1,
        "k2": camera.k2,
        "p1": camera.p1,
        "p2": camera.p2,
    }
