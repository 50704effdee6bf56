"""Releases, rings and rollouts, made the way the product makes them. The tenant is entered."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from django.db import connection

from fleet.models import Device, Room
from tests.factories.fleet import make_place
from updates import attempts, proposals, releases, rings, rollout_actions, rollout_progress, targets
from updates.ddi import Feedback
from updates.models import Attempt, Release, Rollout
from updates.states import TargetState

_numbers = count(1)
PACKAGE = b"070702" + bytes(range(256)) * 40


def make_release(version: str = "5.4.218", *, with_file: bool = True, at: datetime, **given: Any) -> Release:
    """A release of the room app for every device, with a file."""
    row = releases.add_release(**{"name": "Room app", "kind": "room_app", "version": version, **given}, at=at)
    if with_file:
        content = PACKAGE + str(next(_numbers)).encode()
        releases.keep_file(row.id, io.BytesIO(content), f"app-{version}.swu", at=at)
    return row


def make_fleet(
    *, rings_of: dict[str, int], at: datetime, zone: str = "Europe/Oslo", **given: Any
) -> dict[str, list[Device]]:
    """Devices in rooms of their own, so many in each ring, that run version 5.4.211 of the room app. All of one place.

    Written at once: there may be thousands.
    """
    by_name = {row.name: row for row in rings.all_rings(at=at)}
    place = make_place(at=at, time_zone=zone)
    made: dict[str, list[Device]] = {}
    for name, number in rings_of.items():
        rooms = Room.objects.for_tenant(place.tenant_id).bulk_create(
            Room(
                tenant_id=place.tenant_id,
                place=place,
                site_id=place.id,
                name=f"Room {next(_numbers)}",
                time_zone=zone,
                state=Room.State.HEALTHY,
                state_since=at,
                created_at=at,
            )
            for _ in range(number)
        )
        made[name] = Device.objects.for_tenant(place.tenant_id).bulk_create(
            Device(
                **{
                    "tenant_id": place.tenant_id,
                    "room": room,
                    "name": f"Device {next(_numbers)}",
                    "kind": Device.Kind.ROOM_SYSTEM,
                    "platform": Device.Platform.LINUX,
                    "status": Device.Status.ENROLLED,
                    "status_since": at,
                    "make": "Acme",
                    "model": "One",
                    "serial_number": f"FL{next(_numbers):06d}",
                    "created_at": at,
                    "versions": {"app": "5.4.211"},
                    **given,
                }
            )
            for room in rooms
        )
        keys = dict(
            Device.objects.for_tenant(place.tenant_id)
            .filter(id__in=[device.id for device in made[name]])
            .values_list("id", "key")
        )
        for device in made[name]:  # the database gives it out
            device.key = keys[device.id]
        if name != "General":
            for start in range(0, number, 1_000):
                some = [room.id for room in rooms[start : start + 1_000]]
                rings.move_rooms(by_name[name].id, some, at=at)
    return made


def propose(release: Release, *, at: datetime, **given: Any) -> Rollout:
    return proposals.propose(release.id, at=at, **given)


def make_running(release: Release, *, at: datetime, **given: Any) -> Rollout:
    """Approved and started at `at`."""
    row = propose(release, at=at, **given)
    rollout_actions.approve(row.id, at=at)
    return rollout_actions.start(row.id, at=at)


def look(row: Rollout, *, at: datetime) -> Rollout:
    """One look of the worker; the rollout as it is then."""
    rollout_progress.advance(row.id, row.tenant_id, at=at)
    return rollout_actions.rollout(row.id)


def open_attempts(row: Rollout) -> list[Attempt]:
    rows = Attempt.objects.for_tenant(row.tenant_id).open().filter(rollout=row)
    return list(rows.select_related("device", "target", "release").order_by("number"))


def says(execution: str = "closed", finished: str = "success", *details: str) -> Feedback:
    return Feedback(execution, finished, details)


def succeed(attempt: Attempt, *, at: datetime, version: str = "") -> None:
    """The device installs, restarts and tells its new version."""
    attempts.report(attempt, says(), at=at)
    told = {"app": version or attempt.release.version}
    Device.objects.for_tenant(attempt.tenant_id).filter(id=attempt.device_id).update(versions=told)
    hear(attempt.device, at=at + timedelta(minutes=1))


def fail(attempt: Attempt, *, at: datetime, detail: str = "Disk full, 0.4 GB short") -> None:
    attempts.report(attempt, says("closed", "failure", detail), at=at)


def hear(device: Device, *, at: datetime) -> None:
    """The device's last heartbeat was at `at`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_watermark (tenant_id, device_key, epoch, seq, seen_at) VALUES (%s, %s, 'e', 1, %s) "
            "ON CONFLICT (tenant_id, device_key, epoch) DO UPDATE SET seen_at = EXCLUDED.seen_at",
            [device.tenant_id, device.key, at],
        )


def set_target(row_id: UUID, target_id: UUID, *, state: str, at: datetime) -> None:
    """A rollout in progress whose target is in `state`, with no try open."""
    rollout_actions.approve(row_id, at=at)
    row = rollout_actions.start(row_id, at=at)
    Attempt.objects.for_tenant(row.tenant_id).filter(target_id=target_id).delete()
    targets.move(row.tenant_id, [target_id], came_from=list(TargetState), to=TargetState(state), at=at)
