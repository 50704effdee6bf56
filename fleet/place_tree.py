"""The tree of places: country > state > city > campus > building > floor; levels may be left out.

Whoever changes the tree holds its lock, so a place cannot be moved below itself by two people at once.
All functions work in the one tenant entered.
"""

from __future__ import annotations

import zlib
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import F

from fleet import counters, group_rules, notices, scope, search, validation
from fleet.errors import AlreadyThere, Missing
from fleet.models import Device, Place, Room
from foundation.context import current_tenant
from foundation.errors import NotValid, violated_constraint
from foundation.ids import new_id
from tenancy import audit, regions
from tenancy.models import Tenant

DEPTH: dict[str, int] = {str(kind): depth for depth, kind in enumerate(Place.Kind)}
SEPARATOR = " › "
ARRIVALS = "New rooms"  # where rooms stand that came with a device and were not sorted in yet


def place(place_id: UUID, *, field: str = "place") -> Place:
    """Raises Missing."""
    found: Place | None = (
        Place.objects.for_tenant(current_tenant()).filter(id=place_id, retired_at=None).first()
    )
    if found is None:
        raise Missing("place", field=field)
    return found


def site_of(where: Place) -> UUID:
    """The building around a place (the place itself where there is none): one tile of the fleet map."""
    above = Place.objects.for_tenant(where.tenant_id).filter(id__in=where.path, kind=Place.Kind.BUILDING)
    return above.values_list("id", flat=True).first() or where.id


def sites_of(places: Sequence[Place]) -> dict[UUID, UUID]:
    """`site_of` many places of one tenant, in one query."""
    if not places:
        return {}
    above = {node for each in places for node in each.path}
    rows = Place.objects.for_tenant(places[0].tenant_id).filter(id__in=above, kind=Place.Kind.BUILDING)
    buildings = set(rows.values_list("id", flat=True))
    return {each.id: next((node for node in each.path if node in buildings), each.id) for each in places}


def below(place_id: UUID) -> list[UUID]:
    """The place and all below it, of the entered tenants; empty for none of theirs."""
    return list(Place.objects.filter(path__contains=[place_id]).values_list("id", flat=True))


def add_place(
    *,
    kind: str,
    name: str,
    parent_id: UUID | None = None,
    time_zone: str = "",
    country_code: str = "",
    place_id: UUID | None = None,
    at: datetime,
) -> Place:
    """`time_zone` and `country_code` default to the parent's, at the root to the customer's. `place_id`: the id it gets.

    Raises NotValid, Missing for the parent, AlreadyThere where a neighbour has the name.
    """
    scope.refuse_part("Adding a place")
    tenant_id = current_tenant()
    lock(tenant_id)
    above = place(parent_id, field="parent") if parent_id else None
    _check_level(kind, above)
    zone = time_zone or (above.time_zone if above else Tenant.objects.get(id=tenant_id).time_zone)
    made = Place(
        id=place_id or new_id(),
        tenant_id=tenant_id,
        parent=above,
        kind=kind,
        name=validation.one_line(name, "name", at_most=120),
        time_zone=validation.time_zone(zone),
        country_code=validation.country_code(country_code) or (above.country_code if above else ""),
    )
    _place_below(made, above)
    _save_under_its_name(made, new=True)
    after = {"name": made.full_name, "kind": made.kind, "time_zone": made.time_zone}
    audit.record("place.create", made, tenant_id=tenant_id, at=at, after=after)
    return made


def arrivals(*, at: datetime) -> Place:
    """The place for rooms nobody has sorted in, made when first needed."""
    tenant_id = current_tenant()
    lock(tenant_id)
    there: Place | None = (
        Place.objects.for_tenant(tenant_id).filter(parent=None, name=ARRIVALS, retired_at=None).first()
    )
    return there or add_place(kind=Place.Kind.BUILDING, name=ARRIVALS, at=at)


def edit_place(
    place_id: UUID,
    *,
    name: str | None = None,
    time_zone: str | None = None,
    country_code: str | None = None,
    at: datetime,
) -> Place:
    """Change what is given. Places and rooms below that had the old time zone or country take the new one.

    Raises Missing, NotValid, also for a country whose rooms cannot be enrolled where some are, AlreadyThere.
    """
    scope.refuse_part("Changing a place")
    tenant_id = current_tenant()
    lock(tenant_id)
    changed = place(place_id)
    before, old_country = _facts(changed), changed.country_code
    if name is not None:
        changed.name = validation.one_line(name, "name", at_most=120)
    if country_code is not None:
        changed.country_code = validation.country_code(country_code)
    old_zone = changed.time_zone
    if time_zone is not None:
        changed.time_zone = validation.time_zone(time_zone)
    after = _facts(changed)
    if before == after:
        return changed
    _refuse_country(changed, old_country, field="country_code")
    _place_below(changed, changed.parent)
    _save_under_its_name(changed)
    _follow_zone(changed, old_zone)
    _follow_country(changed, old_country)
    if before["name"] != after["name"]:
        _follow_tree(changed)
    if before["name"] != after["name"] or before["country_code"] != after["country_code"]:
        group_rules.follow(_rooms_below(changed), at=at)
    different = [name for name in before if before[name] != after[name]]
    audit.record(
        "place.update",
        changed,
        tenant_id=tenant_id,
        at=at,
        before={name: before[name] for name in different},
        after={name: after[name] for name in different},
    )
    return changed


def move_place(place_id: UUID, *, parent_id: UUID | None, at: datetime) -> Place:
    """Hang a place with all below it elsewhere; None makes it a root. Time zones stay; the country is the new parent's
    where the place had the old one's or none.

    Raises Missing, NotValid for a place below itself or on a wrong level, AlreadyThere.
    """
    scope.refuse_part("Moving a place")
    tenant_id = current_tenant()
    lock(tenant_id)
    moved = place(place_id)
    above = place(parent_id, field="parent") if parent_id else None
    if moved.parent_id == parent_id:
        return moved
    if above is not None and moved.id in above.path:
        raise NotValid("A place cannot stand below itself.", field="parent")
    _check_level(moved.kind, above)
    before, old_country = moved.full_name, moved.country_code
    had = moved.parent.country_code if moved.parent else ""
    if above is not None and above.country_code and old_country in ("", had):
        moved.country_code = above.country_code
        _refuse_country(moved, old_country, field="parent")
    moved.parent = above
    _place_below(moved, above)
    _save_under_its_name(moved)
    _follow_country(moved, old_country)
    _follow_tree(moved)
    rooms = _rooms_below(moved)
    group_rules.follow(rooms, at=at)
    notices.rooms_moved(rooms, tenant_id=tenant_id, at=at)
    audit.record(
        "place.move",
        moved,
        tenant_id=tenant_id,
        at=at,
        before={"full_name": before},
        after={"full_name": moved.full_name},
    )
    return moved


def lock(tenant_id: UUID) -> None:
    """Of the customer's tree: held to the end of the transaction, and taken again without harm."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, zlib.crc32(tenant_id.bytes) - 2**31])


_LOCK = 0x706C6163  # names this lock among others of the database


def _check_level(kind: str, above: Place | None) -> None:
    if kind not in DEPTH:
        raise NotValid(f"This is none of {', '.join(Place.Kind)}.", field="kind")
    if above is not None and DEPTH[above.kind] >= DEPTH[kind]:
        raise NotValid(f"A {kind} cannot stand below a {above.kind}.", field="parent")


def _place_below(moved: Place, above: Place | None) -> None:
    moved.path = [*(above.path if above else []), moved.id]
    moved.full_name = SEPARATOR.join([above.full_name, moved.name] if above else [moved.name])
    longest = Place._meta.get_field("full_name").max_length or 0
    if len(moved.full_name) > longest:
        raise NotValid(
            f"The names down to this place are longer than {longest} characters together.", field="name"
        )


def _save_under_its_name(changed: Place, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            changed.save(force_insert=new)
    except IntegrityError as error:
        if violated_constraint(error) != "fleet_place_one_per_name":
            raise
        raise AlreadyThere(f"There is already a place {changed.name} here.", field="name") from error


def _facts(changed: Place) -> dict[str, str]:
    return {"name": changed.name, "time_zone": changed.time_zone, "country_code": changed.country_code}


def _follow_zone(changed: Place, old_zone: str) -> None:
    """Below a place, the old zone was taken from it; who had another keeps it."""
    if changed.time_zone == old_zone:
        return
    below = Place.objects.for_tenant(changed.tenant_id).filter(path__contains=[changed.id])
    ids = list(below.values_list("id", flat=True))
    below.filter(time_zone=old_zone).update(time_zone=changed.time_zone)
    rooms = Room.objects.for_tenant(changed.tenant_id).filter(place_id__in=ids, time_zone=old_zone)
    rooms.update(time_zone=changed.time_zone)


def _follow_country(changed: Place, old_country: str) -> None:
    """Below a place, the old country was taken from it; who had another keeps it."""
    if changed.country_code != old_country:
        below = Place.objects.for_tenant(changed.tenant_id).filter(path__contains=[changed.id])
        below.filter(country_code=old_country).update(country_code=changed.country_code)


def _refuse_country(changed: Place, old_country: str, *, field: str) -> None:
    """Raises NotValid where rooms that are enrolled would stand in a country that is not supported."""
    reason = regions.refusal(changed.country_code)
    if not reason or changed.country_code == old_country:
        return
    below = Place.objects.for_tenant(changed.tenant_id).filter(path__contains=[changed.id])
    devices = Device.objects.for_tenant(changed.tenant_id).filter(retired_at=None)
    if devices.exclude(status=Device.Status.UNENROLLED).filter(room__place__in=below).exists():
        raise NotValid(f"{reason} Unenroll the devices of its rooms first.", field=field)


def _rooms_below(top: Place) -> list[UUID]:
    rooms = Room.objects.for_tenant(top.tenant_id).current().filter(place_id__in=below(top.id))
    return list(rooms.values_list("id", flat=True))


def _follow_tree(top: Place) -> None:
    """Paths, full names, sites and words of all below a place whose own have changed."""
    below = Place.objects.for_tenant(top.tenant_id).filter(path__contains=[top.id]).exclude(id=top.id)
    known = {top.id: top}
    changed = sorted(below, key=lambda each: DEPTH[each.kind])  # parents first
    for each in changed:
        _place_below(each, known[each.parent_id])  # type: ignore[index]  # below something, so it has a parent
        known[each.id] = each
    Place.objects.for_tenant(top.tenant_id).bulk_update(changed, ["path", "full_name"], batch_size=200)
    _follow_sites([top, *changed])
    rooms = Room.objects.for_tenant(top.tenant_id).current().filter(place_id__in=list(known))
    search.index_rooms(list(rooms.values_list("id", flat=True)))


def _follow_sites(places: list[Place]) -> None:
    """Rooms whose building is now another one, and the numbers of both."""
    tenant_id = places[0].tenant_id
    of_site: dict[UUID, list[UUID]] = defaultdict(list)
    for place_id, site in sites_of(places).items():
        of_site[site].append(place_id)
    figures: Tally[counters.Figure] = Tally()
    for site, place_ids in of_site.items():
        rooms = Room.objects.for_tenant(tenant_id).filter(place_id__in=place_ids).exclude(site_id=site)
        locked = (
            rooms.select_for_update(no_key=True).order_by("id").values_list("site_id", "state", "retired_at")
        )
        for old_site, state, retired_at in locked:
            if retired_at is None:
                figures.update(counters.room_change(tenant_id, before=(state, old_site), after=(state, site)))
        rooms.update(site_id=site, version=F("version") + 1)  # who had read it before does not put it back
    counters.add(figures)
