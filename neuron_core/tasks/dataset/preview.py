"""One picture that shows a whole dataset."""

from collections.abc import Sequence

import numpy as np

from neuron_core.images.pictures import display, encode_png

MOST_COLUMNS = 8
GAP = 2  # pixels of white between pictures


def contact_sheet(rows: Sequence[Sequence[np.ndarray]]) -> bytes:
    """A PNG with one row for each material, from linear premultiplied pictures [H, W, 4] of one size.

    Rows may differ in length; at least one picture is needed.
    """
    shown = [[display(picture) for picture in row[:MOST_COLUMNS]] for row in rows]
    height, width = next(picture for row in shown for picture in row).shape[:2]
    columns = max(len(row) for row in shown)
    size = (len(shown) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    sheet = np.full(size, 255, np.uint8)
    for index, row in enumerate(shown):
        for column, picture in enumerate(row):
            top, left = index * (height + GAP), column * (width + GAP)
            sheet[top : top + height, left : left + width] = picture
    return encode_png(sheet)
