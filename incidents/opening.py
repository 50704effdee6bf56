"""From a fault to its ticket: opened, reopened, or known already, however many workers see it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from fleet.models import Device
from foundation.errors import violated_constraint
from incidents import states
from incidents.counting import Tally
from incidents.facts import Finding
from incidents.lifecycle import close_all, reopen_all
from incidents.models import Incident, IncidentEntry
from incidents.moves import held
from incidents.numbers import random_numbers
from incidents.rules import Rule
from incidents.severity import Severity
from incidents.states import Event, State
from incidents.terms import Terms, terms_of
from incidents.timeline import GREENROOM, Author, Line, write
from tenancy import audit

TRIES = 5  # of a ticket number another ticket has
Kind = IncidentEntry.Kind
Key = tuple[UUID, str, str]  # device, signal, instance
# Nothing diagnoses or repairs by itself yet, so a new ticket goes on to the queue at once.
FIRST_STATE = states.after(Event.QUEUE, State.NEW) or State.NEW
ONE_PER_FAULT = "(tenant_id, device_id, signal, instance) WHERE closed_at IS NULL"
_COLUMNS = [each for each in Incident._meta.concrete_fields if each.column]
_REFRESHED = ("summary", "evidence", "fault_at", "severity", "suppressed", "room_id", "parent_id")


@dataclass(frozen=True)
class Fault:
    """A finding that outlived its watching period. `severity` as the customer set it."""

    device: Device
    rule: Rule
    finding: Finding
    severity: Severity
    suppressed: bool = False
    parent_id: UUID | None = None  # the cause it outlived

    @property
    def key(self) -> Key:
        return self.device.id, self.rule.key, self.finding.instance

    def began(self, *, at: datetime) -> datetime:
        return min(self.finding.fault_at or at, at)


@dataclass
class Opened:
    new: list[Incident] = field(default_factory=list)
    reopened: list[Incident] = field(default_factory=list)
    known: list[Incident] = field(default_factory=list)  # open already, by an earlier or racing worker


def open_incident(device: Device, rule: Rule, finding: Finding, *, at: datetime) -> tuple[Incident, bool]:
    """Open a ticket, refresh the one already open, or reopen one resolved but not yet closed.

    Returns it and whether it is new. The device's tenant is entered.
    """
    severity = rule.severity or Severity.IMPORTANT
    opened = open_incidents(device.tenant_id, [Fault(device, rule, finding, severity)], at=at)
    return (opened.new + opened.reopened + opened.known)[0], bool(opened.new)


def open_incidents(
    tenant_id: UUID, faults: Iterable[Fault], *, at: datetime, numbers: Iterator[str] | None = None
) -> Opened:
    """The same for many faults of an entered tenant, each with its own key, in a fixed number of statements.

    Until it is closed there is one ticket per device, signal and instance: the constraint
    `incidents_one_per_fault` decides, so workers may race here. One that was healthy for the days of the
    customer's terms is closed here first, since its timer may be late, and the fault gets a new number.
    """
    outcome = Opened()
    wanted = {fault.key: fault for fault in sorted(faults, key=lambda fault: fault.key)}
    if not wanted:
        return outcome
    terms = terms_of(tenant_id)
    for _ in range(2):  # the second time for those whose ticket was closed here
        there = _upsert(tenant_id, list(wanted.values()), terms, outcome, numbers or random_numbers(), at=at)
        expired = [each for each in there if _expired(each, wanted[_key(each)], terms, at=at)]
        kept = [each for each in there if each not in expired]
        reopened = [each for each in kept if each.state == State.RESOLVED]
        _refresh(tenant_id, kept, wanted, at=at)
        reopen_all(reopened, at=at, texts={each.id: _detail(each) for each in reopened})
        outcome.reopened += reopened
        outcome.known += [each for each in kept if each not in reopened]
        if not expired:
            break
        close_all(expired, Event.EXPIRE, at=at)
        wanted = {_key(each): wanted[_key(each)] for each in expired}
    return outcome


def _upsert(
    tenant_id: UUID,
    faults: Sequence[Fault],
    terms: Terms,
    outcome: Opened,
    numbers: Iterator[str],
    *,
    at: datetime,
) -> list[Incident]:
    """Notes new tickets in `outcome`; returns those that were there, held."""
    for tries_left in reversed(range(TRIES)):
        made = [_ticket(fault, terms, next(numbers), at=at) for fault in faults]
        try:
            with transaction.atomic():
                ids = insert(made, ONE_PER_FAULT)
            break
        except IntegrityError as error:
            if violated_constraint(error) != "incidents_one_per_number" or not tries_left:
                raise
    new = [each for each in made if each.id in ids]
    outcome.new += new
    note_new(tenant_id, new, at=at)
    others = ids - {each.id for each in new}
    return held(tenant_id, id__in=list(others)) if others else []


def insert(made: Sequence[Incident], conflict: str) -> set[UUID]:
    """One statement; the ids of the rows as they are: ours where the ticket is new, another's where it was there."""
    row = "(" + ", ".join(["%s"] * len(_COLUMNS)) + ")"
    names = ", ".join(f'"{each.column}"' for each in _COLUMNS)
    parameters = [
        column.get_db_prep_save(getattr(each, column.attname), connection)
        for each in made
        for column in _COLUMNS
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO incidents_incident ({names}) VALUES {', '.join([row] * len(made))} "  # noqa: S608 - names of our own model
            f"ON CONFLICT {conflict} "
            "DO UPDATE SET version = incidents_incident.version RETURNING id",  # changes nothing, holds the row
            parameters,
        )
        ids = {found for (found,) in cursor.fetchall()}
    for each in made:
        each._state.adding = (
            each.id not in ids
        )  # so that save() changes the row instead of inserting it again
    return ids


def _ticket(fault: Fault, terms: Terms, number: str, *, at: datetime) -> Incident:
    due_at = at + terms.first_response
    return Incident(
        tenant_id=fault.device.tenant_id,
        number=number,
        device=fault.device,
        room_id=fault.device.room_id,
        signal=fault.rule.key,
        instance=fault.finding.instance,
        severity=fault.severity,
        state=FIRST_STATE,
        summary=fault.finding.summary,
        evidence=dict(fault.finding.evidence),
        suppressed=fault.suppressed,
        parent_id=fault.parent_id,
        opened_at=at,
        fault_at=fault.began(at=at),
        respond_by=due_at,
        due_at=due_at,
        updated_at=at,
    )


def note_new(
    tenant_id: UUID,
    new: Sequence[Incident],
    *,
    at: datetime,
    author: Author = GREENROOM,
    action: str = "incident.open",
) -> None:
    """Timeline, audit and counters of tickets just inserted, rooms and all."""
    if not new:
        return
    lines = []
    for each in new:
        lines.append(Line(each, Kind.OPENED, _detail(each), after=State.NEW))
        lines.append(Line(each, Kind.STATE, before=State.NEW, after=each.state))
    write(lines, tenant_id=tenant_id, at=at, author=author)
    audit.record_many(
        [audit.Written(action, each, after={"state": each.state, "signal": each.signal}) for each in new],
        tenant_id=tenant_id,
        at=at,
    )
    tally = Tally(tenant_id)
    tally.now(new)
    tally.write(at=at)


def _refresh(tenant_id: UUID, kept: Sequence[Incident], wanted: Mapping[Key, Fault], *, at: datetime) -> None:
    """An open ticket shows what is seen now; a resolved one that will reopen takes over the new fault."""
    for each in kept:
        fault = wanted[_key(each)]
        each.summary, each.evidence = fault.finding.summary, dict(fault.finding.evidence)
        if each.state == State.RESOLVED:
            each.fault_at, each.severity = fault.began(at=at), fault.severity
            each.suppressed, each.room_id = fault.suppressed, fault.device.room_id
            each.parent_id = fault.parent_id  # one merged into another stands for itself again
    if kept:
        Incident.objects.for_tenant(tenant_id).bulk_update(kept, _REFRESHED)


def _key(incident: Incident) -> Key:
    return cast("UUID", incident.device_id), incident.signal, incident.instance


def _detail(incident: Incident) -> str:
    return str(incident.evidence.get("detail", ""))


def _expired(incident: Incident, fault: Fault, terms: Terms, *, at: datetime) -> bool:
    """Resolved, and healthy for the whole of the days before this fault began."""
    if incident.state != State.RESOLVED or incident.resolved_at is None:
        return False
    return fault.began(at=at) >= incident.resolved_at + terms.close_after
