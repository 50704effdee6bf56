"""Small charts drawn by the server as SVG. Pure: numbers in, markup out."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 38, 14, 12, 24


@dataclass(frozen=True)
class Point:
    label: str
    value: float


def line_chart(points: list[Point], *, title: str, top: float = 100.0) -> SafeString:
    """A line of percentages with its area. `title` is the text alternative: the message in one sentence.

    At least two points. The axis ends at `top` and begins at a round number below the lowest value.
    """
    low = _floor(min(point.value for point in points), top)
    across = (WIDTH - LEFT - RIGHT) / (len(points) - 1)

    def x(i: int) -> str:
        return f"{LEFT + i * across:.1f}"

    def y(value: float) -> str:
        return f"{TOP + (top - value) * (HEIGHT - TOP - BOTTOM) / (top - low):.1f}"

    grid = format_html_join(
        "",
        '<line class="gridline" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}%</text>',
        (
            (LEFT, WIDTH - RIGHT, y(tick), y(tick), LEFT - 8, f"{float(y(tick)) + 4:.1f}", f"{tick:g}")
            for tick in (low, (low + top) / 2, top)
        ),
    )
    last = len(points) - 1
    labels = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        (
            (x(i), HEIGHT - 5, "start" if i == 0 else "end" if i == last else "middle", points[i].label)
            for i in sorted({0, last // 2, last})
        ),
    )
    path = " L".join(f"{x(i)} {y(point.value)}" for i, point in enumerate(points))
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}<path class="a" d="M{} {} L{} L{} {}z"/>'
        '<path class="l" d="M{}"/><circle class="pt" cx="{}" cy="{}" r="3"/></svg>',
        WIDTH,
        HEIGHT,
        title,
        grid,
        labels,
        x(0),
        HEIGHT - BOTTOM,
        path,
        x(last),
        HEIGHT - BOTTOM,
        path,
        x(last),
        y(points[last].value),
    )


def _floor(lowest: float, top: float) -> float:
    """The round number below: steps that leave the line in the upper part."""
    return next((top - span for span in (10, 20, 40, 60) if lowest >= top - span), 0.0)
