"""Small charts as SVG: curves on a logarithmic axis, and bars. Colors come from the page's style."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 560.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 14.0, 34.0, 34.0
MOST_POINTS = 240  # of a curve

Curve = Sequence[tuple[float, float]]


def curves(title: str, named: Mapping[str, Curve], x_label: str) -> Markup:
    """Curves with positive values on a logarithmic axis; values that are not positive are left out.

    Empty text if there is nothing to draw.
    """
    drawn = {
        name: _thinned([(x, y) for x, y in curve if y > 0 and math.isfinite(y)])
        for name, curve in named.items()
    }
    drawn = {name: curve for name, curve in drawn.items() if len(curve) > 1}
    if not drawn:
        return Markup()
    xs = [x for curve in drawn.values() for x, _ in curve]
    ys = [math.log10(y) for curve in drawn.values() for _, y in curve]
    x_range, y_range = (min(xs), max(max(xs), min(xs) + 1)), _padded(min(ys), max(ys))
    parts = [_grid(x_range, y_range, x_label)]
    for index, curve in enumerate(drawn.values()):
        across = [_at(x, x_range, LEFT, WIDTH - RIGHT) for x, _ in curve]
        up = [_at(math.log10(y), y_range, HEIGHT - BOTTOM, TOP) for _, y in curve]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
        parts.append(f'<polyline class="curve c{index % 4}" points="{points}"/>')
    parts.append(_legend(list(drawn)))
    return _svg(title, WIDTH, HEIGHT, parts)


def bars(title: str, values: Mapping[str, float], unit: str) -> Markup:
    """One horizontal bar a value, with its figure."""
    if not values:
        return Markup()
    row, left = 30, 96
    longest = max(max(values.values()), 1e-9)
    parts = []
    for index, (name, value) in enumerate(values.items()):
        y = index * row + 6
        length = max(1.0, value / longest * (WIDTH - left - 76))
        parts.append(
            f'<text class="label" x="{left - 10}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
        )
        parts.append(f'<rect class="bar" x="{left}" y="{y}" width="{length:.1f}" height="18" rx="2"/>')
        figure = f"{value:.1f} {unit}"
        parts.append(f'<text class="label" x="{left + length + 8:.1f}" y="{y + 14}">{escape(figure)}</text>')
    return _svg(title, WIDTH, len(values) * row + 4.0, parts)


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> Markup:
    inside = "".join(parts)
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inside}</svg>"
    )


def _grid(x_range: tuple[float, float], y_range: tuple[float, float], x_label: str) -> str:
    parts = []
    for power in range(math.ceil(y_range[0]), math.floor(y_range[1]) + 1):
        y = _at(float(power), y_range, HEIGHT - BOTTOM, TOP)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_power(power)}</text>'
        )
    for step in range(5):
        value = x_range[0] + (x_range[1] - x_range[0]) * step / 4
        x = _at(value, x_range, LEFT, WIDTH - RIGHT)
        anchor = "end" if step == 4 else "middle"
        place = f'x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="{anchor}"'
        parts.append(f'<text class="tick" {place}>{value:.0f}</text>')
    parts.append(
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'
    )
    parts.append(
        f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 2}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    parts = []
    y = 16.0  # in one row above the plot
    for index, name in enumerate(names):
        x = LEFT + index * (WIDTH - LEFT - RIGHT) / max(4, len(names))
        parts.append(f'<line class="curve c{index % 4}" x1="{x}" x2="{x + 20}" y1="{y - 4}" y2="{y - 4}"/>')
        parts.append(f'<text class="label" x="{x + 28}" y="{y}">{escape(name)}</text>')
    return "".join(parts)


def _power(power: int) -> str:
    return f"{10.0**power:g}"


def _at(value: float, span: tuple[float, float], start: float, end: float) -> float:
    return start + (value - span[0]) / (span[1] - span[0]) * (end - start)


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range around the values that holds at least one power of ten."""
    low, high = low - 0.08, high + 0.08
    if math.ceil(low) > math.floor(high):
        low = float(math.floor(low))
    return low, max(high, low + 0.2)


def _thinned(curve: Curve) -> list[tuple[float, float]]:
    """At most MOST_POINTS points: each the mean of its neighbors, geometric in y."""
    size = max(1, -(-len(curve) // MOST_POINTS))
    groups = [curve[first : first + size] for first in range(0, len(curve), size)]
    return [
        (
            sum(x for x, _ in group) / len(group),
            math.exp(sum(math.log(y) for _, y in group) / len(group)),
        )
        for group in groups
    ]
