"""Template tags of the design system: icons, states, clocks, strips, fields.

All return plain SVG or HTML without inline style or script, so a strict content security policy holds.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from django import template
from django.conf import settings
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from portal.web import words

register = template.Library()

MARK = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
    'stroke-linejoin="round" aria-hidden="true"><path d="M8 21H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2h14a2 2 0 0 1 2 2v14a2 2 '
    '0 0 1-2 2h-1"/><path d="M8 21v-9.5a9.5 9.5 0 0 1 9.5 9.5z" fill="currentColor" fill-opacity=".22"/></svg>'
)
STRIP_WORDS = {"b": "unhealthy", "f": "offline", "m": "suppressed", "-": "without data"}
STRIP_CLASSES = {"o": "", "b": "bad", "f": "off", "m": "mute", "-": "none"}
STRIP_HEIGHTS = {"o": 0.62, "m": 0.62, "b": 1.0, "f": 1.0, "-": 0.2}


@cache
def _drawn() -> frozenset[str]:
    """Names the sprite holds, so that a wrong one fails in a test and not as an empty box."""
    sprite = (settings.BASE_DIR / "static" / "icons.svg").read_text()
    return frozenset(re.findall(r'<symbol id="([^"]+)"', sprite))


def _use(symbol: str) -> str:
    if symbol not in _drawn():
        raise template.TemplateSyntaxError(f"icons.svg has no {symbol}")
    return f"{static('icons.svg')}#{symbol}"


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"/></svg>', _use(f"i-{name}"))


@register.simple_tag
def glyph(tone: str) -> SafeString:
    """The filled status mark of a tone; each has a silhouette of its own."""
    return format_html(
        '<svg class="glyph" data-tone="{}" aria-hidden="true"><use href="{}"/></svg>', tone, _use(f"g-{tone}")
    )


@register.simple_tag
def mark() -> SafeString:
    return mark_safe(MARK)  # noqa: S308  a constant


@register.simple_tag
def sprite() -> str:
    """Address of the sprite, for toasts that are made in the browser."""
    return static("icons.svg")


@register.simple_tag
def chip(tone: str, label: str, loud: bool = False) -> SafeString:
    css = "chip chip--loud" if loud else "chip"
    return format_html('<span class="{}" data-tone="{}">{}{}</span>', css, tone, glyph(tone), label)


@register.simple_tag
def state(name: str, loud: bool = False) -> SafeString:
    """A room's state, e.g. "unmonitored", by shape, word and colour."""
    tone, label = words.ROOM_STATES[name]
    return chip(tone, label, loud)


@register.simple_tag
def room_state(name: str) -> tuple[str, str]:
    """Tone and label, for `as`."""
    return words.ROOM_STATES[name]


@register.simple_tag
def ticket_state(name: str, for_operator: bool = False, loud: bool = False) -> SafeString:
    tone, label = words.ticket_state(name, for_operator=for_operator)
    return chip(tone, label, loud)


@register.simple_tag
def severity(level: int, short: bool = False) -> SafeString:
    """Signal bars: more bars, more severe. The word is always there for screen readers."""
    tone, label = words.SEVERITIES[int(level)]
    bars = format_html_join(
        "",
        '<rect{} x="{}" y="{}" width="2.6" height="{}" rx=".8"/>',
        (
            (
                mark_safe("") if i < 5 - int(level) else mark_safe(' class="dim"'),
                1 + i * 4,
                10 - i * 3,
                5 + i * 3,
            )
            for i in range(4)
        ),
    )
    word = format_html('<span class="{}">{}</span>', "vh" if short else "sev__word", label)
    return format_html(
        '<span class="sev" data-tone="{}"><svg viewBox="0 0 17 16" aria-hidden="true">{}</svg>{}</span>',
        tone,
        bars,
        word,
    )


@register.simple_tag(takes_context=True)
def ago(context: dict[str, Any], moment: Any, bare: bool = False) -> SafeString | str:
    """ "20 s ago", then the date. `bare`: without "ago". Goes on counting in the browser."""
    return _age(moment, words.zone_of(context), bare=bare)


@register.simple_tag(takes_context=True)
def seen(context: dict[str, Any], moment: Any, silent: bool = False) -> SafeString | str:
    """When a device was last heard: "Just now" while it reports, so that a list at rest stays the same."""
    if moment is not None and not silent and words.seconds_since(moment) < words.JUST_NOW_S:
        return "Just now"
    return _age(moment, words.zone_of(context), bare=False)


def _age(moment: Any, zone: Any, *, bare: bool) -> SafeString | str:
    if moment is None:
        return "Never"
    seconds = words.seconds_since(moment)
    if not bare and seconds >= words.DATE_AFTER_S:
        return format_html(
            '<time datetime="{}">{}</time>', moment.isoformat(), words.moment_text(moment, zone)
        )
    return format_html(
        '<time datetime="{}" data-age="{}"{}>{}</time>',
        moment.isoformat(),
        seconds,
        mark_safe(" data-bare") if bare else "",
        words.span_text(seconds) + ("" if bare else " ago"),
    )


@register.simple_tag(takes_context=True)
def when(context: dict[str, Any], moment: Any) -> SafeString | str:
    """Wall-clock time in the zone of the page: "09:21" today, else "11 Nov, 22:14"."""
    if moment is None:
        return ""
    text = words.moment_text(moment, words.zone_of(context))
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), text)


@register.simple_tag
def span(begin: Any, end: Any) -> str:
    """How long something took: "6 m"; nothing where an end is missing."""
    return words.span_text(int((end - begin).total_seconds())) if begin and end else ""


@register.simple_tag
def sla(due: Any, since: Any, label: str = "") -> SafeString:
    """Countdown ring to `due`, full at `since`. Seconds left are sent, so a wrong client clock does no harm."""
    left = -words.seconds_since(due)
    budget = max(int((due - since).total_seconds()), 1)
    share = max(0, min(100, round(100 * left / budget)))
    tone = "bad" if share <= 10 else "warn" if share <= 30 else ""
    return format_html(
        '<span class="sla"{}{} data-left="{}" data-budget="{}"><svg viewBox="0 0 16 16" aria-hidden="true">'
        '<circle cx="8" cy="8" r="6"/><circle cx="8" cy="8" r="6" pathLength="100" stroke-dasharray="{} 100"/></svg>'
        "{}<span>{}</span></span>",
        format_html(' data-tone="{}"', tone) if tone else "",
        mark_safe(" data-late") if left < 0 else "",
        left,
        budget,
        share if left > 0 else 100,
        f"{label} " if label else "",
        words.countdown_text(left),
    )


@register.simple_tag
def bar(value: float, maximum: float = 100, label: str = "", tone: str = "") -> SafeString:
    return format_html(
        '<progress class="bar" value="{}" max="{}" aria-label="{}"{}></progress>',
        value,
        maximum,
        label,
        format_html(' data-tone="{}"', tone) if tone else "",
    )


@register.simple_tag
def strip(days: str, label: str, small: bool = False) -> SafeString:
    """A room's days, oldest first: o healthy, b unhealthy, f offline, m suppressed, - no data.

    Trouble is drawn taller than health, so the strip reads without colour; the text alternative counts.
    """
    counts = [f"{days.count('o')} healthy days"]
    counts += [f"{days.count(letter)} {word}" for letter, word in STRIP_WORDS.items() if letter in days]
    step, width, height = (3.5, 2.3, 18) if small else (4, 2.5, 28)
    rects = format_html_join(
        "",
        '<rect{} x="{}" y="{}" width="{}" height="{}" rx="1"/>',
        (
            (
                format_html(' class="{}"', STRIP_CLASSES[day]) if STRIP_CLASSES[day] else "",
                f"{i * step:g}",
                f"{height * (1 - STRIP_HEIGHTS[day]):.1f}",
                width,
                f"{height * STRIP_HEIGHTS[day]:.1f}",
            )
            for i, day in enumerate(days)
        ),
    )
    return format_html(
        '<svg class="strip{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        " strip--sm" if small else "",
        f"{len(days) * step - (step - width):g}",
        height,
        f"{label}: {', '.join(counts)}",
        rects,
    )


@register.simple_tag
def stacked(parts: list[tuple[str, int]], label: str) -> SafeString:
    """`parts`: (tone, number), drawn as one bar in proportion; nothing for a sum of 0."""
    total = sum(number for _, number in parts)
    drawn, x = [], 0.0
    for tone, number in parts:
        if number:
            width = 1000 * number / total
            drawn.append((tone, f"{x:.1f}", f"{max(width - 3, 1):.1f}"))
            x += width
    rects = format_html_join("", '<rect data-tone="{}" x="{}" width="{}" height="8"/>', drawn)
    return format_html(
        '<svg class="stacked" viewBox="0 0 1000 8" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        label,
        rects,
    )


@register.simple_tag
def field(bound: BoundField) -> SafeString:
    """A form's input with its label, hint and message, tied together for screen readers."""
    widget = bound.field.widget
    several = isinstance(widget, RadioSelect | CheckboxSelectMultiple)
    kind = "choices" if several else "check" if isinstance(widget, CheckboxInput) else "input"
    described = [f"{bound.auto_id}-hint"] if bound.help_text else []
    attributes: dict[str, Any] = {} if kind != "input" else {"class": "input"}
    if kind == "check":
        attributes = {"class": "switch", "role": "switch"}
    if bound.errors:
        attributes["aria-invalid"] = "true"
        described.append(f"{bound.auto_id}-error")
    attributes["aria-describedby"] = " ".join(described) or None
    return render_to_string(
        "components/field.html",
        {"field": bound, "kind": kind, "control": bound.as_widget(attrs=_given(attributes))},
    )


def _given(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The address of this list with some parameters changed; None removes one. A change starts at page one."""
    parameters = context["request"].GET.copy()
    for name in ("after", "before"):
        parameters.pop(name, None)
    for name, value in changes.items():
        parameters.pop(name, None)
        if value not in (None, ""):
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}" if parameters else context["request"].path


@register.filter
def initials(name: str) -> str:
    """ "Halden Group" becomes HG."""
    parts = [part for part in name.split() if part[:1].isalnum()]
    return "".join(part[0] for part in ([parts[0], parts[-1]] if len(parts) > 1 else parts)).upper()


@register.filter
def plural(number: int, noun: str) -> str:
    """ "1 room", "3 rooms"; a noun with a comma names both forms: "person,people"."""
    one, _, many = noun.partition(",")
    return f"{number:,} {one if number == 1 else many or one + 's'}"
