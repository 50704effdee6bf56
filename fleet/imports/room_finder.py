"""The room that a row of another thing names: by its resource account, else by its name."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from fleet import validation
from fleet.imports.planning import Line, named
from fleet.models import Room, RoomGroup, RoomGroupMember
from foundation.context import current_tenant

ACCOUNT = named(
    "account", "Account", validation.resource_account,
    "resource account", "upn", "user principal name", "email", "room account", "mailbox",
)  # fmt: skip
MOST_NAMESAKES = 5_000


class Rooms:
    """Rooms that some lines may mean. `name`: the column that holds the room's; `group`: one that narrows it."""

    def __init__(self, lines: Sequence[Line], *, name: str, group: str = "") -> None:
        self._name, self._group = name, group
        current = Room.objects.for_tenant(current_tenant()).current()
        accounts = sorted({line.get("account") for line in lines} - {""})
        self._by_account = {
            room.resource_account: room for room in current.filter(resource_account__in=accounts)
        }
        names = sorted({line.get(name) for line in lines if not line.get("account")} - {""})
        self._by_name: dict[str, list[Room]] = {}
        for room in current.filter(name__in=names).order_by("id")[:MOST_NAMESAKES] if names else ():
            self._by_name.setdefault(room.name, []).append(room)
        self._groups = self._groups_of(lines) if group else {}
        self._members = self._members_of() if self._groups else set()

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
        fitting = self._by_name.get(name, [])
        if self._group and (key := self._group_of(line)) is not None:
            fitting = [room for room in fitting if (key, room.id) in self._members]
        if len(fitting) == 1:
            return fitting[0]
        if not line.problems:
            told = "Several rooms have this name. Give the account." if fitting else "There is no such room."
            line.blame(self._name, told)
        return None

    def _is_member(self, line: Line, room: Room) -> bool:
        key = self._group_of(line)
        if line.problems:
            return False
        if key is not None and not RoomGroupMember.objects.filter(group_id=key, room=room).exists():
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

    def _members_of(self) -> set[tuple[UUID, UUID]]:
        rooms = [room.id for some in self._by_name.values() for room in some]
        rows = RoomGroupMember.objects.for_tenant(current_tenant()).filter(
            group_id__in=set(self._groups.values()), room_id__in=rooms
        )
        return set(rows.values_list("group_id", "room_id"))
