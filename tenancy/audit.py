"""Who did what, when: every write leaves its event in its own transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models

from foundation.ids import id_at
from tenancy.models import AuditEvent, AuditPending, Person, User

# A closed list: a new kind of write names itself here.
ACTIONS = frozenset(
    {
        "tenant.create",
        "person.create",
        "person.end",
        "person.let_in",
        "person.erase",
        "person.export",
        "person.download",
        "person.password",
        "person.factor",
        "person.directory",
        "role.assign",
        "role.withdraw",
        "role.create",
        "role.update",
        "role.delete",
        "assignment.create",
        "assignment.update",
        "assignment.delete",
        "membership.create",
        "membership.end",
        "invitation.create",
        "invitation.revoke",
        "invitation.accept",
        "api_token.create",
        "api_token.revoke",
        "partner.invite",
        "partner.revoke",
        "partner.accept",
        "partner.deny",
        "partner.end",
        "partner.delegate",
        "partner.undelegate",
        "action.queue",
        "action.approve",
        "action.deny",
        "break_glass.start",
        "break_glass.end",
        "break_glass.read",
        "provider.access",
        "sign_in",
        "sign_in.failed",
        "sign_out",
        "session.end",
        "access.denied",
        "audit.export",
        "audit.download",
        "audit.drop",
        "place.create",
        "place.update",
        "place.move",
        "place.merge",
        "place.retire",
        "room.create",
        "room.update",
        "room.move",
        "room.retire",
        "room.merge",
        "room.bulk_draft",
        "room.bulk_edit",
        "room.bulk_undo",
        "room.suppress",
        "room.unsuppress",
        "room.asset_left",
        "asset.create",
        "asset.update",
        "asset.move",
        "asset.remove",
        "import.create",
        "import.check",
        "import.apply",
        "import.cancel",
        "import.done",
        "export.create",
        "export.cancel",
        "export.download",
        "room.sign_in",
        "group.create",
        "group.update",
        "group.delete",
        "group.members",
        "catalogue.create",
        "catalogue.update",
        "catalogue.delete",
        "catalogue.load",
        "group.rule",
        "enrollment_key.create",
        "enrollment_key.revoke",
        "certificate_issuer.create",
        "certificate_issuer.delete",
        "enrollment.refused",
        "device.enroll",
        "device.accept",
        "device.unenroll",
        "device.move",
        "device.quarantine",
        "device.copy_suspected",
        "device.token_rotate",
        "device.token_recover",
        "device.token_revoke",
        "device.inventory",
        "peripheral.move",
        "view.create",
        "view.update",
        "view.delete",
        "incident.open",
        "incident.state",
        "incident.take",
        "incident.assign",
        "incident.comment",
        "incident.note",
        "incident.resolve",
        "incident.reopen",
        "incident.close",
        "incident.record",
        "incident.merge",
        "incident.link",
        "incident.unlink",
        "incident.attach",
        "incident.detach",
        "incident.rooms",
        "incident.high_impact",
        "event.create",
        "event.flag",
        "suppression.create",
        "suppression.end",
        "maintenance.create",
        "maintenance.end",
        "release.create",
        "release.update",
        "release.upload",
        "release.deprecate",
        "ring.create",
        "ring.update",
        "ring.delete",
        "ring.members",
        "install_window.update",
        "rollout.propose",
        "rollout.approve",
        "rollout.start",
        "rollout.pause",
        "rollout.resume",
        "rollout.cancel",
        "rollout.retry",
        "rollout.force",
        "rollout.roll_back",
        "rollout.approve_ring",
        "rollout.ring",
        "rollout.end",
        "updates.export",
        "settings.update",
        "signal_setting.update",
        "outbox.replay",
    }
)
PERSON = "person:"  # how a person is named in before and after; tenancy.audit_log says who that is
MASKED = frozenset({"password", "digest", "secret", "token", "public_key", "key"})


@dataclass(frozen=True)
class Actor:
    """On whose behalf something happens. `kind`: person, token, device, enrollment_key or system.

    `tenant_id`: his own organisation, where he acts in another's; `grant_id`: the partnership or break glass.
    """

    kind: str
    id: UUID | None = None
    name: str = ""
    address: str | None = None
    request_id: str = ""
    tenant_id: UUID | None = None
    grant_id: UUID | None = None


SYSTEM = Actor("system", name="Greenroom")
_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)
_noted: ContextVar[list[AuditEvent] | None] = ContextVar("noted", default=None)


def current_actor() -> Actor:
    return _actor.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Everything written inside is on `actor`'s account."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


@contextmanager
def noting() -> Iterator[list[AuditEvent]]:
    """The events written inside, in their order: also those that a rollback takes back."""
    noted: list[AuditEvent] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def with_address(actor: Actor, address: str | None, request_id: str = "") -> Actor:
    return replace(actor, address=address, request_id=request_id)


def record(
    action: str,
    about: models.Model | None = None,
    *,
    tenant_id: UUID,
    at: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    result: str = "successful",
    name: str = "",
) -> AuditEvent:
    """Write one event of an entered tenant. `before` and `after` hold only what changed; secrets are masked."""
    event = _event(Written(action, about, before, after, result, name), tenant_id=tenant_id, at=at)
    _write([event], tenant_id)
    return event


class Written(NamedTuple):
    """What `record` is told, for many at once."""

    action: str
    about: models.Model | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    result: str = "successful"
    name: str = ""


def record_many(writes: Iterable[Written], *, tenant_id: UUID, at: datetime) -> None:
    """Write one event for each, in one statement."""
    _write([_event(write, tenant_id=tenant_id, at=at) for write in writes], tenant_id)


def record_in_each(action: str, tenant_ids: Iterable[UUID], *, at: datetime) -> None:
    """The same about each of several tenants entered, about nothing in particular, in one statement."""
    ids = list(tenant_ids)
    events = [_event(Written(action), tenant_id=tenant_id, at=at) for tenant_id in ids]
    _write(events, *ids)


def _write(events: list[AuditEvent], *tenant_ids: UUID) -> None:
    """Beside each event stands that it waits for its seal (tenancy.audit_seal)."""
    noted = _noted.get()
    if noted is not None:
        noted += events
    AuditEvent.objects.for_tenant(*tenant_ids).bulk_create(events)
    waiting = [AuditPending(id=event.id, tenant_id=event.tenant_id, at=event.at) for event in events]
    AuditPending.objects.for_tenant(*tenant_ids).bulk_create(waiting)


def _event(write: Written, *, tenant_id: UUID, at: datetime) -> AuditEvent:
    if write.action not in ACTIONS:
        raise ValueError(f"{write.action} is not in tenancy.audit.ACTIONS")
    actor, about = _actor.get(), write.about
    return AuditEvent(
        id=id_at(at),
        tenant_id=tenant_id,
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name="" if actor.kind == "person" else actor.name[:120],
        actor_tenant_id=actor.tenant_id,
        grant_id=actor.grant_id,
        action=write.action,
        object_kind=(about._meta.model_name or "") if about is not None else "",
        object_id=about.pk if about is not None else None,
        object_name=_named(write)[:200],
        result=write.result,
        before=_masked(write.before),
        after=_masked(write.after),
        address=actor.address,
        request_id=actor.request_id[:40],
    )


def _named(write: Written) -> str:
    """People are named by their Person alone: whoever has that row changed to a pseudonym has it changed here too."""
    if write.name or write.about is None or isinstance(write.about, Person | User):
        return write.name
    return str(write.about)


def _masked(values: dict[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {name: "[masked]" if name in MASKED else _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool | type(None)):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return _masked(value)
    if isinstance(value, Person):
        return f"{PERSON}{value.id}"
    return str(value)
