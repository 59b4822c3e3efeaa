"""Layers as files: edited whole or not at all, and the paths that lead from one to another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pxr import Sdf, Usd

from neuron_core.foundation.files import read_bytes, replacing
from neuron_core.usd.records import SceneError
from neuron_core.usd.stage import quiet, read_stage

SUFFIXES = (".usda", ".usd", ".usdc")


@contextmanager
def editing(path: Path) -> Iterator[Usd.Stage]:
    """The stage of a file, written back whole when the block ends without an error, else left as it was.

    Raises SceneError or FileError if it cannot be opened or is a package.
    """
    if path.suffix.lower() == ".usdz":
        raise SceneError(f"{path} is a package.", "Packages cannot be changed; edit what it was made from.")
    stage = read_stage(path).stage
    layer = stage.GetRootLayer()
    try:
        with quiet():
            yield stage
        save(layer, path)
    finally:
        if layer.dirty:
            layer.Reload(force=True)


def save(layer: Sdf.Layer, path: Path) -> None:
    """Write a layer whole or not at all, in the format that the file has or its name asks for."""
    binary = path.is_file() and read_bytes(path)[:8] == b"PXR-USDC"
    text = {"format": "usdc" if binary else "usda"} if path.suffix.lower() == ".usd" else {}
    if Sdf.Layer.Find(str(path)) is layer and path.is_file() and not text:
        layer.Save()
        return
    with replacing(path) as temporary:
        if not layer.Export(str(temporary), args=text):
            raise SceneError(f"{path} cannot be written.", "Look at the path and the permissions.")


def relative(target: Path, folder: Path | None) -> str:
    """A path as layers in `folder` write it: from there, with slashes; absolute on another drive.

    Layers that lie nowhere, as a host composes them, write absolute paths too.
    """
    if folder is None:
        return str(target.resolve()).replace(os.sep, "/")
    try:
        path = os.path.relpath(target.resolve(), folder.resolve()).replace(os.sep, "/")
    except ValueError:
        return str(target.resolve()).replace(os.sep, "/")
    return path if path.startswith("../") else f"./{path}"
