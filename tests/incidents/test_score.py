"""The score: each part at its edges, and never another sum than its parts say."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.models import RoomDay
from foundation.ids import new_id
from incidents import room_scores, suppression
from incidents.score import RoomFacts, Ticket, score
from incidents.severity import Severity
from tests.factories.fleet import make_room
from tests.factories.incidents import fall_silent, heard, make_incident, make_watched_device, said, watch_ends

MINUTE = timedelta(minutes=1)
ID = UUID(int=1)


def ticket(severity: Severity, **given_values: bool) -> Ticket:
    return Ticket(ID, severity, severity.label, **given_values)


@pytest.mark.parametrize(
    ("facts", "value", "label"),
    [
        (RoomFacts(devices=1), 100, "Good"),
        (RoomFacts(), None, "Not watched"),
        (RoomFacts(devices=1, tickets=[ticket(Severity.CRITICAL)]), 60, "Poor"),
        (RoomFacts(devices=1, tickets=[ticket(Severity.IMPORTANT)]), 75, "Fair"),
        (RoomFacts(devices=1, tickets=[ticket(Severity.WARNING)] * 5), 85, "Fair"),
        (RoomFacts(devices=1, tickets=[ticket(Severity.RECOMMENDED)] * 9), 95, "Good"),
        (RoomFacts(devices=1, tickets=[ticket(Severity.CRITICAL)] * 3), 0, "Bad"),
        (RoomFacts(devices=1, silent=1), 40, "Poor"),
        (RoomFacts(devices=2, silent=1), 80, "Fair"),
        (
            RoomFacts(devices=1, silent=1, tickets=[ticket(Severity.IMPORTANT, about_silence=True)]),
            40,
            "Poor",
        ),
        (RoomFacts(devices=1, watched=["Camera"] * 4), 91, "Good"),
        (RoomFacts(devices=1, unsteady=["Camera"] * 4), 88, "Fair"),
        (RoomFacts(devices=1, days=[False] * 7 + [True] * 7), 92, "Good"),
        (RoomFacts(devices=1, days=[True] * 14 + [False] * 14), 100, "Good"),
        (RoomFacts(devices=1, days=[False] + [True] * 13), 99, "Good"),
    ],
)
def test_what_takes_points_and_how_many(facts, value, label):
    found = score(facts)
    assert (found.value, found.label) == (value, label)


@settings(deadline=None)
@given(
    st.builds(
        RoomFacts,
        devices=st.integers(1, 5),
        silent=st.integers(0, 5),
        tickets=st.lists(st.sampled_from(Severity).map(ticket), max_size=8),
        watched=st.lists(st.just("Camera"), max_size=8),
        unsteady=st.lists(st.just("Camera"), max_size=8),
        days=st.lists(st.booleans(), max_size=30),
    )
)
def test_the_parts_add_up_and_every_one_says_why(facts):
    found = score(facts)
    assert found.value == max(100 - sum(part.points for part in found.parts), 0)
    assert all(part.points > 0 and part.text for part in found.parts)
    assert [part.points for part in found.parts] == sorted(
        (part.points for part in found.parts), reverse=True
    )


def test_a_room_says_what_is_wrong_with_it_now(inside, at, django_assert_max_num_queries):
    device = make_watched_device(at=at)
    incident = make_incident(device, at=at)
    heard(said(device, "mic_conf", at=at), at=at)  # watched, no ticket yet
    with django_assert_max_num_queries(5):
        found = room_scores.score_of(device.room, at=at)
    assert [(part.points, part.incident_id) for part in found.parts] == [(25, incident.id), (3, None)]
    assert found.value == 72


def test_silence_counts_once_and_what_is_suppressed_not_at_all(inside, at):
    device = make_watched_device(at=at)
    fall_silent(device, at=at)
    watch_ends(device, "offline", at=at + MINUTE)
    found = room_scores.score_of(device.room, at=at + MINUTE)
    assert [(part.points, part.text) for part in found.parts] == [(60, "No device is heard")]
    other = make_watched_device(at=at)
    make_incident(other, at=at)
    suppression.suppress(inside.id, room_id=other.room_id, until=at + 9 * MINUTE, reason="Refit", at=at)
    assert room_scores.score_of(other.room, at=at).value == 100


def test_a_bad_fortnight_is_remembered_and_a_room_without_devices_has_no_score(inside, at):
    device = make_watched_device(at=at)
    for back in range(1, 5):
        RoomDay.objects.create(
            tenant_id=inside.id, room=device.room, day=(at - timedelta(days=back)).date(), healthy=back > 2
        )
    assert room_scores.score_of(device.room, at=at).value == 92
    assert room_scores.score_of(make_room(at=at), at=at).value is None
    assert new_id() != ID
