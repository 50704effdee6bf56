"""Reading the audit log: by time, who, what and about which thing; newest first by id, never a count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.ids import lower_bound
from foundation.tenant_tables import TenantQuerySet
from tenancy.audit import ACTIONS, PERSON
from tenancy.models import AuditEvent, Invitation, Person

CATEGORIES = sorted({action.split(".")[0] for action in ACTIONS})
RESULTS = ("successful", "failed")
ACTORS = ("person", "token", "device", "enrollment_key", "stranger", "system")


@dataclass(frozen=True)
class Asked:
    """What is wanted; empty means anything. `category`: the first word of actions. `after` and `before`: aware."""

    action: str = ""
    category: str = ""
    actor_kind: str = ""
    actor_id: UUID | None = None
    object_kind: str = ""
    object_id: UUID | None = None
    result: str = ""
    after: datetime | None = None
    before: datetime | None = None

    def __post_init__(self) -> None:
        """Raises NotValid for an action, category, result or kind of actor that does not exist."""
        for field, value, known in (
            ("action", self.action, ACTIONS),
            ("category", self.category, CATEGORIES),
            ("result", self.result, RESULTS),
            ("actor_kind", self.actor_kind, ACTORS),
        ):
            if value and value not in known:
                raise NotValid(f"There is no {field} {value[:60]!r}.", field=field)

    def as_json(self) -> dict[str, Any]:
        return {name: str(value) for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, kept: Mapping[str, str]) -> Asked:
        read: dict[str, Any] = dict(kept)
        for name in ("actor_id", "object_id"):
            if name in read:
                read[name] = UUID(read[name])
        for name in ("after", "before"):
            if name in read:
                read[name] = datetime.fromisoformat(read[name])
        return cls(**read)


def events(asked: Asked) -> TenantQuerySet[AuditEvent]:
    """Events of the tenant entered; time is compared by id, so that other days' partitions are not touched."""
    rows = AuditEvent.objects.for_tenant(current_tenant())
    equal = {
        "action": asked.action,
        "actor_kind": asked.actor_kind,
        "actor_id": asked.actor_id,
        "object_kind": asked.object_kind,
        "object_id": asked.object_id,
        "result": asked.result,
    }
    rows = rows.filter(**{name: value for name, value in equal.items() if value})
    if asked.category and not asked.action:
        rows = rows.filter(
            action__in=sorted(each for each in ACTIONS if each.split(".")[0] == asked.category)
        )
    if asked.after is not None:
        rows = rows.filter(id__gte=lower_bound(asked.after))
    if asked.before is not None:
        rows = rows.filter(id__lt=lower_bound(asked.before))
    return rows


class Names:
    """Whom events name, as their Person and Invitation rows of the tenant entered call them now. Two queries for a page
    of events."""

    def __init__(self, rows: Iterable[AuditEvent]) -> None:
        self._by_user: dict[UUID, str] = {}
        self._by_person: dict[UUID, str] = {}
        users, people, invited = set[UUID](), set[UUID](), set[UUID]()
        for row in rows:
            if row.actor_kind == "person" and row.actor_id is not None:
                users.add(row.actor_id)
            if row.object_kind in ("person", "user") and row.object_id is not None:
                (people if row.object_kind == "person" else users).add(row.object_id)
            if row.object_kind == "invitation" and row.object_id is not None:
                invited.add(row.object_id)
            people |= set(_mentioned([row.before, row.after]))
        found = Person.objects.for_tenant(current_tenant()).filter(Q(user_id__in=users) | Q(id__in=people))
        for key, user_id, name in found.values_list("id", "user_id", "name") if users or people else ():
            self._by_person[key], self._by_user[user_id] = name, name
        addresses = Invitation.objects.for_tenant(current_tenant()).filter(id__in=invited)
        self._invited: dict[UUID, str] = dict(addresses.values_list("id", "email") if invited else ())

    def actor(self, row: AuditEvent) -> str:
        if row.actor_kind != "person" or row.actor_id is None:
            return row.actor_name
        return self._by_user.get(row.actor_id, row.actor_name or "Somebody of another organisation")

    def about(self, row: AuditEvent) -> str:
        known = self._by_person if row.object_kind == "person" else self._by_user
        if row.object_kind in ("person", "user") and row.object_id is not None:
            return known.get(row.object_id, row.object_name)
        if row.object_kind == "invitation" and row.object_id is not None:
            return self._invited.get(row.object_id, row.object_name)
        return row.object_name

    def plain(self, value: Any) -> Any:
        """`before` or `after` with people by name."""
        if isinstance(value, dict):
            return {name: self.plain(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.plain(each) for each in value]
        key = _person(value)
        return self._by_person.get(key, "somebody") if key is not None else value


def _mentioned(value: Any) -> Iterable[UUID]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _mentioned(each)
    key = _person(value)
    if key is not None:
        yield key


def _person(value: Any) -> UUID | None:
    if not isinstance(value, str) or not value.startswith(PERSON):
        return None
    try:
        return UUID(value.removeprefix(PERSON))
    except ValueError:
        return None
