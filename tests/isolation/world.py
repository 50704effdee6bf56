"""Two customers that hold one of everything, and somebody of every role: what the isolation matrix walks through."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from enrollment import issuers, keys
from fleet import assets, bulk_edit, exports, inventory, own_catalog, place_tree, room_groups
from fleet.imports import runs as import_runs
from fleet.models import Device, Peripheral, SignalState
from foundation import files, jobs
from foundation.context import tenant
from foundation.ids import new_id
from foundation.models import Job
from incidents import attachments, events, recorded, relations, suppression
from incidents.timeline import GREENROOM
from insights import privacy
from tenancy import (
    api_tokens,
    approvals,
    assignments,
    audit_export,
    custom_roles,
    invitations,
    partners,
    saved_views,
)
from tenancy.audit import SYSTEM
from tenancy.models import BreakGlass, Person, Role, RoleAssignment, Tenant, User
from tenancy.on_behalf import By
from tenancy.rights import granted
from tenancy.roles import CUSTOMER_ROLES, OPERATOR_ROLES
from tenancy.tenants import add_person, create_tenant
from tests.factories.incidents import make_incident
from tests.factories.tenancy import make_agent, make_customer, make_operator, make_person, make_user
from tests.factories.updates import make_release
from updates import compliance, proposals, rings
from updates.models import RolloutTarget

YEAR = timedelta(days=365)
CUSTOM = frozenset({"rooms.view", "rooms.modify", "tickets.view", "reports.view", "remote.view"})
BEYOND = "HERON"  # the canary of what lies outside the scope of `scoped`, of the same customer


@dataclass
class Customer:
    """A customer with one of everything; `canary` stands in every text and must never reach anybody else."""

    tenant: Tenant
    canary: str
    ids: dict[str, UUID] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)  # by role
    tokens: dict[str, str] = field(default_factory=dict)  # by role
    beyond: dict[str, UUID] = field(
        default_factory=dict
    )  # another of everything, named BEYOND, in another group
    scoped: User | None = None  # a Pro Manager over the group of `ids` alone
    scoped_token: str = ""
    operators: dict[str, User] = field(default_factory=dict)  # by role, those who serve it


@dataclass
class World:
    own: Customer
    foreign: Customer
    agents: dict[str, User]  # the operator's people by role, serving `own` alone
    missing: UUID = field(default_factory=new_id)


def build(*, at: datetime) -> World:
    own, foreign = _customer("KESTREL", at=at), _customer("OSPREY", at=at)
    operator = make_operator("Operations of the matrix", at=at)
    agents = {role.key: make_agent(operator, [own.tenant], role.key, at=at) for role in OPERATOR_ROLES}
    own.operators = agents
    own.ids["served_by"], foreign.ids["served_by"] = agents["soc_agent"].id, new_id()
    make_agent(operator, [], at=at)  # who may yet serve
    return World(own, foreign, agents)


def _customer(canary: str, *, at: datetime) -> Customer:
    customer = Customer(make_customer(f"Customer {canary} {new_id().hex[-6:]}", at=at), canary)
    people = {
        role.key: make_person(customer.tenant, role.key, at=at, name=f"{canary} {role.name}")
        for role in CUSTOMER_ROLES
    }
    customer.people = {key: _user_of(person) for key, person in people.items()}
    with transaction.atomic():
        room_groups.set_up_customer(customer.tenant, at=at)
    with tenant(customer.tenant.id):
        customer.ids |= _things(customer, customer.canary, at=at)
        customer.ids["view"] = saved_views.save(
            listing="rooms", name=f"{canary} view", query={}, shared=True, owner=None, at=at
        ).id
        fingerprint = hashlib.sha256(canary.encode()).hexdigest()  # of the customer as a whole, like releases
        customer.ids["issuer"] = issuers.add(label=f"{canary} issuer", fingerprint=fingerprint, at=at).id
        customer.beyond |= _things(customer, f"{BEYOND} {canary}", at=at)
        _update_things(customer, at=at)
        for role in CUSTOMER_ROLES:
            row = Role.objects.for_tenant(customer.tenant).get(key=role.key)
            _, customer.tokens[role.key] = api_tokens.issue(
                customer.tenant,
                role=row,
                label=f"{canary} {role.key}",
                expires_at=at + YEAR,
                by=people[role.key],
                at=at,
            )
    _add_scoped(customer, at=at)
    _add_custom(customer, at=at)
    _add_partner(customer, at=at)
    return customer


def _add_custom(customer: Customer, *, at: datetime) -> None:
    """Somebody with a role of the customer's own making, and a program of it."""
    owner = customer.tenant
    with tenant(owner.id):
        role = custom_roles.add_role(
            name=f"{customer.canary} own role", permissions=sorted(CUSTOM), by=None, at=at
        )
        person = make_person(owner, role.key, at=at, name=f"{customer.canary} own role")
        _, customer.tokens["custom"] = api_tokens.issue(
            owner, role=role, label=f"{customer.canary} own", expires_at=at + YEAR, by=person, at=at
        )
    customer.people["custom"] = _user_of(person)


def _add_partner(customer: Customer, *, at: datetime) -> None:
    """A partner that works for the customer with everything the role of partners may; and one more that asks for it."""
    owner, domain = customer.tenant, f"{customer.canary.lower()}-{new_id().hex[-6:]}.partner.example"
    with transaction.atomic():
        partner = create_tenant(f"{customer.canary} partner", kind=Tenant.Kind.PARTNER, domain=domain, at=at)
    for key in ("pro_manager", "global_reader"):
        person = make_person(partner, key, at=at, name=f"{customer.canary} partner {key}")
        customer.people[f"partner {key}"] = _user_of(person)
    sent = _user_of(make_person(partner, "", at=at, name=f"{customer.canary} partner"))
    terms: dict[str, Any] = {"domain": domain, "everywhere": True, "by": None, "rights": None, "at": at}
    with tenant(owner.id):
        role = Role.objects.for_tenant(owner).get(key="partner_admin")
        grant = partners.invite(owner, role_id=role.id, **terms)
    partners.accept(grant.id, partner=partner, at=at)
    partners.delegate(grant.id, sent, partner=partner, at=at)
    with tenant(owner.id):
        person = Person.objects.for_tenant(owner).get(user=sent)
        _, customer.tokens["partner"] = api_tokens.issue(
            owner, role=role, label=f"{customer.canary} partner", expires_at=at + YEAR,
            by=person, person=person, at=at,
        )  # fmt: skip
    asking = make_customer(f"{customer.canary} asking", at=at)
    with tenant(asking.id):
        role = Role.objects.for_tenant(asking).get(key="partner_admin")
        customer.ids["offer"] = partners.invite(asking, role_id=role.id, **terms).id
    customer.ids["grant_to_partner"] = grant.id
    customer.people["partner"] = sent


def _add_scoped(customer: Customer, *, at: datetime) -> None:
    """Somebody with every right of a customer, over the rooms of one group."""
    user = make_user(customer.tenant, at=at, name=f"{customer.canary} scoped")
    with transaction.atomic():
        person = add_person(user, to=customer.tenant, role="", at=at)
    group = ("group", customer.ids["group"])
    with tenant(customer.tenant.id):
        role = Role.objects.for_tenant(customer.tenant).get(key="pro_manager")
        assignments.add(
            role_id=role.id,
            name="One group",
            members=[person.id],
            everywhere=False,
            scope=[group],
            by=None,
            at=at,
        )
        _, customer.scoped_token = api_tokens.issue(
            customer.tenant,
            role=role,
            label=f"{customer.canary} scoped",
            expires_at=at + YEAR,
            by=person,
            person=person,
            at=at,
        )
    customer.scoped = user


def _things(customer: Customer, canary: str, *, at: datetime) -> dict[str, UUID]:
    place = place_tree.add_place(kind="building", name=f"{canary} building", at=at)
    room = inventory.add_room(place_id=place.id, name=f"{canary} room", at=at)
    group = room_groups.add_group(name=f"{canary} group", at=at)
    room_groups.add_members(group.id, [room.id], at=at)
    table = io.BytesIO(f"Name,Building\n{canary},{canary}\n".encode())
    by = By(SYSTEM, granted([import_runs.PERMISSION]))
    imported = import_runs.receive("rooms", table, f"{canary}.csv", by=by, at=at)
    export_by = By(SYSTEM, granted([exports.PERMISSION]))
    queued = exports.start("rooms", "csv", {"q": [canary]}, by=export_by, at=at)
    asset = assets.add_asset(room_id=room.id, kind="dock", name=f"{canary} asset", at=at)
    devices = Device.objects.for_tenant(customer.tenant)
    shared: dict[str, Any] = {
        "kind": "room_system",
        "platform": "windows",
        "make": "Nordlys",
        "model": "Base",
    }
    device = devices.create(
        name=f"{canary} device", room=room, status="enrolled", status_since=at, created_at=at, **shared
    )
    waiting = devices.create(
        name=f"{canary} arrival", status="onboarding", status_since=at, created_at=at, **shared
    )
    SignalState.objects.for_tenant(customer.tenant).create(
        device=device, signal="mic_conf", state="unhealthy", detail=f"{canary} detail", since=at
    )
    incident = make_incident(device, at=at)
    issue = recorded.Issue([room.id], f"{canary} issue", f"{canary} text")
    linked = recorded.record_issue(customer.tenant.id, issue, author=GREENROOM, at=at)
    relations.link(incident, linked, author=GREENROOM, at=at)
    log = io.BytesIO(f"{canary} log".encode())
    attachment = attachments.attach(incident, log, f"{canary}.log", author=GREENROOM, at=at)
    event = events.add_event(
        customer.tenant.id, room_id=room.id, kind="room_report", source=f"{canary} panel", text=canary, at=at
    )
    quiet: dict[str, Any] = {"reason": f"{canary} reason", "at": at}
    suppressed = suppression.suppress(
        customer.tenant.id, group_id=group.id, signal="spk_conf", until=at + timedelta(days=30), **quiet
    )
    window = suppression.plan_window(
        customer.tenant.id,
        room_id=room.id,
        starts_at=at + timedelta(days=20),
        ends_at=at + timedelta(days=21),
        **quiet,
    )
    row = own_catalog.add(  # it has no room, so whoever may see the catalogue sees it
        {"make": customer.canary, "model": new_id().hex, "kind": "camera", "platform": "windows"}, at=at
    )
    edit = bulk_edit.draft(room_ids=[room.id], selected=canary, by=None, at=at)
    bulk_edit.set_changes(edit.id, {"capacity": 4}, at=at)
    camera = Peripheral.objects.for_tenant(customer.tenant).create(
        device=device,
        kind="camera",
        make=canary,
        model=f"{canary} camera",
        identity="camera",
        first_seen_at=at,
        last_seen_at=at,
    )
    key, _ = keys.issue(
        label=f"{canary} key", group=room_groups.default_group(), expires_at=at + YEAR, by=None, at=at
    )
    return {
        **_people_things(customer, canary, incident.number, at=at),
        "tenant": customer.tenant.id,
        "place": place.id,
        "room": room.id,
        "group": group.id,
        "device": device.id,
        "waiting_device": waiting.id,
        "incident": incident.id,
        "linked": linked.id,
        "event": event.id,
        "attachment": attachment.id,
        "asset": asset.id,
        "import": imported.id,
        "export_queued": queued.id,
        "export": _finished(
            customer.tenant, exports.KIND, canary, files.FileKind("x", b""), queued.parameters, at=at
        ),
        "key": key.id,
        "peripheral": camera.id,
        "edit": edit.id,
        "suppression": suppressed.id,
        "window": window.id,
        "catalogue_row": row.id,
    }


def _update_things(customer: Customer, *, at: datetime) -> None:
    """Releases, rings and rollouts are of all rooms; the devices in a rollout are of theirs."""
    release = make_release(
        "2.0", name=f"{customer.canary} app", notes=f"{customer.canary} notes", make="Nordlys", at=at
    )
    ring = rings.add_ring(name=f"{customer.canary} ring", position=3, rollout_days=1, test_days=1, at=at)
    rings.move_rooms(ring.id, [customer.ids["room"]], at=at)
    rollout = proposals.propose(release.id, at=at)
    staging = next(each for each in rings.all_rings(at=at) if each.kind == "staging")
    exported = _finished(customer.tenant, compliance.KIND, customer.canary, compliance.CSV, at=at)
    shared = {
        "release": release.id,
        "ring": ring.id,
        "staging": staging.id,
        "rollout": rollout.id,
        "compliance_export": exported,
    }
    for held in (customer.ids, customer.beyond):
        target = RolloutTarget.objects.for_tenant(customer.tenant).get(
            rollout=rollout, device_id=held["device"]
        )
        held.update(shared, target=target.id)


def _people_things(customer: Customer, canary: str, number: str, *, at: datetime) -> dict[str, UUID]:
    """One of everything that concerns people, partners and operators."""
    owner = customer.tenant
    role = custom_roles.add_role(name=f"{canary} role", permissions=["rooms.view"], by=None, at=at)
    person = add_person(make_user(owner, at=at, name=f"{canary} person"), to=owner, role="", at=at)
    assignments.give(person, role_id=role.id, by=None, at=at)
    assigned = assignments.add(
        role_id=role.id, name=f"{canary} assignment", members=[person.id], by=None, at=at
    )
    spare = custom_roles.add_role(name=f"{canary} spare", permissions=["rooms.view"], by=None, at=at)
    invited = invitations.invite(
        email=f"{canary.replace(' ', '-')}@example.com",
        role_id=role.id,
        link="x",
        by=None,
        rights=None,
        at=at,
    )
    token, _ = api_tokens.issue(
        owner, role=role, label=f"{canary} token", expires_at=at + YEAR, by=None, at=at
    )
    domain = f"{canary.replace(' ', '-').lower()}.example"
    partner = partners.invite(
        owner, domain=domain, role_id=role.id, everywhere=True, by=None, rights=None, at=at
    )
    action = approvals.queue(
        partner,
        person,
        permission="rooms.modify",
        label=f"{canary} action",
        method="POST",
        path="/rooms/add",
        body={},
        at=at,
    )
    access = BreakGlass.objects.for_tenant(owner).create(
        person=person,
        user_id=person.user_id,
        reason=f"{canary} reason",
        ticket=number,
        started_at=at,
        expires_at=at + timedelta(hours=1),
    )
    return {
        "person": person.id,
        "given": RoleAssignment.objects.for_tenant(owner).get(person=person, assignment=None).id,
        "role": spare.id,
        "assignment": assigned.id,
        "invitation": invited.id,
        "token": token.id,
        "partner": partner.id,
        "action": action.id,
        "access": access.id,
        "person_export": _finished(owner, privacy.KIND, canary, privacy.JSON, at=at),
        "audit_export": _finished(owner, audit_export.KIND, canary, audit_export.CSV, at=at),
    }


def _finished(
    owner: Tenant,
    kind: str,
    text: str,
    form: files.FileKind,
    parameters: dict[str, Any] | None = None,
    *,
    at: datetime,
) -> UUID:
    """A job that is done, with its file."""
    row = files.store(
        io.BytesIO(text.encode()), f"{text}.txt", tenant_id=owner.id, kinds=(form,), limit_bytes=1_000, at=at
    )
    job = jobs.add(kind, parameters or {}, tenant_id=owner.id, requested_by=None, at=at)
    Job.objects.for_tenant(owner).filter(id=job.id).update(state=Job.State.DONE, result={"file": str(row.id)})
    return job.id


def _user_of(person: Person) -> User:
    return User.objects.get(id=person.user_id)
