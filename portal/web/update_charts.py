"""Charts of updates, drawn by the server as SVG. Pure: numbers in, markup out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from math import ceil, log10
from zoneinfo import ZoneInfo

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 820, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 14, 12, 24
TONES = ("ok", "info", "warn", "mute", "off")  # of the versions most devices run; the rest is one
REST = "others"


def progress_chart(
    points: Sequence[tuple[datetime, int]], *, total: int, title: str, zone: ZoneInfo
) -> SafeString:
    """Devices updated over time: steps up to `total`. Two points at least."""
    first, last = points[0][0], points[-1][0]
    span = max((last - first).total_seconds(), 1.0)
    top = _round_up(total)

    def x(moment: datetime) -> float:
        return LEFT + (moment - first).total_seconds() / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (top - value) * (HEIGHT - TOP - BOTTOM) / top

    grid = _grid(top, y)
    path = " L".join(f"{x(moment):.1f} {y(value):.1f}" for moment, value in points)
    labels = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        (
            (f"{x(moment):.1f}", HEIGHT - 5, anchor, f"{moment.astimezone(zone):%-d %b}")
            for moment, anchor in ((first, "start"), (last, "end"))
        ),
    )
    return format_html(
        '<svg class="chart chart--wide" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}'
        '<path class="a" d="M{} {} L{} L{} {}z"/><path class="l" d="M{}"/>'
        '<circle class="pt" cx="{}" cy="{}" r="3"/></svg>',
        *(WIDTH, HEIGHT, title, grid, labels, LEFT, HEIGHT - BOTTOM, path, f"{x(last):.1f}"),
        *(HEIGHT - BOTTOM, path, f"{x(last):.1f}", f"{y(points[-1][1]):.1f}"),
    )


def shown_versions(days: Mapping[date, Mapping[str, int]]) -> list[str]:
    """The versions drawn apart: those most devices ran on the last day, then on all days."""
    if not days:
        return []
    last = days[max(days)]
    over_all: dict[str, int] = {}
    for versions in days.values():
        for version, number in versions.items():
            over_all[version] = over_all.get(version, 0) + number
    ranked = sorted(over_all, key=lambda version: (-last.get(version, 0), -over_all[version], version))
    return ranked[: len(TONES)]


def spread_chart(days: Mapping[date, Mapping[str, int]], shown: Sequence[str], *, title: str) -> SafeString:
    """One bar a day, its devices by version."""
    top = _round_up(max((sum(versions.values()) for versions in days.values()), default=1))
    step = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
    width = min(step * 0.8, 40.0)
    scale = (HEIGHT - TOP - BOTTOM) / top
    rects, labels = [], []
    ordered = sorted(days)
    for place, day in enumerate(ordered):
        x, base = LEFT + place * step + (step - width) / 2, float(HEIGHT - BOTTOM)
        rest = sum(number for version, number in days[day].items() if version not in shown)
        parts = [(tone, days[day].get(version, 0)) for tone, version in zip(TONES, shown, strict=False)]
        for tone, number in [*parts, ("none", rest)]:
            if number:
                base -= number * scale
                rects.append((tone, f"{x:.1f}", f"{base:.1f}", f"{width:.1f}", f"{number * scale:.1f}"))
        if place in (0, len(ordered) - 1):
            anchor = "start" if place == 0 else "end"
            labels.append((f"{x if place == 0 else x + width:.1f}", HEIGHT - 5, anchor, f"{day:%-d %b}"))
    bars = format_html_join(
        "", '<rect class="b" data-tone="{}" x="{}" y="{}" width="{}" height="{}"/>', rects
    )
    said = format_html_join("", '<text x="{}" y="{}" text-anchor="{}">{}</text>', labels)
    grid = _grid(top, lambda value: TOP + (top - value) * scale)
    return format_html(
        '<svg class="chart chart--wide" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>',
        *(WIDTH, HEIGHT, title, grid, bars, said),
    )


def _grid(top: int, y: Callable[[float], float]) -> SafeString:
    ticks = [0, top // 2, top] if top > 1 else [0, 1]
    return format_html_join(
        "",
        '<line class="gridline" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, WIDTH - RIGHT, f"{at:.1f}", f"{at:.1f}", LEFT - 8, f"{at + 4:.1f}", tick)
            for tick in ticks
            for at in (y(tick),)
        ),
    )


def _round_up(value: int) -> int:
    """To 1, 2, 4 or 6 times a power of ten: its half is a whole number too, but for 1."""
    if value <= 1:
        return 1
    power = 10 ** int(log10(value))
    return (
        next(int(step * power) for step in (1, 2, 4, 6, 8, 10) if value <= step * power)
        if power > 1
        else (2 * ceil(value / 2))
    )
