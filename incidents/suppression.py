"""Keeping rooms and signals quiet, and planned maintenance: begun, ended, and what follows for tickets.

Open tickets under it are marked and counted nowhere until the quiet ends; new faults are watched to its end
(incidents.quiet). Of an entered tenant; times are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from fleet import scope, validation
from fleet.errors import Missing
from fleet.models import Place, Room, RoomGroup, SignalState
from foundation import timers
from foundation.errors import NotFound, NotValid
from incidents import watching
from incidents.counting import Tally
from incidents.errors import UnknownSignal
from incidents.models import Incident, IncidentEntry, MaintenanceWindow, Suppression
from incidents.moves import held
from incidents.quiet import quiet_in, rooms_of, span_of
from incidents.rules import RULES
from incidents.states import OPEN
from incidents.timeline import Line, write
from tenancy import audit
from tenancy.models import Person

Kind = IncidentEntry.Kind
QUIET_TURNS = "quiet.turns"  # kind of timers; the subject is suppression:<id> or window:<id>
LONGEST = timedelta(days=366)
Row = Suppression | MaintenanceWindow
Quiet = TypeVar("Quiet", Suppression, MaintenanceWindow)


def suppress(
    tenant_id: UUID,
    *,
    until: datetime,
    reason: str,
    at: datetime,
    room_id: UUID | None = None,
    group_id: UUID | None = None,
    signal: str = "",
    by: Person | None = None,
) -> Suppression:
    """Keep a signal ("" for all) quiet in a room, a group, or (neither named) everywhere.

    Raises NotValid, UnknownSignal, Missing, NotAllowed.
    """
    if signal and (signal not in RULES or RULES[signal].raised):
        raise UnknownSignal(signal)
    if room_id is not None and group_id is not None:
        raise NotValid("Name a room or a group, not both.", field="group")
    if room_id is None and group_id is None and not signal:
        raise NotValid("Everything cannot be suppressed: name a room, a group or a signal.", field="signal")
    if room_id is None and group_id is None:
        scope.refuse_part("Keeping a signal quiet in all rooms")
    _require_future(until, at, "until")
    row = Suppression(
        tenant_id=tenant_id,
        room=_room(tenant_id, room_id),
        group=_group(tenant_id, group_id),
        signal=signal,
        until=until,
        reason=_reason(reason),
        created_at=at,
        created_by=by,
    )
    row.save(force_insert=True)
    _record("suppression.create", row, at=at, after=_plain(row))
    timers.set_timer(QUIET_TURNS, f"suppression:{row.id}", due_at=until, tenant_id=tenant_id)
    follow(tenant_id, row, at=at)
    return row


def plan_window(
    tenant_id: UUID,
    *,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    at: datetime,
    room_id: UUID | None = None,
    group_id: UUID | None = None,
    place_id: UUID | None = None,
    by: Person | None = None,
) -> MaintenanceWindow:
    """Plan maintenance of one room, group or place (with all below it). It may have begun already.

    Raises NotValid, Missing, NotAllowed.
    """
    if sum(each is not None for each in (room_id, group_id, place_id)) != 1:
        raise NotValid("Name one room, group or place.", field="room")
    if place_id is not None:
        scope.refuse_part("Maintenance of a place")
    if ends_at <= starts_at:
        raise NotValid("The end must be after the start.", field="ends_at")
    _require_future(ends_at, at, "ends_at")
    if ends_at - starts_at > LONGEST:
        raise NotValid("A window may last a year at most.", field="ends_at")
    row = MaintenanceWindow(
        tenant_id=tenant_id,
        room=_room(tenant_id, room_id),
        group=_group(tenant_id, group_id),
        place=_place(tenant_id, place_id),
        starts_at=starts_at,
        ends_at=ends_at,
        reason=_reason(reason),
        created_at=at,
        created_by=by,
    )
    row.save(force_insert=True)
    _record("maintenance.create", row, at=at, after=_plain(row))
    due_at = starts_at if starts_at > at else ends_at
    timers.set_timer(QUIET_TURNS, f"window:{row.id}", due_at=due_at, tenant_id=tenant_id)
    if starts_at <= at:
        follow(tenant_id, row, at=at)
    return row


def end_suppression(tenant_id: UUID, suppression_id: UUID, *, at: datetime) -> Suppression:
    """Before its time: what is still bad is raised now. Repeating it changes nothing. Raises NotFound."""
    row = _held(Suppression, tenant_id, suppression_id)
    _end(tenant_id, row, "suppression.end", at=at)
    return row


def end_window(tenant_id: UUID, window_id: UUID, *, at: datetime) -> MaintenanceWindow:
    """Before its time, or before it began. Repeating it changes nothing. Raises NotFound."""
    row = _held(MaintenanceWindow, tenant_id, window_id)
    _end(tenant_id, row, "maintenance.end", at=at)
    return row


def turned(tenant_id: UUID, subject: str, *, at: datetime) -> None:
    """A timer QUIET_TURNS: quiet begins or is over. Safe when late or repeated."""
    kind, _, key = subject.partition(":")
    model: type[Suppression] | type[MaintenanceWindow] = (
        Suppression if kind == "suppression" else MaintenanceWindow
    )
    row = model.objects.for_tenant(tenant_id).filter(id=UUID(key)).select_for_update(no_key=True).first()
    if row is None or row.ended_at is not None:
        return
    end = span_of(row).until
    if end > at:
        timers.set_timer(QUIET_TURNS, subject, due_at=end, tenant_id=tenant_id)
    else:
        row.ended_at = end
        row.save(update_fields=["ended_at"])
    follow(tenant_id, row, at=at)


def end_of_group(tenant_id: UUID, group_id: UUID, *, at: datetime) -> None:
    """The group goes, and its quiet with it: what is still bad in its rooms is raised now."""
    for row in _of_group(tenant_id, group_id):
        action = "suppression.end" if isinstance(row, Suppression) else "maintenance.end"
        _end(tenant_id, row, action, at=at)


@scope.whole()
def regrouped(tenant_id: UUID, group_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> None:
    """Rooms came to a group or left it: its quiet reaches them from now on, or no longer."""
    rooms = set(room_ids)
    running = _of_group(tenant_id, group_id)
    if running:
        follow_rooms(tenant_id, rooms, at=at)
        for row in running:
            _wake(tenant_id, row, rooms, at=at)


@scope.whole()
def moved(tenant_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> None:
    """Rooms stand below other places now: maintenance of places reaches them from now on, or no longer."""
    rooms = set(room_ids)
    windows = MaintenanceWindow.objects.for_tenant(tenant_id).filter(place__isnull=False, ended_at=None)
    running = list(windows.select_for_update(no_key=True).order_by("id"))
    if running:
        follow_rooms(tenant_id, rooms, at=at)
        for row in running:
            _wake(tenant_id, row, rooms, at=at)


@scope.whole()
def follow(tenant_id: UUID, row: Row, *, at: datetime) -> int:
    """Bring open tickets of the rooms a row reaches in line; what it kept waiting is looked at anew.

    Whoever asks, all that keeps these rooms quiet counts, and all of their tickets.
    """
    rooms = rooms_of(tenant_id, span_of(row))
    changed = follow_rooms(tenant_id, rooms, at=at)
    if row.ended_at is not None:
        _wake(tenant_id, row, rooms, at=at)
    return changed


@scope.whole()
def follow_rooms(tenant_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> int:
    """Bring the mark of open tickets in line with what is quiet in their rooms.

    Returns how many tickets changed; repeating it changes nothing. Tickets are locked before rooms.
    """
    rooms = set(room_ids)
    ends = Room.objects.for_tenant(tenant_id).filter(id__in=rooms).values_list("id", "suppressed_until")
    quiet_rooms = {room_id for room_id, until in ends if until is not None and until > at}
    quiet = quiet_in(tenant_id, rooms, at=at)
    known = held(tenant_id, room_id__in=list(rooms), device__isnull=False, state__in=OPEN)
    changed = [
        each
        for each in known
        if each.suppressed
        != (each.room_id in quiet_rooms or quiet.until(each.room_id, each.signal) is not None)
    ]
    if not changed:
        return 0
    tally = Tally(tenant_id)
    tally.was(changed)
    for incident in changed:
        incident.suppressed, incident.updated_at = not incident.suppressed, at
        incident.version += 1
    Incident.objects.for_tenant(tenant_id).bulk_update(changed, ["suppressed", "updated_at", "version"])
    write(
        [Line(each, Kind.SUPPRESSED if each.suppressed else Kind.COUNTED) for each in changed],
        tenant_id=tenant_id,
        at=at,
    )
    tally.now(changed)
    tally.write(at=at)
    return len(changed)


def _end(tenant_id: UUID, row: Row, action: str, *, at: datetime) -> None:
    if row.ended_at is not None:
        return
    row.ended_at = at
    row.save(update_fields=["ended_at"])
    kind = "suppression" if isinstance(row, Suppression) else "window"
    timers.clear_timer(QUIET_TURNS, f"{kind}:{row.id}", tenant_id=tenant_id)
    _record(action, row, at=at, before=_plain(row))
    follow(tenant_id, row, at=at)


def _wake(tenant_id: UUID, row: Row, rooms: set[UUID], *, at: datetime) -> None:
    """A fault that was to wait for the end of this quiet waits no longer, unless another one reaches it."""
    span = span_of(row)
    waiting = SignalState.objects.for_tenant(tenant_id).filter(
        device__room_id__in=list(rooms), watch_until=span.until, state=SignalState.State.UNHEALTHY
    )
    if span.signal:
        waiting = waiting.filter(signal=span.signal)
    ordered = waiting.order_by("device_id", "signal", "instance")
    found = {each.id: each for each in ordered.select_for_update(no_key=True, of=("self",))}
    watching.begin(found, dict.fromkeys(found, at), tenant_id=tenant_id)


def _of_group(tenant_id: UUID, group_id: UUID) -> list[Row]:
    """What keeps a group quiet and is not over."""
    running = {"group_id": group_id, "ended_at": None}
    found: list[Row] = [
        *Suppression.objects.for_tenant(tenant_id).filter(**running).select_for_update(no_key=True)
    ]
    found += MaintenanceWindow.objects.for_tenant(tenant_id).filter(**running).select_for_update(no_key=True)
    return found


def _held(model: type[Quiet], tenant_id: UUID, key: UUID) -> Quiet:
    row = model.objects.for_tenant(tenant_id).filter(id=key).select_for_update(no_key=True).first()
    if row is None:
        raise NotFound("This does not exist.")
    return row


def _require_future(moment: datetime, at: datetime, field: str) -> None:
    if moment <= at:
        raise NotValid("The end must lie in the future.", field=field)
    if moment > at + LONGEST:
        raise NotValid("It may last a year at most.", field=field)


def _room(tenant_id: UUID, key: UUID | None) -> Room | None:
    return None if key is None else _named(Room.objects.for_tenant(tenant_id).current(), key, "room")


def _group(tenant_id: UUID, key: UUID | None) -> RoomGroup | None:
    return None if key is None else _named(RoomGroup.objects.for_tenant(tenant_id), key, "group")


def _place(tenant_id: UUID, key: UUID | None) -> Place | None:
    return None if key is None else _named(Place.objects.for_tenant(tenant_id), key, "place")


def _named(rows: Any, key: UUID, field: str) -> Any:
    found = rows.filter(id=key).first()
    if found is None:
        raise Missing(field, field=field)
    return found


def _reason(value: str) -> str:
    return validation.one_line(value, "reason", at_most=200)


def _record(action: str, row: Row, *, at: datetime, **values: Any) -> None:
    audit.record(action, row, tenant_id=row.tenant_id, at=at, name=row.reason, **values)


def _plain(row: Row) -> dict[str, Any]:
    span = span_of(row)
    of = row.room or row.group or getattr(row, "place", None)
    plain = {"of": str(of or "all rooms"), "until": span.until.isoformat(), "reason": span.reason}
    return {**plain, "signal": span.signal} if span.signal else plain
