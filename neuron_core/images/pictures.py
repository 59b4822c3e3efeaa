"""Pictures that people look at: PNG (and JPEG to read), 8 bits, sRGB and straight alpha.

Linear pictures are float arrays [H, W, 3] or premultiplied [H, W, 4]; encoded ones are uint8.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from neuron_core.foundation.colors import linear_to_srgb, over_white
from neuron_core.foundation.files import read_bytes
from neuron_core.images.sizes import ImageError

MAX_PIXELS = 1 << 26  # more is refused before it is decoded
FORMATS = ("PNG", "JPEG", "MPO")  # MPO is how some phones write JPEG
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def display(linear: np.ndarray) -> np.ndarray:
    """Linear premultiplied RGBA [H, W, 4] as it is shown: over white, sRGB, uint8 [H, W, 3]."""
    return to_bytes(linear_to_srgb(over_white(linear)))


def to_bytes(encoded: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as uint8, rounded; NaN is 0."""
    return np.rint(np.clip(np.nan_to_num(encoded), 0.0, 1.0) * 255.0).astype(np.uint8)


def straight(linear: np.ndarray) -> np.ndarray:
    """Linear RGB or premultiplied RGBA as uint8 sRGB with straight alpha; colorless where alpha is 0."""
    if linear.shape[-1] == 3:
        return to_bytes(linear_to_srgb(linear))
    alpha = np.clip(linear[..., 3:4], 0.0, 1.0)
    color = np.divide(linear[..., :3], alpha, out=np.zeros_like(linear[..., :3]), where=alpha > 0)
    return to_bytes(np.concatenate([linear_to_srgb(color), alpha], axis=-1))


def encode_png(pixels: np.ndarray) -> bytes:
    """The PNG file of uint8 pixels [H, W], [H, W, 3] or [H, W, 4]."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,), (4,)):
        raise ValueError(f"No picture has {pixels.dtype} pixels of the shape {pixels.shape}.")
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return stream.getvalue()


def decode_image(path: Path, upright: bool = True) -> np.ndarray:
    """Read a PNG or JPEG as uint8 [H, W, 3], or [H, W, 4] if it has transparency.

    `upright` turns a photograph as its camera noted (EXIF); else pixels come as they are stored.
    Raises ImageError naming the file.
    """
    return decode_bytes(read_bytes(path), str(path), upright)


def decode_bytes(content: bytes, name: str, upright: bool = True) -> np.ndarray:
    """Like `decode_image`, from memory; `name` is what errors call it."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            _check_size(picture, name)
            picture.load()
            turned = ImageOps.exif_transpose(picture) if upright else picture
            return np.array(_eight_bits(turned))
    except ImageError:
        raise
    except DECODING_ERRORS as error:
        raise ImageError(
            f"{name} is not a readable PNG or JPEG picture.", "Write or copy it again."
        ) from error


def _check_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} has {width} x {height} pixels.", f"At most {MAX_PIXELS} are read.")


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits of gray
        values = np.asarray(picture, np.int64) >> 8
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")
    transparent = picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
    return picture.convert("RGBA" if transparent else "RGB")
