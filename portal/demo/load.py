"""Makes the demo: repeatable, so that a start that was interrupted is finished by the next."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction

from enrollment import keys
from enrollment.models import EnrollmentKey
from fleet import inventory, own_catalog, place_tree, room_groups
from fleet.models import MonitoringSettings, OwnCatalogEntry, Place, Room, RoomGroup
from foundation.context import current_tenant, tenant
from incidents import signal_settings
from incidents.rules import RULES
from portal.demo import history, updates
from portal.demo.cast import (
    CATALOGUE,
    CUSTOMERS,
    EQUIPMENT,
    OPERATOR,
    OPERATORS,
    DemoCustomer,
    DemoPerson,
    DemoSite,
)
from portal.simulation.device import Place as SimulatedPlace
from portal.simulation.fleet import read_plan, write_plan
from tenancy import api_tokens, regions
from tenancy.models import ApiToken, Membership, Person, Role, Tenant, User
from tenancy.tenants import add_person, create_tenant
from updates import rings

YEAR = timedelta(days=365)
FLEET_KEY = "Demo fleet"
SIMPLE_KEY = "Simple clients (demo)"
MACHINE_SITE = "This machine"
LICENSED = (timedelta(days=300), timedelta(days=120), timedelta(days=-12), timedelta(days=500))
LABELS = ((3, "VIP"), (4, "Ground floor"), (7, "Hearing loop"))
PLAN = Path("simulate") / "demo-plan.json"
Say = Callable[[str], None]


@dataclass
class SignIns:
    """What demo.json holds: the only place where the demo's generated secrets are kept."""

    url: str
    people: list[dict[str, Any]] = field(default_factory=list)
    api_tokens: list[dict[str, Any]] = field(default_factory=list)
    enrollment_keys: list[dict[str, Any]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Whole or not at all, readable by its owner alone."""
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(self.__dict__, indent=1))
        os.replace(fresh, path)


@dataclass
class Loaded:
    sign_ins: SignIns
    plan: list[SimulatedPlace]
    machine_key: str


@dataclass(frozen=True)
class Known:
    """Secrets an earlier load gave out: they stay, so that nobody's sign-in changes under him."""

    passwords: dict[str, str] = field(default_factory=dict)  # by e-mail
    tokens: dict[str, str] = field(default_factory=dict)  # by customer
    keys: frozenset[str] = frozenset()

    @classmethod
    def read(cls, home: Path) -> Known:
        """Nothing where nothing, or nothing whole, was written."""
        try:
            told = json.loads((home / "demo.json").read_text())
            plan = read_plan(home / PLAN)
        except (FileNotFoundError, ValueError):
            return cls()
        return cls(
            passwords={person["email"]: person["password"] for person in told["people"]},
            tokens={token["customer"]: token["token"] for token in told["api_tokens"]},
            keys=frozenset([key["key"] for key in told["enrollment_keys"]] + [place.key for place in plan]),
        )


def load(url: str, *, machine: str, known: Known, at: datetime, say: Say) -> Loaded:
    """Make what is missing. Secrets that are not known any more are made anew: they cannot be read back."""
    loaded = Loaded(SignIns(url), [], "")
    with transaction.atomic():
        operator = _tenant(OPERATOR, kind=Tenant.Kind.OPERATOR, at=at)
        staff = [_user(person, home=operator, known=known, at=at) for person in OPERATORS]
        for person, user in zip(OPERATORS, staff, strict=True):
            add_person(user, to=operator, role=person.role, at=at)
            role = _role_name(operator, person.role)
            loaded.sign_ins.people.append(_sign_in(user, role, customer=None))
        for number, cast in enumerate(CUSTOMERS):
            say(f"{cast.name}: {sum(len(site.rooms) for site in cast.sites)} rooms")
            site = cast.sites[0]
            customer = _tenant(cast.name, time_zone=site.time_zone, country_code=site.country_code, at=at)
            for user in staff:
                add_person(user, to=customer, role="", kind=Membership.Kind.OPERATOR, at=at)
            _load_customer(cast, customer, loaded, machine=machine if number == 0 else "", known=known, at=at)
    return loaded


def _load_customer(
    cast: DemoCustomer, customer: Tenant, loaded: Loaded, *, machine: str, known: Known, at: datetime
) -> None:
    for person in cast.people:
        user = _user(person, home=customer, known=known, at=at)
        add_person(user, to=customer, role=person.role, at=at)
        loaded.sign_ins.people.append(
            _sign_in(user, _role_name(customer, person.role), customer=customer.name)
        )
    room_groups.set_up_customer(customer, at=at)
    rings.set_up_customer(customer, at=at)
    with tenant(customer.id):
        MonitoringSettings.objects.for_tenant(customer).update(heartbeat_interval_s=cast.heartbeat_interval_s)
        if cast.watch_s is not None:
            for rule in RULES.values():
                if rule.watch:
                    signal_settings.change(
                        customer.id, rule.key, {"watch": timedelta(seconds=cast.watch_s)}, at=at
                    )
        rooms = {site.path[-1][1]: _rooms(site, cast, at=at) for site in cast.sites}
        _groups(cast, rooms, at=at)
        _catalogue(at=at)
        key = _key(customer, FLEET_KEY, known=known, at=at)
        for site in cast.sites:
            loaded.plan += [
                SimulatedPlace(key, room.name, room.resource_account, room.time_zone)
                for room in rooms[site.path[-1][1]]
            ]
        if machine:
            _machine_room(machine, at=at)
            simple = _key(customer, SIMPLE_KEY, known=known, at=at)
            loaded.machine_key = simple
            loaded.sign_ins.enrollment_keys.append(
                {"key": simple, "customer": customer.name, "simple_clients": True}
            )
        loaded.sign_ins.api_tokens.append(_token(customer, known=known, at=at))
        history.write(customer, at=at)
        updates.write(customer, at=at)


def _tenant(
    name: str,
    *,
    kind: str = Tenant.Kind.CUSTOMER,
    time_zone: str = "UTC",
    country_code: str = "",
    at: datetime,
) -> Tenant:
    there = Tenant.objects.filter(name=name, is_demo=True).first()
    country = regions.countries().get(country_code)
    served = {region.key for region in regions.served()}
    home = country.region if country is not None and country.region in served else ""
    return there or create_tenant(name, kind=kind, time_zone=time_zone, home_region=home, is_demo=True, at=at)


def _user(person: DemoPerson, *, home: Tenant, known: Known, at: datetime) -> User:
    """The person, with the password kept on the object until it is written to demo.json."""
    password = known.passwords.get(person.email) or f"demo-{secrets.token_urlsafe(9)}"
    user = User.objects.filter(email=person.email).first()
    if user is None:
        user = User.objects.create_user(
            email=person.email, name=person.name, home=home, password=password, at=at
        )
    elif not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    user.demo_password = password  # type: ignore[attr-defined]
    return user


def _sign_in(user: User, role: str, *, customer: str | None) -> dict[str, Any]:
    return {"email": user.email, "password": user.demo_password, "role": role, "customer": customer}  # type: ignore[attr-defined]


def _role_name(owner: Tenant, key: str) -> str:
    with tenant(owner.id):
        return str(Role.objects.for_tenant(owner).get(key=key).name)


def _rooms(site: DemoSite, cast: DemoCustomer, *, at: datetime) -> list[Room]:
    building = _place(site.path, country_code=site.country_code, time_zone=site.time_zone, at=at)
    there = {
        room.name: room
        for room in Room.objects.for_tenant(building.tenant_id).current().filter(place=building)
    }
    sizes = ((Room.Type.SMALL, 4), (Room.Type.MEDIUM, 8), (Room.Type.LARGE, 16))
    for number, name in enumerate(site.rooms):
        if name not in there:
            room_type, capacity = sizes[number % len(sizes)]
            there[name] = inventory.add_room(
                place_id=building.id,
                name=name,
                resource_account=f"{_ascii(name)}.{_ascii(building.name)}@{cast.domain}",
                room_type=room_type,
                capacity=capacity,
                licence=Room.Licence.UNLICENSED if number % 12 == 7 else Room.Licence.PRO,
                licence_ends=(at + LICENSED[number % len(LICENSED)]).date() if number % 12 != 7 else None,
                labels=[label for every, label in LABELS if number % every == 2],
                expected=EQUIPMENT,
                at=at,
            )
    return [there[name] for name in site.rooms]


def _place(path: tuple[tuple[str, str], ...], *, country_code: str, time_zone: str, at: datetime) -> Place:
    above: Place | None = None
    for kind, name in path:
        found = Place.objects.filter(parent=above, name=name, retired_at=None).first()
        above = found or place_tree.add_place(
            kind=kind,
            name=name,
            parent_id=above.id if above else None,
            time_zone=time_zone,
            country_code=country_code,
            at=at,
        )
    if above is None:
        raise ValueError("A site needs at least one place.")
    return above


def _machine_room(machine: str, *, at: datetime) -> None:
    """A room for the machine Greenroom runs on: the one device of the demo that is real."""
    site = _place((("building", MACHINE_SITE),), country_code="", time_zone="UTC", at=at)
    if not Room.objects.for_tenant(site.tenant_id).current().filter(name=machine).exists():
        inventory.add_room(place_id=site.id, name=machine, at=at)


def _groups(cast: DemoCustomer, rooms: dict[str, list[Room]], *, at: datetime) -> None:
    tenant_id = current_tenant()
    there = {group.name: group for group in RoomGroup.objects.for_tenant(tenant_id)}
    for name, sites in cast.groups.items():
        group = there.get(name) or room_groups.add_group(name=name, at=at)
        room_groups.add_members(group.id, [room.id for site in sites for room in rooms[site]], at=at)


def _catalogue(*, at: datetime) -> None:
    """The makers of the demo are made up, so no shared row knows them."""
    known = set(OwnCatalogEntry.objects.for_tenant(current_tenant()).values_list("make", "model"))
    for make, model, kind, certification, supported_days in CATALOGUE:
        if (make, model) not in known:
            ends = (at + timedelta(days=supported_days)).date() if supported_days else None
            values = {"make": make, "model": model, "kind": kind, "platform": "windows", "support_ends": ends}
            own_catalog.add({**values, "certification": certification, "note": "Made up for the demo"}, at=at)


def _key(customer: Tenant, label: str, *, known: Known, at: datetime) -> str:
    """The key of that label if its text is known and it can be used, else a new one in its place."""
    for old in EnrollmentKey.objects.for_tenant(customer).filter(label=label, revoked_at=None):
        text = next((text for text in known.keys if old.public_id in text), None)
        if text and EnrollmentKey.objects.for_tenant(customer).usable(at=at).filter(id=old.id).exists():
            return text
        keys.revoke(old, at=at)
    _, text = keys.issue(
        label=label,
        group=room_groups.default_group(),
        approval=EnrollmentKey.Approval.AUTO,
        simple_clients=True,
        max_uses=100_000,
        expires_at=at + YEAR,
        by=None,
        at=at,
    )
    return text


def _token(customer: Tenant, *, known: Known, at: datetime) -> dict[str, Any]:
    text = known.tokens.get(customer.name, "")
    holder = api_tokens.holder_of(text, at=at)
    if holder is not None:
        return {"token": text, "role": holder.token.role.name, "customer": customer.name}
    for old in ApiToken.objects.for_tenant(customer).filter(label="Demo", revoked_at=None):
        api_tokens.revoke(old, at=at)
    role = Role.objects.for_tenant(customer).get(key="pro_manager")
    by = Person.objects.for_tenant(customer).filter(assignments__role=role).first()
    _, text = api_tokens.issue(customer, role=role, label="Demo", expires_at=at + YEAR, by=by, at=at)
    return {"token": text, "role": role.name, "customer": customer.name}


def _ascii(name: str) -> str:
    return name.lower().replace("ø", "o").replace("å", "a").replace("æ", "ae").replace(" ", "-")


def keep(loaded: Loaded, home: Path) -> None:
    """Write what the supervisor, the simulation and a person need."""
    write_plan(home / PLAN, loaded.plan)
    loaded.sign_ins.write(home / "demo.json")
