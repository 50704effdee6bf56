"""What the scope of an assignment reaches: rooms by themselves or through groups, and whatever belongs to a room.

A person whose role covers some rooms only works behind a third wall (foundation.narrowing): each tenant table shows the
rows whose room is in reach. Which tables those are follows from their keys, so a new one needs nothing. What has no
room, like a device still waiting for one, is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Exists, F, Func, OuterRef, Q

from fleet.models import Device, Place, Room, RoomGroup, RoomGroupMember
from foundation.errors import NotAllowed
from foundation.narrowing import is_narrowed, narrowed
from foundation.tenant_tables import TenantForeignKey, TenantModel
from tenancy import scopes
from tenancy.rights import Reach, Rights

BY_SEVERAL_ROOMS = {"Incident": "rooms"}  # of one room, or of all that this relation names
BY_GROUP = {"EnrollmentKey", "InstallWindowSetting"}  # tables that belong to a group rather than to a room
BY_ROOM_OR_GROUP = {
    "Suppression",
    "MaintenanceWindow",
    "RingMembership",
}  # of one room, or of a group as a whole
TICKETS = "incidents"  # the app whose rows are tickets
Condition = Q | Exists
_asker: ContextVar[Rights | None] = ContextVar("asker", default=None)  # whose request it is


@contextmanager
def within(rights: Rights, permission: str, *, reading: bool = False) -> Iterator[None]:
    """Show only what `permission` reaches. `reading`: tickets, where the permission is not about them, are shown
    only where tickets may be seen."""
    reach = rights.reach(permission)
    own_tickets = reading and not permission.startswith(("tickets.", "queue."))
    tickets = reach & rights.reach("tickets.view") if own_tickets else reach
    asks = _asker.set(rights)
    try:
        with narrowed(None if reach.everywhere and tickets.everywhere else _Within(reach, tickets)):
            yield
    finally:
        _asker.reset(asks)


def asker() -> Rights | None:
    """What whoever asks may; None for Greenroom's own work."""
    return _asker.get()


@contextmanager
def whole() -> Iterator[None]:
    """For what must be right whoever asks: counts kept, defaults looked up."""
    with narrowed(None):
        yield


def refuse_part(what: str) -> None:
    """Raises NotAllowed for somebody whose role covers some rooms only: `what` concerns more than those."""
    if is_narrowed():
        raise NotAllowed(f"{what} needs a role over all rooms; yours covers some.")


def refuse_regrouping(tenant_id: UUID, group_ids: Iterable[UUID]) -> None:
    """Raises NotAllowed for somebody who may not change roles, where one of the groups is the scope of a role or token.

    Its rooms decide what others may do, and perhaps he himself. Greenroom's own work asks nobody.
    """
    rights = _asker.get()
    if rights is not None and not rights.may("roles.modify") and scopes.stand_in(tenant_id, group_ids):
        raise NotAllowed(
            "The rooms of this group decide what people may do: change them with the right to roles."
        )


def rooms_in(reach: Reach) -> Condition:
    """The condition on rooms."""
    return _rooms(reach, "id")


class _Within:
    def __init__(self, reach: Reach, tickets: Reach) -> None:
        self.reach, self.tickets = reach, tickets

    def __call__(self, rows: Any) -> Any:
        reach = self.tickets if rows.model._meta.app_label == TICKETS else self.reach
        if reach.everywhere or not _has_scope(rows.model):
            return rows
        with whole():
            return rows.filter(_condition(rows.model, reach))


def _condition(model: type[models.Model], reach: Reach) -> Condition:
    if model is Room:
        return _rooms(reach, "id")
    if model is RoomGroup:
        return _groups(reach, "id")
    if model is Place:
        return _places(reach)
    if model.__name__ in BY_GROUP:
        return _groups(reach, "group_id")
    if model.__name__ in BY_ROOM_OR_GROUP:
        return _rooms(reach, "room_id") | _groups(reach, "group_id")
    if model.__name__ in BY_SEVERAL_ROOMS:
        return _rooms(reach, "room_id") | _of_several(model, reach)
    field = _key_to_room(model)
    if field is None:
        raise TypeError(f"{model.__name__} has no room")
    far = field.related_model
    if far is Room:
        return _rooms(reach, field.attname)
    owners = far._default_manager.filter(
        _condition(far, reach),
        tenant_id=OuterRef("tenant_id"),
        id=OuterRef(field.attname),
    )
    return Exists(owners)


def _rooms(reach: Reach, column: str) -> Q:
    """Rows whose room is in every union: named itself, or a member of a group named."""
    condition = Q()
    for union in reach.unions:
        groups = _ids(union, "group")
        part = Q(**{f"{column}__in": _ids(union, "room")})
        if groups:
            members = RoomGroupMember.objects.filter(
                tenant_id=OuterRef("tenant_id"), room_id=OuterRef(column), group_id__in=groups
            )
            part |= Q(Exists(members))
        condition &= part
    return condition


def _of_several(model: type[models.Model], reach: Reach) -> Q:
    """Rows that name a room in reach among their rooms of now."""
    key = model._meta.get_field(BY_SEVERAL_ROOMS[model.__name__]).field  # type: ignore[union-attr]  # a relation back
    rooms = key.model._default_manager.filter(
        _rooms(reach, "room_id"),
        tenant_id=OuterRef("tenant_id"),
        left_at=None,
        **{key.attname: OuterRef("id")},
    )
    return Q(Exists(rooms))


def _groups(reach: Reach, column: str) -> Q:
    condition = Q()
    for union in reach.unions:
        condition &= Q(**{f"{column}__in": _ids(union, "group")})
    return condition


def _places(reach: Reach) -> Q:
    """Where rooms in reach stand, with all places around them."""
    rooms = Room.objects.filter(_rooms(reach, "id"), tenant_id=OuterRef("tenant_id"), place_id=OuterRef("id"))
    around = Place.objects.filter(Exists(rooms)).annotate(around=Func(F("path"), function="unnest"))
    return Q(id__in=around.values("around"))


def _ids(union: frozenset[tuple[str, UUID]], kind: str) -> list[UUID]:
    return sorted(key for named, key in union if named == kind)


def _has_scope(model: type[models.Model]) -> bool:
    return model in (Room, RoomGroup, Place) or model.__name__ in BY_GROUP or _key_to_room(model) is not None


@cache
def _key_to_room(model: type[models.Model]) -> TenantForeignKey | None:
    """The key that leads to a room on the shortest way: to the room itself, its device, or something of these."""
    if not issubclass(model, TenantModel):
        return None
    keys = [field for field in model._meta.local_fields if isinstance(field, TenantForeignKey)]
    for wanted in (Room, Device):
        for field in keys:
            if field.related_model is wanted:
                return field
    for field in keys:
        far = field.related_model
        if far is not model and isinstance(far, type) and _key_to_room(far) is not None:
            return field
    return None
