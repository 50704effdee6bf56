from __future__ import annotations

from datetime import timedelta

import pytest

from fleet import room_groups
from fleet.models import Room
from foundation.errors import NotFound, NotValid
from foundation.models import Timer
from incidents import suppression
from incidents.errors import UnknownSignal
from incidents.models import Incident, Suppression
from tests.factories.incidents import (
    CAMERA_WATCH,
    heal,
    heard,
    incidents_of,
    make_incident,
    make_watched_device,
    said,
    the_incident,
    watch_ends,
)

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def device(inside, at):
    return make_watched_device(at=at)


@pytest.fixture
def group(device, at):
    made = room_groups.add_group(name="Refit", at=at)
    room_groups.add_members(made.id, [device.room_id], at=at)
    return made


def fire(tenant_id, row, *, at):
    kind = "suppression" if isinstance(row, Suppression) else "window"
    suppression.turned(tenant_id, f"{kind}:{row.id}", at=at)


def test_a_signal_of_a_group_is_quiet_until_its_end_which_raises_what_is_still_bad(device, group, inside, at):
    until = at + 5 * DAY
    row = suppression.suppress(
        inside.id, group_id=group.id, signal="camera_room", until=until, reason="New cameras", at=at
    )
    heard(said(device, at=at + MINUTE), said(device, "mic_conf", at=at + MINUTE), at=at + MINUTE)
    watch_ends(device, at=at + 2 * MINUTE)
    watch_ends(device, "mic_conf", at=at + 2 * MINUTE)
    assert [each.signal for each in incidents_of(device)] == ["mic_conf"]
    assert Timer.objects.get(kind="watch").due_at == until
    fire(inside.id, row, at=until)
    assert watch_ends(device, at=until).opened == 1
    assert the_incident(device).fault_at == at + MINUTE


def test_what_recovered_under_a_suppression_is_never_told(device, group, inside, at):
    row = suppression.suppress(inside.id, group_id=group.id, until=at + DAY, reason="Refit", at=at)
    heard(said(device, at=at), at=at)
    watch_ends(device, at=at + CAMERA_WATCH)
    heal(device, at=at + 2 * MINUTE)
    fire(inside.id, row, at=at + DAY)
    assert watch_ends(device, at=at + DAY).opened == 0
    assert not incidents_of(device)


def test_ended_early_it_raises_what_is_bad_now(device, group, inside, at):
    row = suppression.suppress(inside.id, group_id=group.id, until=at + DAY, reason="Refit", at=at)
    heard(said(device, at=at), at=at)
    watch_ends(device, at=at + CAMERA_WATCH)
    suppression.end_suppression(inside.id, row.id, at=at + 5 * MINUTE)
    assert watch_ends(device, at=at + 5 * MINUTE).opened == 1
    suppression.end_suppression(inside.id, row.id, at=at + 6 * MINUTE)  # repeated: nothing more


def test_an_open_ticket_is_marked_while_its_signal_is_quiet(device, inside, at):
    incident = make_incident(device, at=at)
    row = suppression.suppress(
        inside.id, room_id=device.room_id, signal="camera_room", until=at + DAY, reason="Refit", at=at
    )
    incident.refresh_from_db()
    assert incident.suppressed
    assert Room.objects.get(id=device.room_id).open_faults == 0
    fire(inside.id, row, at=at + DAY)
    incident.refresh_from_db()
    assert not incident.suppressed
    assert Room.objects.get(id=device.room_id).open_faults == 1


def test_a_room_suppressed_as_a_whole_stays_marked_when_a_signals_quiet_ends(device, inside, at):
    Room.objects.filter(id=device.room_id).update(suppressed_until=at + 2 * DAY)
    incident = make_incident(device, at=at)
    row = suppression.suppress(
        inside.id, room_id=device.room_id, signal="camera_room", until=at + DAY, reason="Refit", at=at
    )
    fire(inside.id, row, at=at + DAY)
    incident.refresh_from_db()
    assert incident.suppressed


def test_maintenance_of_a_site_begins_by_itself_and_raises_at_its_end_only_what_is_still_bad(
    device, inside, at
):
    healed = make_watched_device(at=at)
    Room.objects.filter(id=healed.room_id).update(place=device.room.place, site_id=device.room.site_id)
    start, end = at + 10 * MINUTE, at + 70 * MINUTE
    row = suppression.plan_window(
        inside.id, place_id=device.room.place_id, starts_at=start, ends_at=end, reason="Power", at=at
    )
    make_incident(device, "mic_conf", at=at + 5 * MINUTE)  # before it: as ever
    fire(inside.id, row, at=start)
    assert the_incident(device, "mic_conf").suppressed
    for each in (device, healed):
        heard(said(each, at=start + MINUTE), at=start + MINUTE)
        watch_ends(each, at=start + 2 * MINUTE)
    heal(healed, at=end - MINUTE)
    assert Incident.objects.filter(signal="camera_room").count() == 0
    fire(inside.id, row, at=end)
    assert not the_incident(device, "mic_conf").suppressed
    assert (watch_ends(device, at=end).opened, watch_ends(healed, at=end).opened) == (1, 0)


def test_a_window_taken_back_before_it_began_changes_nothing(device, inside, at):
    row = suppression.plan_window(
        inside.id,
        room_id=device.room_id,
        starts_at=at + DAY,
        ends_at=at + 2 * DAY,
        reason="Power",
        at=at,
    )
    suppression.end_window(inside.id, row.id, at=at + MINUTE)
    later = at + DAY + MINUTE
    heard(said(device, at=later), at=later)
    assert watch_ends(device, at=later + CAMERA_WATCH).opened == 1


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, NotValid),
        ({"signal": "lamp_broken"}, UnknownSignal),
        ({"signal": "recorded_issue"}, UnknownSignal),
        ({"signal": "camera_room", "until": timedelta(0)}, NotValid),
        ({"signal": "camera_room", "until": timedelta(days=400)}, NotValid),
        ({"signal": "camera_room", "reason": " "}, NotValid),
    ],
)
def test_a_suppression_must_say_what_until_when_and_why(inside, at, values, error):
    until = at + values.pop("until", DAY)
    with pytest.raises(error):
        suppression.suppress(inside.id, **{"until": until, "reason": "Refit", "at": at, **values})


def test_what_does_not_exist_cannot_be_ended(inside, at):
    with pytest.raises(NotFound):
        suppression.end_suppression(inside.id, inside.id, at=at)


def test_the_quiet_of_a_group_ends_with_the_group(device, group, inside, at):
    incident = make_incident(device, at=at)
    suppression.suppress(inside.id, group_id=group.id, until=at + DAY, reason="Refit", at=at)
    heard(said(device, "mic_conf", at=at), at=at)
    watch_ends(device, "mic_conf", at=at + MINUTE)
    suppression.end_of_group(inside.id, group.id, at=at + 2 * MINUTE)
    incident.refresh_from_db()
    assert not incident.suppressed
    assert watch_ends(device, "mic_conf", at=at + 2 * MINUTE).opened == 1


def test_a_room_that_joins_or_leaves_a_quiet_group_follows_it(device, group, inside, at):
    room_groups.remove_members(group.id, [device.room_id], at=at)
    suppression.suppress(inside.id, group_id=group.id, until=at + DAY, reason="Refit", at=at)
    incident = make_incident(device, at=at)
    room_groups.add_members(group.id, [device.room_id], at=at)
    suppression.regrouped(inside.id, group.id, [device.room_id], at=at)
    incident.refresh_from_db()
    assert incident.suppressed
    heard(said(device, "mic_conf", at=at), at=at)
    watch_ends(device, "mic_conf", at=at + MINUTE)
    room_groups.remove_members(group.id, [device.room_id], at=at + MINUTE)
    suppression.regrouped(inside.id, group.id, [device.room_id], at=at + 2 * MINUTE)
    incident.refresh_from_db()
    assert not incident.suppressed
    assert watch_ends(device, "mic_conf", at=at + 2 * MINUTE).opened == 1
