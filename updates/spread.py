"""Which versions run where, now and over time. Of an entered tenant; days are UTC."""

from __future__ import annotations

from collections import Counter as Tally
from datetime import date, datetime, timedelta
from uuid import UUID

from fleet.models import Device
from updates.models import VersionDay
from updates.targets import version_in

KEPT = timedelta(days=400)
UNTOLD = "unknown"
MOST_VERSIONS = 200  # of one component on one day: more is noise of some device


def note_today(tenant_id: UUID, *, at: datetime) -> None:
    """How many enrolled devices run which version of what they report. Repeating it within a day brings it up to date."""
    day = at.date()
    counted: dict[str, Tally[str]] = {}
    rows = Device.objects.for_tenant(tenant_id).filter(status=Device.Status.ENROLLED, retired_at=None)
    told = list(rows.values_list("versions", "agent_version"))
    components = {name for versions, _ in told if isinstance(versions, dict) for name in versions}
    if any(agent for _, agent in told):
        components.add("agent")
    for versions, agent in told:
        for name in components:
            version = version_in(name, versions, agent)[:80] or UNTOLD
            counted.setdefault(name[:40], Tally())[version] += 1
    days = VersionDay.objects.for_tenant(tenant_id)
    days.filter(day=day).delete()
    days.bulk_create(
        VersionDay(tenant_id=tenant_id, day=day, component=name, version=version, devices=number)
        for name, versions in sorted(counted.items())
        for version, number in versions.most_common(MOST_VERSIONS)
    )
    days.filter(day__lt=day - KEPT).delete()


def over_time(tenant_id: UUID, component: str, *, since: date) -> dict[date, dict[str, int]]:
    """Devices by version for each day noted, oldest first."""
    rows = VersionDay.objects.for_tenant(tenant_id).filter(component=component, day__gte=since)
    found: dict[date, dict[str, int]] = {}
    for day, version, number in rows.order_by("day").values_list("day", "version", "devices"):
        found.setdefault(day, {})[version] = number
    return found


def components(tenant_id: UUID) -> list[str]:
    """What devices report versions of, by name."""
    last = VersionDay.objects.for_tenant(tenant_id).order_by("-day").values_list("day", flat=True).first()
    rows = VersionDay.objects.for_tenant(tenant_id).filter(day=last) if last else VersionDay.objects.none()
    return sorted(set(rows.values_list("component", flat=True)))
