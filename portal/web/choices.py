"""What filters and forms offer: sites, places, groups, time zones of an entered customer."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import available_timezones

from fleet import counters
from fleet.models import Counter, Place, Room, RoomGroup
from foundation.context import current_tenant
from foundation.errors import NotFound
from tenancy import regions

OFFERED = 500  # of a kind in one list; whoever has more searches
Choice = tuple[str, str]


def sites() -> list[Choice]:
    """Sites that have rooms, by name."""
    tenant_id = current_tenant()
    counted = Counter.objects.for_tenant(tenant_id).filter(name__startswith=counters.ROOMS, value__gt=0)
    scopes = counted.values_list("scope", flat=True).distinct()
    places = Place.objects.for_tenant(tenant_id).filter(id__in=list(scopes)).order_by("name", "id")
    return [(str(key), name) for key, name in places.values_list("id", "name")[:OFFERED]]


def places() -> list[Choice]:
    """All places by their full name."""
    rows = Place.objects.for_tenant(current_tenant()).filter(retired_at=None).order_by("full_name", "id")
    return [(str(key), name) for key, name in rows.values_list("id", "full_name")[:OFFERED]]


def groups() -> list[Choice]:
    rows = RoomGroup.objects.for_tenant(current_tenant()).order_by("name", "id")
    return [(str(key), name) for key, name in rows.values_list("id", "name")[:OFFERED]]


def time_zones() -> list[Choice]:
    """IANA names, those of continents and UTC."""
    names = sorted(
        name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/"))
    )
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


def countries() -> list[Choice]:
    """By name; where rooms cannot be enrolled it is said."""
    rows = sorted(regions.countries().values(), key=lambda each: each.name)
    return [(each.code, each.name if each.supported else f"{each.name} (no enrollment)") for each in rows]


def as_id(text: str | None) -> UUID | None:
    """An id out of an address; None for anything else, so that a mistyped filter finds nothing wrong."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def named_room(text: str | None) -> Room | None:
    """The room an address names. Raises NotFound for one that is named and not there."""
    if not text:
        return None
    key = as_id(text)
    found = Room.objects.for_tenant(current_tenant()).current().filter(id=key).first() if key else None
    if found is None:
        raise NotFound("This does not exist.")
    return found
