"""Contact sheets and animations: many pictures in one file, for a person to compare.

All pictures are uint8 sRGB [H, W, 3].
"""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import write_bytes

BACKGROUND = (36, 36, 38)
TITLE_COLOR = (240, 240, 240)
CAPTION_COLOR = (176, 176, 180)
LEGIBLE_SIDE = 192  # pixels that small pictures are enlarged to, by a whole number
MOST_LINES = 4  # of a text; the rest is cut off
FRAMES_PER_SECOND = 24
KINDS = {".png": "PNG", ".apng": "PNG", ".webp": "WEBP", ".gif": "GIF"}

Row = tuple[str, Sequence[tuple[str, np.ndarray]]]  # a label, and captions with their pictures


def contact_sheet(rows: Sequence[Row], title: str = "", scale: int = 0) -> np.ndarray:
    """Rows of a label and captioned pictures, on neutral dark gray, as uint8 [H, W, 3].

    The label is above its row, each caption below its picture; pictures may differ in size. Each
    pixel is shown as `scale` x `scale` pixels; 0 picks a scale that makes small pictures legible.
    Raises ValueError for a sheet without pictures.
    """
    pictures = [picture for _, row in rows for _, picture in row]
    if not pictures:
        raise ValueError("A contact sheet needs at least one picture.")
    scale = scale or max(1, LEGIBLE_SIDE // max(max(picture.shape[:2]) for picture in pictures))
    size = max(13, min(24, scale * max(picture.shape[1] for picture in pictures) // 14))
    blocks = [_row(label, row, scale, size) for label, row in rows if row]
    if title:
        width = max(block.shape[1] for block in blocks)
        blocks.insert(0, _text(title, round(size * 1.5), TITLE_COLOR, width))
    return _framed(_stacked(blocks, size * 3 // 2, axis=0), size * 3 // 2)


def difference(a: np.ndarray, b: np.ndarray, gain: float | int = 5) -> np.ndarray:
    """How far two pictures are apart, per channel and `gain` times brightened: black where they agree."""
    if a.shape != b.shape:
        raise ValueError(f"Pictures of the shapes {a.shape} and {b.shape} cannot be compared.")
    apart = np.abs(a.astype(np.float32) - b.astype(np.float32))
    return np.clip(np.rint(apart * float(gain)), 0, 255).astype(np.uint8)


def write_animation(path: Path, frames: Sequence[np.ndarray], fps: float | int = FRAMES_PER_SECOND) -> None:
    """Write frames as an endless animation: PNG (exact), WebP (small) or GIF, by the path's ending.

    Raises FileError for another ending and ValueError for frames of different sizes.
    """
    kind = KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise FileError(f"{path} is not an animation format.", "Use .png, .webp or .gif.")
    if not frames or len({frame.shape for frame in frames}) != 1:
        raise ValueError("An animation needs frames of one size.")
    first, *others = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    quality = {"quality": 88, "method": 4} if kind == "WEBP" else {}
    duration = max(1, round(1000 / fps))
    stream = io.BytesIO()
    first.save(stream, kind, save_all=True, append_images=others, duration=duration, loop=0, **quality)
    write_bytes(path, stream.getvalue())


def _row(label: str, row: Sequence[tuple[str, np.ndarray]], scale: int, size: int) -> np.ndarray:
    pictures = [_enlarged(picture, scale) for _, picture in row]
    height = max(picture.shape[0] for picture in pictures)
    columns = []
    for (caption, _), picture in zip(row, pictures, strict=True):
        padded = _padded(picture, height, picture.shape[1])
        text = _text(caption, size, CAPTION_COLOR, picture.shape[1])
        columns.append(_stacked([padded, text], size // 3, axis=0) if caption else padded)
    block = _stacked(columns, size // 2, axis=1)
    if not label:
        return block
    width = max(block.shape[1], size * 16)
    return _stacked([_text(label, round(size * 1.15), TITLE_COLOR, width), block], size // 3, axis=0)


def _enlarged(picture: np.ndarray, scale: int) -> np.ndarray:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"A picture of a sheet is uint8 [H, W, 3], not {picture.dtype} {picture.shape}.")
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def _stacked(blocks: Sequence[np.ndarray], gap: int, axis: int) -> np.ndarray:
    """Below each other (axis 0, left-aligned) or beside each other (axis 1, top-aligned)."""
    height = max(block.shape[0] for block in blocks)
    width = max(block.shape[1] for block in blocks)
    parts = []
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        extent = block.shape[axis] + (0 if last else gap)
        parts.append(_padded(block, *((extent, width) if axis == 0 else (height, extent))))
    return np.concatenate(parts, axis=axis)


def _padded(block: np.ndarray, height: int, width: int) -> np.ndarray:
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = BACKGROUND
    canvas[: block.shape[0], : block.shape[1]] = block
    return canvas


def _framed(block: np.ndarray, margin: int) -> np.ndarray:
    canvas = _padded(np.zeros((0, 0, 3), np.uint8), block.shape[0] + 2 * margin, block.shape[1] + 2 * margin)
    canvas[margin:-margin, margin:-margin] = block
    return canvas


def _text(text: str, size: int, color: tuple[int, int, int], width: int) -> np.ndarray:
    """Lines of text, broken where they are too long, as a picture of that width."""
    lines = _broken(text, size, width)
    step = round(size * 1.3)
    canvas = Image.new("RGB", (width, step * len(lines)), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for index, line in enumerate(lines):
        draw.text((0, index * step + size), line, font=_font(size), fill=color, anchor="ls")
    return np.array(canvas)


def _broken(text: str, size: int, width: int) -> list[str]:
    lines: list[str] = []
    for paragraph in text[: MOST_LINES * width].splitlines():  # no letter is narrower than a pixel
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if line and _font(size).getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1] + " ..."]
    return [_cut(line, size, width) for line in lines] or [""]


def _cut(line: str, size: int, width: int) -> str:
    if _font(size).getlength(line) <= width:
        return line
    line = line[:width]
    while line and _font(size).getlength(line + "...") > width:
        line = line[:-1]
    return line + "..."


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
