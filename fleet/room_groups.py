"""Groups of rooms: for filters, scope and routing. Every customer has one default group, where new rooms go.

All functions but `set_up_customer` work in the one tenant entered.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from fleet import notices, scope, validation
from fleet.errors import AlreadyThere, Missing, StillInUse
from fleet.models import MonitoringSettings, Room, RoomGroup, RoomGroupMember
from foundation.context import current_tenant, tenant
from foundation.errors import NotValid, violated_constraint
from tenancy import audit
from tenancy.models import Tenant

DEFAULT_NAME = "All new rooms"
MOST_AT_ONCE = 1_000  # rooms in one change of members


def set_up_customer(customer: Tenant, *, at: datetime) -> RoomGroup:
    """What every customer has from the start: the default group and how its devices report.

    Enters the customer. Repeating it changes nothing. Must run inside a transaction.
    """
    with tenant(customer.id):
        MonitoringSettings.objects.for_tenant(customer).get_or_create()
        group: RoomGroup
        group, is_new = RoomGroup.objects.for_tenant(customer).get_or_create(
            is_default=True,
            defaults={
                "name": DEFAULT_NAME,
                "description": "Rooms that were given no other group.",
                "created_at": at,
            },
        )
        if is_new:
            audit.record("group.create", group, tenant_id=customer.id, at=at, after={"name": group.name})
    return group


def default_group() -> RoomGroup:
    """Raises Missing for a customer that was never set up, and where the group is out of reach."""
    group: RoomGroup | None = RoomGroup.objects.for_tenant(current_tenant()).filter(is_default=True).first()
    if group is None:
        raise Missing("default group", field="group")
    return group


def group(group_id: UUID, *, field: str = "group") -> RoomGroup:
    """Raises Missing."""
    found: RoomGroup | None = RoomGroup.objects.for_tenant(current_tenant()).filter(id=group_id).first()
    if found is None:
        raise Missing("group", field=field)
    return found


def add_group(*, name: str, description: str = "", at: datetime) -> RoomGroup:
    """An empty group. Raises NotValid, AlreadyThere."""
    scope.refuse_part("Adding a group")
    tenant_id = current_tenant()
    made = RoomGroup(
        tenant_id=tenant_id, name=_name(name), description=_description(description), created_at=at
    )
    _save(made, new=True)
    after = {"name": made.name, "description": made.description}
    audit.record("group.create", made, tenant_id=tenant_id, at=at, after=after)
    return made


def edit_group(
    group_id: UUID, *, name: str | None = None, description: str | None = None, at: datetime
) -> RoomGroup:
    """Change what is given. Raises Missing, NotValid, AlreadyThere."""
    changed = held(group_id)
    before = {"name": changed.name, "description": changed.description}
    changed.name = changed.name if name is None else _name(name)
    changed.description = changed.description if description is None else _description(description)
    after = {"name": changed.name, "description": changed.description}
    if before != after:
        _save(changed)
        audit.record("group.update", changed, tenant_id=changed.tenant_id, at=at, before=before, after=after)
    return changed


def delete_group(group_id: UUID, *, at: datetime) -> None:
    """Its rooms stay. Raises Missing, and StillInUse for the default group or while something names it."""
    gone = held(group_id)
    scope.refuse_regrouping(gone.tenant_id, [gone.id])
    if gone.is_default:
        raise StillInUse("The default group cannot be deleted: new rooms go there.")
    try:
        with transaction.atomic():
            RoomGroup.objects.for_tenant(gone.tenant_id).filter(id=gone.id).delete()
    except IntegrityError as error:  # also Django's ProtectedError
        raise StillInUse("An enrollment key still names this group.") from error
    audit.record("group.delete", gone, tenant_id=gone.tenant_id, at=at, before={"name": gone.name})


def add_members(group_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> int:
    """Put rooms into a group; those in it already stay. Returns how many are new.

    Raises Missing, NotValid, and NotAllowed where the group is a scope and whoever asks may not change roles.
    """
    into = held(group_id)
    scope.refuse_regrouping(into.tenant_id, [into.id])
    wanted = _rooms(room_ids)
    members = RoomGroupMember.objects.for_tenant(into.tenant_id)
    there = set(members.filter(group=into, room_id__in=wanted).values_list("room_id", flat=True))
    members.filter(group=into, room_id__in=wanted, by_hand=False).update(by_hand=True)
    new = [room_id for room_id in wanted if room_id not in there]
    members.bulk_create(RoomGroupMember(tenant_id=into.tenant_id, group=into, room_id=each) for each in new)
    if new:
        added = {"added": [str(each) for each in new]}
        audit.record("group.members", into, tenant_id=into.tenant_id, at=at, after=added)
    return len(new)


def remove_members(group_id: UUID, room_ids: Iterable[UUID], *, at: datetime) -> int:
    """Take rooms out of a group; those not in it are no error. Returns how many went.

    Raises Missing, NotValid, NotAllowed as above, and StillInUse for rooms the group's rule puts there.
    """
    out_of = held(group_id)
    scope.refuse_regrouping(out_of.tenant_id, [out_of.id])
    wanted = _rooms(room_ids)
    members = RoomGroupMember.objects.for_tenant(out_of.tenant_id).filter(group=out_of, room_id__in=wanted)
    if members.filter(by_rule=True, by_hand=False).exists():
        raise StillInUse("The rule of this group puts the room here. Change the rule, or the room.")
    members.filter(by_rule=True).update(by_hand=False)
    leaving = members.filter(by_rule=False)
    gone = list(leaving.values_list("room_id", flat=True))
    leaving.delete()
    if gone:
        removed = {"removed": [str(each) for each in gone]}
        audit.record("group.members", out_of, tenant_id=out_of.tenant_id, at=at, before=removed)
    return len(gone)


def change_members(
    group_id: UUID, *, added: Iterable[UUID] = (), removed: Iterable[UUID] = (), at: datetime
) -> None:
    """Put rooms into a group and take others out, as many as there are, of an edit that has checked them.

    Those the group's rule puts there stay. What is quiet on the group's account follows by notice. Raises Missing.
    """
    of = held(group_id)
    members = RoomGroupMember.objects.for_tenant(of.tenant_id).filter(group=of)
    come, gone = list(added), list(removed)
    members.filter(room_id__in=come, by_hand=False).update(by_hand=True)
    there = set(members.filter(room_id__in=come).values_list("room_id", flat=True))
    RoomGroupMember.objects.for_tenant(of.tenant_id).bulk_create(
        (
            RoomGroupMember(tenant_id=of.tenant_id, group=of, room_id=each)
            for each in come
            if each not in there
        ),
        batch_size=MOST_AT_ONCE,
    )
    members.filter(room_id__in=gone, by_rule=True).update(by_hand=False)
    members.filter(room_id__in=gone, by_rule=False).delete()
    values = {
        name: [str(each) for each in rooms] for name, rooms in (("added", come), ("removed", gone)) if rooms
    }
    if values:
        audit.record("group.members", of, tenant_id=of.tenant_id, at=at, after=values)
        notices.regrouped(of.id, [*come, *gone], tenant_id=of.tenant_id, at=at)


def groups_of(room_id: UUID) -> list[RoomGroup]:
    """By name."""
    groups = RoomGroup.objects.for_tenant(current_tenant())
    return list(groups.filter(members__room_id=room_id).order_by("name", "id"))


def _rooms(room_ids: Iterable[UUID]) -> list[UUID]:
    wanted = list(dict.fromkeys(room_ids))
    if len(wanted) > MOST_AT_ONCE:
        raise NotValid(f"At most {MOST_AT_ONCE} rooms at once.", field="rooms")
    found = Room.objects.for_tenant(current_tenant()).current().filter(id__in=wanted).count()
    if found != len(wanted):
        raise Missing("room", field="rooms")
    return wanted


def held(group_id: UUID) -> RoomGroup:
    """Raises Missing. Locked: changes of one group's members follow each other."""
    groups = RoomGroup.objects.for_tenant(current_tenant()).filter(id=group_id)
    found: RoomGroup | None = groups.select_for_update(no_key=True).first()
    if found is None:
        raise Missing("group", field="group")
    return found


def _save(changed: RoomGroup, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            changed.save(force_insert=new)
    except IntegrityError as error:
        if violated_constraint(error) != "fleet_group_one_per_name":
            raise
        raise AlreadyThere(f"There is already a group {changed.name}.", field="name") from error


def _name(value: str) -> str:
    return validation.one_line(value, "name", at_most=80)


def _description(value: str) -> str:
    return validation.one_line(value, "description", at_most=300, required=False)
