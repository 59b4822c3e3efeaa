"""Draw a contact sheet of the grammar: 64 of its combinations on the shader ball.

python scripts/materials_sheet.py docs/images/materials.jpg
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from neuron_core.cameras.dome import field_of_view, framing_distance, turntable
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.foundation.progress import Silent
from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.mitsuba.renderer import MitsubaRenderer
from neuron_core.groundtruth.mitsuba.variants import choose_variant
from neuron_core.images.sheet import contact_sheet
from neuron_core.lights.studio import studio_environment
from neuron_core.materials.grammar import material_of
from neuron_core.materials.selection import select

BACKDROP = 0.82  # linear
COLUMNS = 8


def main() -> None:
    """Render one after the other and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--size", type=int, default=112, help="pixels of each picture")
    parser.add_argument("--spp", type=int, default=144)
    parser.add_argument("--seed", type=int, default=5, help="which combinations")
    arguments = parser.parse_args()
    size = arguments.size
    geometry = load_geometry("shaderball")
    renderer = MitsubaRenderer(choose_variant("auto", Silent()), resolution=size)
    renderer.prepare(geometry, studio_environment())
    center, radius = geometry.bounding_sphere()
    distance = framing_distance(radius, field_of_view(50.0, 36.0, size, size), 1.03)
    camera = turntable(8, center.tolist(), distance, 18.0, width=size, height=size)[0]
    items = []
    for chosen in select(arguments.count, 0, arguments.seed).trained:
        picture = renderer.beauty(material_of(chosen), camera, arguments.spp, 1)
        shown = linear_to_srgb(picture[..., :3] + (1.0 - picture[..., 3:]) * BACKDROP)
        items.append((chosen.name, np.rint(255.0 * shown.clip(0.0, 1.0)).astype(np.uint8)))
        print(chosen.name, flush=True)  # noqa: T201
    rows = [("", items[start : start + COLUMNS]) for start in range(0, len(items), COLUMNS)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(contact_sheet(rows, "")).save(arguments.out, quality=86)


if __name__ == "__main__":
    main()
