"""Organisations of an installation: who is a customer, an operator or a partner here, and who serves whom.

manage.py organisation add "Halden Group" --time-zone Europe/Oslo --administrator ingrid@halden.example
manage.py organisation add "Northwind AV" --kind partner --domain northwind.example --administrator …
manage.py organisation serve "Halden Group" mina.okafor@operations.example
manage.py organisation unserve "Halden Group" mina.okafor@operations.example
manage.py organisation end-person mina.okafor@operations.example
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from fleet import room_groups
from foundation import clock
from foundation.context import tenant
from foundation.errors import DomainError
from portal.sign_in import sessions
from tenancy import invitations, people, serving
from tenancy.errors import Missing
from tenancy.models import Role, Tenant, User
from tenancy.tenants import create_tenant, person_in
from updates import rings

FIRST_ROLE = {
    Tenant.Kind.CUSTOMER: "pro_manager",
    Tenant.Kind.PARTNER: "pro_manager",  # who also reads its audit log
    Tenant.Kind.OPERATOR: "platform_admin",
}


class Command(BaseCommand):
    help = "Add an organisation and invite its first administrator; begin and end who serves a customer; end a person."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        add = actions.add_parser("add", help="a new organisation; its first administrator is invited by mail")
        add.add_argument("name")
        add.add_argument("--kind", choices=Tenant.Kind.values, default=Tenant.Kind.CUSTOMER)
        add.add_argument("--domain", default="", help="of its mail; partners are invited by it")
        add.add_argument("--time-zone", default="UTC", help="IANA name, such as Europe/Oslo")
        add.add_argument(
            "--region",
            default="",
            help="where its data lives: one of GREENROOM_REGIONS, the first by default",
        )
        add.add_argument("--administrator", required=True, metavar="EMAIL")
        serve = actions.add_parser("serve", help="let one of an operator's people serve a customer")
        serve.add_argument("customer", help="its name")
        serve.add_argument("email")
        unserve = actions.add_parser("unserve", help="somebody no longer serves a customer, at once")
        unserve.add_argument("customer", help="its name")
        unserve.add_argument("email")
        ended = actions.add_parser(
            "end-person", help="somebody leaves their organisation, and what they serve"
        )
        ended.add_argument("email")

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            with transaction.atomic():
                said = self._actions()[given["action"]](**given)
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(said)

    def _add(
        self, *, name: str, kind: str, domain: str, time_zone: str, region: str, administrator: str, **_: Any
    ) -> str:
        if time_zone not in available_timezones():
            raise CommandError(f"There is no time zone {time_zone}.")
        if kind == Tenant.Kind.PARTNER and not domain:
            raise CommandError("A partner needs the domain of its mail: customers invite it by that.")
        at = clock.now()
        try:
            with transaction.atomic():
                made = create_tenant(
                    name, kind=kind, time_zone=time_zone, domain=domain, home_region=region, at=at
                )
        except IntegrityError as error:
            raise CommandError(f"Another organisation has the domain {domain}.") from error
        if kind == Tenant.Kind.CUSTOMER:
            room_groups.set_up_customer(made, at=at)
            rings.set_up_customer(made, at=at)
        with tenant(made.id):
            role = Role.objects.for_tenant(made).get(key=FIRST_ROLE[Tenant.Kind(kind)])
            invited = invitations.invite(
                email=administrator,
                role_id=role.id,
                link=f"{settings.GREENROOM_URL}/invitation/",
                by=None,
                rights=None,
                at=at,
            )
        return f"{made.name} added; {invited.email} is invited as {role.name}."

    def _actions(self) -> dict[str, Callable[..., str]]:
        return {
            "add": self._add,
            "serve": self._serve,
            "unserve": self._unserve,
            "end-person": self._end_person,
        }

    def _serve(self, *, customer: str, email: str, **_: Any) -> str:
        served, user = _customer(customer), _user(email)
        serving.begin(user, served, at=clock.now())
        return f"{user.name} serves {served.name}."

    def _unserve(self, *, customer: str, email: str, **_: Any) -> str:
        served, user = _customer(customer), _user(email)
        try:
            serving.end(user, served, at=clock.now())
        except Missing as error:
            raise CommandError(f"{user.name} does not serve {served.name}.") from error
        return f"{user.name} no longer serves {served.name}."

    def _end_person(self, *, email: str, **_: Any) -> str:
        user, at = _user(email), clock.now()
        with tenant(user.home_id):
            person = person_in(user.home_id, user.id)
            if person is None:
                raise CommandError(f"{user.name} has left {user.home.name} already.")
            people.end(person.id, at=at)
        sessions.end_all(user)
        return f"{user.name} has left {user.home.name}."


def _customer(name: str) -> Tenant:
    found = list(Tenant.objects.filter(name=name, kind=Tenant.Kind.CUSTOMER)[:2])
    if len(found) != 1:
        raise CommandError(f"There is {'no' if not found else 'more than one'} customer {name}.")
    return found[0]


def _user(email: str) -> User:
    found = User.objects.filter(email=email.strip().lower()).select_related("home").first()
    if found is None:
        raise CommandError(f"There is nobody with the address {email}.")
    return found
