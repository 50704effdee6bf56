"""Which data is collected, why, and how long it is kept: read from the tables' own retention, so that it stays true."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from foundation import clock, jobs, outbox
from foundation.errors import Conflict
from insights import privacy as exports
from portal import htmx
from portal.access import TenantRequest, principal_of, requires, step_up
from portal.sign_in import sessions
from portal.web.dialogs import confirm, form_view
from portal.web.downloads import download
from tenancy import people, regions
from tenancy.models import Person, User


@dataclass(frozen=True)
class Collected:
    what: str
    examples: str
    why: str
    kept: str


def collected() -> list[Collected]:
    days = _keep_days()
    return [
        Collected(
            "State of the room's equipment",
            "Signals such as camera, microphone, display, network; versions; processor, memory, disk, temperature",
            "To see a fault and its cause",
            f"Every reading {days['fleet_point']} days, five-minute figures {days['fleet_rollup']} days, "
            "changes of state as long as their tickets",
        ),
        Collected(
            "Use of the room",
            "Whether a meeting runs and how many people the camera counts. Never who",
            "To tell a fault in a meeting from one in an empty room",
            f"{days['fleet_rollup']} days",
        ),
        Collected(
            "What the room consists of",
            "Make, model, serial number, firmware, network address of devices and of what is plugged in",
            "Inventory and support",
            "As long as the room is yours",
        ),
        Collected(
            "Room account",
            "Name of the room, its resource account, its place and time zone",
            "To know which room it is",
            "As long as the room is yours",
        ),
        Collected(
            "Tickets",
            "What was at fault, comments, who acted and when",
            "Support, and to recognise a fault that comes back",
            "As long as you are a customer",
        ),
        Collected(
            "People who work here",
            "Name, work email, roles, sessions with address and browser",
            "Sign-in, and who may do what",
            "Until access ends; name and address until they are erased",
        ),
        Collected(
            "Audit log",
            "Who did what, when, from which address",
            "Proof for you of who could see and do what",
            f"{settings.AUDIT_KEEP_DAYS} days",
        ),
        Collected(
            "Mail",
            "Address and text of mail to the people who work here, such as invitations",
            "To send it",
            f"Until it is sent; that something was sent, {outbox.DONE_KEPT.days} days; "
            f"what no mail server took, {outbox.DEAD_KEPT.days} days",
        ),
        Collected(
            "Exports",
            "Files you had written: the audit log, a person's data",
            "So that you can fetch them",
            f"{jobs.KEPT_FOR.days} days",
        ),
        Collected(
            "Readings of a device that may be a copy",
            "The same as above, kept apart",
            "So that a copied device cannot falsify a room",
            f"{days['fleet_kept_apart']} days",
        ),
    ]


NEVER = (
    "Sound, pictures or content of a meeting",
    "Subject and text of a meeting, removed on the device",
    "Contact cards and chat, removed on the device",
)


def _keep_days() -> dict[str, int]:
    """As the database drops it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT parent, keep_days FROM foundation_partitioned")
        return dict(cursor.fetchall())


@require_GET
@requires("rooms.view")
def privacy(request: TenantRequest) -> HttpResponse:
    context = {
        "collected": collected(),
        "never": NEVER,
        "home": regions.home_of(request.tenant),
        "served": regions.served(),
        "unsupported": regions.unsupported(),
    }
    return htmx.page(request, "people/privacy.html", context)


@require_POST
@requires("roles.modify")
@step_up
def person_export(request: TenantRequest, person_id: UUID) -> HttpResponse:
    user = principal_of(request).user
    to = reverse("portal:person-detail", args=[person_id])
    try:
        exports.start(person_id, requested_by=user.id if user else None, at=clock.now())
    except Conflict as error:
        return htmx.refused(request, error, to=to)
    return htmx.done_here(request, "The file is being written", to=to)


@require_GET
@requires("roles.modify")
def person_download(request: TenantRequest, job_id: UUID) -> HttpResponseBase:
    row = exports.file_of(job_id, at=clock.now())
    return download(row)


@form_view
@requires("roles.modify")
@step_up
def person_erase(request: TenantRequest, person_id: UUID) -> HttpResponse:
    person = people.person(person_id)
    return confirm(
        request,
        f"Erase {person.name}?",
        submit="Erase",
        explain="Access ends, and name and address are replaced by a pseudonym everywhere. "
        "What they did stays on record under it.",
        back=reverse("portal:person-detail", args=[person.id]),
        to=reverse("portal:person-list"),
        change=lambda: _erase(person),
        said="Erased",
    )


def _erase(person: Person) -> None:
    """With all by which the account could be entered, where nobody else knows it."""
    exports.erase(person.id, at=clock.now())
    user = User.objects.get(id=person.user_id)
    if not user.is_active:
        sessions.forget(user)
