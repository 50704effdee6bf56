"""Organisations and people, made the way the product makes them."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from itertools import count

from django.contrib.auth.hashers import make_password
from django.db import transaction

from fleet.room_groups import set_up_customer
from tenancy.models import Membership, Person, Tenant, User
from tenancy.tenants import add_person, create_tenant
from updates import rings

_numbers = count(1)
PASSWORD = "correct horse battery staple"


def make_customer(name: str = "", *, at: datetime, time_zone: str = "Europe/Oslo") -> Tenant:
    with transaction.atomic():
        made = create_tenant(name or f"Customer {next(_numbers)}", time_zone=time_zone, at=at)
        set_up_customer(made, at=at)
        rings.set_up_customer(made, at=at)
        return made


def make_operator(name: str = "Operations", *, at: datetime) -> Tenant:
    with transaction.atomic():
        return create_tenant(name, kind=Tenant.Kind.OPERATOR, at=at)


@cache
def _hashed_password() -> str:
    """Once a process: hashing is slow on purpose."""
    return make_password(PASSWORD)


def make_user(home: Tenant, *, at: datetime, name: str = "Ingrid Solberg") -> User:
    email = f"person-{next(_numbers)}-{home.number}@example.com"
    user = User.objects.create_user(email=email, name=name, home=home, password=None, at=at)
    user.password = _hashed_password()
    user.save(update_fields=["password"])
    return user


def make_person(
    home: Tenant, role: str = "pro_manager", *, at: datetime, name: str = "Ingrid Solberg"
) -> Person:
    """Somebody of the organisation who can sign in with PASSWORD."""
    with transaction.atomic():
        return add_person(make_user(home, at=at, name=name), to=home, role=role, at=at)


def make_agent(operator: Tenant, serves: list[Tenant], role: str = "soc_agent", *, at: datetime) -> User:
    """One of the operator's people, serving customers."""
    with transaction.atomic():
        user = make_user(operator, at=at, name="Mina Okafor")
        add_person(user, to=operator, role=role, at=at)
        for served in serves:
            add_person(user, to=served, role="", kind=Membership.Kind.OPERATOR, at=at)
    return user
