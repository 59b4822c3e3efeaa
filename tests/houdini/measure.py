"""Time what Houdini would wait for, outside of Houdini: python -m tests.houdini.measure

Prints the best of several runs: seconds on the clock, and seconds of this process alone.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pxr import Usd

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "scripts"), str(PROJECT / "python3.11libs")]  # as pytest is told to

from tests.core.scene_samples import publish_ball  # noqa: E402
from tests.houdini import published_hou, published_scene  # noqa: E402

ASSET_BYTES, PICTURE_BYTES, SPLATS, ASSETS = 30_000_000, 3_000_000, 1_000_000, 1000


def best(work: Callable[[], object], runs: int = 5) -> tuple[float, float]:
    """The least seconds on the clock, and of the process."""
    times = []
    for _ in range(runs):
        wall, own = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - wall, time.process_time() - own))
    return min(wall for wall, _ in times), min(own for _, own in times)


def show(name: str, times: tuple[float, float]) -> None:
    """A line of the result."""
    print(f"{name:46} {1000 * times[0]:9.1f} ms   {1000 * times[1]:9.1f} ms of the process", flush=True)


def start_up() -> tuple[float, float]:
    """What runs when Houdini starts, in a Python that has started."""
    code = (
        "import time; a, b = time.perf_counter(), time.process_time(); import pythonrc;"
        "print(time.perf_counter() - a, time.process_time() - b)"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "python3.11libs")}
    lines = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(5)
    ]
    return min(float(wall) for wall, _ in lines), min(float(own) for _, own in lines)


def large_asset(path: Path) -> Path:
    """A `.neuron` file of 30 MB: a ball with large pictures."""
    from neuron_core.assets import read_asset, write_asset
    from tests.core.scene_samples import write_ball

    write_ball(path)
    asset = read_asset(path)
    tensors = dict(asset.tensors)
    picture = grown(tensors["preview.main"].tobytes(), PICTURE_BYTES)
    tensors |= {f"preview.view_{index}": picture for index in range(ASSET_BYTES // PICTURE_BYTES)}
    write_asset(path, asset.manifest, tensors)
    return path


def grown(png: bytes, size: int) -> np.ndarray:
    """A PNG with a chunk of its own before its end, which readers skip."""
    import struct
    import zlib

    body = bytes(size)
    chunk = b"neUr" + body
    more = struct.pack(">I", size) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return np.frombuffer(png[:-12] + more + png[-12:], np.uint8)


def large_library(index: Path, folder: Path) -> Path:
    """The index of a library of many assets that are all alike."""
    content = json.loads(index.read_text())
    ((name, asset),) = content["assets"].items()
    text = json.dumps(asset)
    places = (f"{name}_{number:04d}" for number in range(ASSETS))
    content["assets"] = {place: json.loads(text.replace(name, place)) for place in places}
    folder.mkdir()
    (folder / index.name).write_text(json.dumps(content))
    return folder


def main() -> None:
    """Measure and print."""
    sys.modules["hou"] = module = published_hou.Module((21, 0, 631))
    scene = published_scene.enter(module, desktop=False)
    show("start-up", start_up())
    wall = time.perf_counter()
    from neuron_houdini.nodes import asset_file
    from neuron_houdini.shelf import tools as shelf

    print(f"{'first import of node code':46} {1000 * (time.perf_counter() - wall):9.1f} ms")
    from neuron_core.assets import neuron_file
    from neuron_core.splats.ply import read_ply

    folder = Path(tempfile.mkdtemp())
    node = shelf.place_asset(str(large_asset(folder / "large.neuron")))

    def menu() -> None:
        neuron_file._kept_header.cache_clear()
        assert asset_file.look_menu(node)

    size = (folder / "large.neuron").stat().st_size / 1e6
    show(f"menu of looks, file of {size:.0f} MB, not read before", best(menu))
    show("menu of looks, read before", best(lambda: asset_file.look_menu(node)))
    from neuron_houdini.verify.exercises import write_splats

    write_splats(folder / "a.ply", SPLATS)
    splats = scene.roots["obj"].createNode("geo").createNode("neuron::splats::1.0")
    splats.setParms({"file": str(folder / "a.ply")})
    show("1,000,000 splats: the file", best(lambda: read_ply(folder / "a.ply"), 3))
    show("1,000,000 splats: the node", best(lambda: splats.cook(force=True), 3))
    write_splats(folder / "a.ply", SPLATS, 45)
    show("1,000,000 splats with harmonics: the node", best(lambda: splats.cook(force=True), 3))
    publish_ball(folder, folder / "library")
    many = scene.roots["stage"].createNode("neuron::assemble::1.0")
    box = scene.roots["obj"].createNode("geo").createNode("box")
    points = np.random.default_rng(0).normal(size=(ASSETS, 3)).astype(np.float32)
    box.geometry().made["P"] = points
    path = str(folder / "library" / "ball")
    many.setParms({"soppath": box.path(), "file": path, "primpath": "/World/many"})
    for method in ("reference", "instancer"):
        many.setParms({"method": method})
        show(f"1,000 assets as {method}", best(lambda: many.cook(force=True), 3))
    assert isinstance(many.stage(), Usd.Stage)
    large = large_library(folder / "library" / "library.json", folder / "large")
    from neuron_houdini.panel import library

    show(
        "panel: 1,000 assets read and searched",
        best(lambda: library.matching(library.entries_of(large), "b 12")),
    )


if __name__ == "__main__":
    main()
