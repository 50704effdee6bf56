"""Reading the audit log: by time, who, what and about which thing; newest first by id, never a count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from foundation.context import current_tenant
from foundation.errors import NotValid
from foundation.ids import lower_bound
from foundation.tenant_tables import TenantQuerySet
from tenancy.audit import ACTIONS
from tenancy.models import AuditEvent

CATEGORIES = sorted({action.split(".")[0] for action in ACTIONS})
RESULTS = ("successful", "failed")


@dataclass(frozen=True)
class Asked:
    """What is wanted; empty means anything. `category`: the first word of actions. `after` and `before`: aware."""

    action: str = ""
    category: str = ""
    actor_id: UUID | None = None
    object_kind: str = ""
    object_id: UUID | None = None
    result: str = ""
    after: datetime | None = None
    before: datetime | None = None

    def __post_init__(self) -> None:
        """Raises NotValid for an action, category or result that does not exist."""
        for field, value, known in (
            ("action", self.action, ACTIONS),
            ("category", self.category, CATEGORIES),
            ("result", self.result, RESULTS),
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
