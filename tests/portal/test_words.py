"""How pages say times, numbers and states; small charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template, TemplateSyntaxError

from foundation import clock
from portal.templatetags.greenroom_ui import initials, plural
from portal.web import words
from portal.web.charts import Point, line_chart

OSLO = ZoneInfo("Europe/Oslo")


@pytest.fixture
def pinned(at):
    with clock.read_once(at):
        yield at


def rendered(markup: str, **values: object) -> str:
    return Template("{% load greenroom_ui %}" + markup).render(Context(values))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"),
        (59, "59 s"),
        (60, "1 m"),
        (3599, "59 m"),
        (3600, "1 h 00 m"),
        (172799, "47 h 59 m"),
        (172800, "2 d"),
    ],
)
def test_spans_are_said_in_two_units_at_most(seconds, said):
    assert words.span_text(seconds) == said


@pytest.mark.parametrize(
    ("left", "said"),
    [(59, "0:00:59"), (-412, "−0:06:52"), (35999, "9:59:59"), (36000, "10 h 00 m"), (190800, "2 d 5 h")],
)
def test_countdowns_grow_coarser_with_distance(left, said):
    assert words.countdown_text(left) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "none"), (10, "10 s"), (90, "90 s"), (300, "5 min"), (3600, "1 h"), (9000, "2 h 30 min")],
)
def test_periods_are_said_as_settings_say_them(seconds, said):
    assert words.period_text(seconds) == said


def test_moments_are_told_in_the_zone_of_the_page(pinned):
    assert words.moment_text(pinned, OSLO) == "10:00"
    assert words.moment_text(datetime(2026, 11, 21, 23, 30, tzinfo=UTC), OSLO) == "00:30"
    assert words.moment_text(datetime(2026, 11, 11, 21, 14, tzinfo=UTC), OSLO) == "11 Nov, 22:14"
    assert words.moment_text(datetime(2025, 11, 11, 21, 14, tzinfo=UTC), OSLO) == "11 Nov 2025"


def test_ages_count_on_in_the_browser_and_become_dates(pinned):
    recent = rendered("{% ago when %}", when=pinned - timedelta(seconds=20), zone="UTC")
    assert 'data-age="20"' in recent
    assert ">20 s ago<" in recent
    assert ">20 Nov, 08:00<" in rendered("{% ago when %}", when=pinned - timedelta(hours=49), zone="UTC")
    assert rendered("{% ago when %}", when=None, zone="UTC") == "Never"


def test_a_device_that_reports_was_seen_just_now(pinned):
    seen = pinned - timedelta(seconds=100)
    assert rendered("{% seen when %}", when=seen, zone="UTC") == "Just now"
    assert "1 m ago" in rendered("{% seen when True %}", when=seen, zone="UTC")


def test_a_clock_turns_amber_red_and_late(pinned):
    def ring(left: int) -> str:
        return rendered(
            "{% sla due since %}",
            due=pinned + timedelta(seconds=left),
            since=pinned + timedelta(seconds=left - 1000),
        )

    assert "data-tone" not in ring(400)
    assert 'data-tone="warn"' in ring(300)
    assert 'data-tone="bad"' in ring(100)
    assert "data-late" in ring(-1)


def test_customers_and_operators_read_the_same_state_in_their_own_words():
    assert words.ticket_state("needs_action") == ("warn", "Waiting on you")
    assert words.ticket_state("needs_action", for_operator=True) == ("mute", "Waiting on customer")
    assert all("SOC" not in label for _, *labels in words.TICKET_STATES.values() for label in labels)


def test_an_icon_that_is_not_drawn_fails_loudly():
    with pytest.raises(TemplateSyntaxError):
        rendered('{% icon "nonsense" %}')


def test_a_strip_says_in_words_what_it_draws():
    drawn = rendered('{% strip "oob-m" "5 days" %}')
    assert "5 days: 2 healthy days, 1 unhealthy, 1 suppressed, 1 without data" in drawn
    assert drawn.count("<rect") == 5


def test_names_become_initials_and_numbers_take_their_noun():
    assert [initials(name) for name in ("Halden Group", "Ingrid", "", "Mina van Okafor")] == [
        "HG",
        "I",
        "",
        "MO",
    ]
    assert [plural(n, "room") for n in (0, 1, 1200)] == ["0 rooms", "1 room", "1,200 rooms"]


def test_a_line_of_percentages_stays_inside_its_frame():
    drawn = line_chart([Point("1 Nov", 100.0), Point("2 Nov", 55.5), Point("3 Nov", 97.0)], title="A & B")
    heights = [float(pair.split()[1]) for pair in drawn.split('class="l" d="M')[1].split('"')[0].split(" L")]
    assert heights[0] < heights[2] < heights[1] <= 230
    assert 'aria-label="A &amp; B"' in drawn
    assert "40%" in drawn
