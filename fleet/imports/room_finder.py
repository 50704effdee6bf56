"""The room that a row of another thing names: by its resource account, else by its name."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Count

from fleet import validation
from fleet.imports.planning import Line, named
from fleet.models import Room, RoomGroup, RoomGroupMember
from foundation.context import current_tenant
from foundation.tenant_tables import TenantQuerySet

ACCOUNT = named(
    "account", "Account", validation.resource_account,
    "resource account", "upn", "user principal name", "email", "room account", "mailbox",
)  # fmt: skip


class Rooms:
    """Rooms that some lines may mean, read in as many queries for one line as for all. `name`: the column that holds
    the room's; `group`: one that narrows it."""

    def __init__(self, lines: Sequence[Line], *, name: str, group: str = "") -> None:
        self._name, self._group = name, group
        current = Room.objects.for_tenant(current_tenant()).current()
        accounts = sorted({line.get("account") for line in lines} - {""})
        self._by_account = {
            room.resource_account: room for room in current.filter(resource_account__in=accounts)
        }
        names = sorted({line.get(name) for line in lines if not line.get("account")} - {""})
        held = current.filter(name__in=names).order_by()
        self._known = set(held.values_list("name", flat=True).distinct())
        alone = held.values("name").annotate(rooms=Count("id")).filter(rooms=1)
        self._by_name = {room.name: room for room in held.filter(name__in=alone.values("name"))}
        self._groups = self._groups_of(lines) if group else {}
        members = RoomGroupMember.objects.for_tenant(current_tenant()).filter(
            group_id__in=set(self._groups.values()), room__retired_at=None
        )
        self._by_group = self._within(members.filter(room__name__in=names)) if self._groups else {}
        by_account = [room.id for room in self._by_account.values()]
        self._members = (
            set(members.filter(room_id__in=by_account).values_list("group_id", "room_id"))
            if self._groups
            else set()
        )

    @staticmethod
    def _within(members: TenantQuerySet[RoomGroupMember]) -> dict[tuple[UUID, str], Room | None]:
        """By group and name: the one room, None for several."""
        found: dict[tuple[UUID, str], Room | None] = {}
        several = members.order_by().values_list("group_id", "room__name").annotate(rooms=Count("id"))
        for group_id, called, _ in several.filter(rooms__gt=1):
            found[group_id, called] = None
        single = {(group_id, called) for group_id, called, _ in several.filter(rooms=1)}
        names = {called for _, called in single}
        for row in members.filter(room__name__in=names).select_related("room") if single else ():
            if (row.group_id, row.room.name) in single:
                found[row.group_id, row.room.name] = row.room
        return found

    def of(self, line: Line) -> Room | None:
        """Blames the line where there is not exactly one."""
        if account := line.get("account"):
            found = self._by_account.get(account)
            if found is None:
                line.blame("account", "There is no room with this account.")
            elif self._group and not self._is_member(line, found):
                return None
            return found
        name = line.get(self._name)
        if not name:
            line.blame("", "The row names no room: give its account or its name.")
            return None
        key = self._group_of(line) if self._group else None
        if line.problems:
            return None
        several = name in self._known if key is None else (key, name) in self._by_group
        found = self._by_name.get(name) if key is None else self._by_group.get((key, name))
        if found is None:
            told = "Several rooms have this name. Give the account." if several else "There is no such room."
            line.blame(self._name, told)
        return found

    def _is_member(self, line: Line, room: Room) -> bool:
        key = self._group_of(line)
        if line.problems:
            return False
        if key is not None and (key, room.id) not in self._members:
            line.blame(self._group, "The room is not in this group.")
            return False
        return True

    def _group_of(self, line: Line) -> UUID | None:
        """Blames a line that names a group that is not there."""
        wanted = line.get(self._group)
        if not wanted:
            return None
        if wanted not in self._groups:
            line.blame(self._group, "There is no room group with this id or name.")
            return None
        return self._groups[wanted]

    def _groups_of(self, lines: Sequence[Line]) -> dict[str, UUID]:
        wanted = {line.get(self._group) for line in lines} - {""}
        if not wanted:
            return {}
        rows = RoomGroup.objects.for_tenant(current_tenant()).values_list("id", "name")
        return {text: key for key, name in rows for text in (str(key), name) if text in wanted}
