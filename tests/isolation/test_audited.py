"""Whatever changes something leaves its event: each address of the product that writes, telemetry aside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from fleet import place_tree, room_groups
from fleet.models import Asset, BulkEdit, Device, ImportRun, Place, Room
from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from foundation.models import Job
from incidents import lifecycle, signal_settings
from incidents.models import Incident, IncidentLink
from portal.sign_in import directories
from tenancy import api_tokens
from tenancy.models import AuditEvent, BreakGlass, Person, Role, Tenant, User
from tests.factories.api import Api
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.sign_in import sign_in
from tests.factories.tenancy import make_customer, make_person
from tests.factories.updates import PACKAGE, make_release, set_target
from tests.isolation.forms import filled
from tests.isolation.routes import CONSOLE, PAGES, Route
from tests.isolation.world import BEYOND, Customer, World
from tests.portal.test_api_access import body_of, make_things, routes
from updates import rings, rollout_actions

# Bookkeeping of the request itself, which tells nobody anything about the customer.
OF_THE_REQUEST = ("django_session", "usersessions_", "account_", "foundation_idempotencyrecord")
EVENTS = "tenancy_auditevent"
NOT_HERE = {
    "portal:organisation": "chooses which organisation the person looks at, in the session",
    "portal:directory": "asks Microsoft before it keeps anything: tests/portal/test_sign_in_entra.py",
}
SIDES = ("incident", "console")
# What a form filled in anyhow does not say, and what must be so before.
BODIES: dict[str, Callable[[Customer], dict[str, Any]]] = {
    "portal:room-suppress": lambda own: {"until": _in_a_week()},
    "portal:device-accept": lambda own: {"room": str(own.ids["room"])},
    "portal:group-add-room": lambda own: {"room": str(own.beyond["room"])},
    "portal:room-merge": lambda own: {"into": f"{BEYOND} {own.canary} room"},
    "portal:site-merge": lambda own: {"into": str(own.beyond["place"])},
    "portal:site-move": lambda own: {"into": ""},
    "portal:group-rule": lambda own: {"room_type": "large"},
    "portal:bulk-detail": lambda own: {"capacity": "9"},
    "portal:view-add": lambda own: {"name": "Mine"},
    "portal:partner-invite": lambda own: {"where": "all", "domain": "fitters.example"},
    "portal:suppression-add": lambda own: {"group": str(own.ids["group"])},
    "portal:window-add": lambda own: {"where": f"group:{own.ids['group']}"},
    "portal:signal-edit": lambda own: {"amount": "47"},
    "portal:incident-record": lambda own: {"rooms": f"{own.canary} room"},
    **{f"portal:{side}-merge": lambda own: {"into": _linked(own).number} for side in SIDES},
    **{f"portal:{side}-link": lambda own: {"into": _linked(own).number} for side in SIDES},
    **{
        f"portal:{side}-rooms": lambda own: {"rooms": f"{own.canary} room\n{BEYOND} {own.canary} room"}
        for side in SIDES
    },
    **{
        f"portal:{side}-attach": lambda own: {"file": SimpleUploadedFile("a.log", b"a log")} for side in SIDES
    },
    "portal:catalogue-edit": lambda own: {"note": "Changed"},
    "portal:issuer-add": lambda own: {"fingerprint": "ab" * 32},
    "portal:room-ring": lambda own: {"ring": ""},
    "portal:release-add": lambda own: {"version": "1.0"},
    "portal:release-edit": lambda own: {"notes": "Changed"},
    "portal:release-upload": lambda own: {"file": SimpleUploadedFile("app.swu", PACKAGE)},
    "portal:ring-add": lambda own: {"position": "7"},
    "portal:ring-add-room": lambda own: {"room": str(own.beyond["room"])},
    "portal:rollout-roll-back": lambda own: {"typed": "1.0"},
    "portal:asset-move": lambda own: {"room": f"{BEYOND} {own.canary} room"},
    "portal:import-new": lambda own: {"file": SimpleUploadedFile("rooms.csv", b"Name\nAurora")},
    "portal:console-break-glass": lambda own: {"ticket": _incident(own).number},
    "portal:console-reply": lambda own: {"to": "reply"},
}
BEFORE: dict[str, Callable[[Customer], object]] = {
    "portal:room-unsuppress": lambda own: (
        Room.objects.for_tenant(own.tenant)
        .filter(id=own.ids["room"])
        .update(suppressed_until=clock.now() + timedelta(days=1), suppressed_reason="Refit")
    ),
    "portal:site-retire": lambda own: Room.objects.for_tenant(own.tenant).update(retired_at=clock.now()),
    "portal:site-move": lambda own: _below_another(own),
    "portal:bulk-undo": lambda own: (
        BulkEdit.objects.for_tenant(own.tenant).filter(id=own.ids["edit"]).update(state="done")
    ),
    "portal:room-retire": lambda own: _empty_rooms(own.tenant),
    "portal:incident-done": lambda own: _set_incident(own, state="needs_action"),
    "portal:incident-reopen": lambda own: _resolve(own.tenant),
    "portal:console-reopen": lambda own: _resolve(own.tenant),
    **{f"portal:{side}-link": lambda own: _unlink(own.tenant) for side in SIDES},
    **{
        f"portal:{side}-usual-impact": lambda own: _set_incident(
            own, high_impact=True, high_impact_reason="Board"
        )
        for side in SIDES
    },
    "portal:import-apply": lambda own: _check_imports(own.tenant),
    "portal:person-sign-out": lambda own: sign_in(
        User.objects.get(id=Person.objects.for_tenant(own.tenant).get(id=own.ids["person"]).user_id)
    ),
    "portal:person-let-in": lambda own: (
        Person.objects.for_tenant(own.tenant).filter(id=own.ids["person"]).update(blocked_grant_id=new_id())
    ),
    "portal:directory-remove": lambda own: directories.configure(
        directories.Directory(own.tenant.id, new_id(), new_id(), []), secret="x", at=clock.now()
    ),
    "portal:signal-reset": lambda own: signal_settings.change(
        own.tenant.id, "camera_room", {"enabled": False}, at=clock.now()
    ),
    "portal:release-upload": lambda own: _cancel_rollout(own.ids),
    "portal:ring-delete": lambda own: _cancel_rollout(own.ids),
    "portal:ring-remove-group": lambda own: rings.move_group(
        own.ids["ring"], own.ids["group"], at=clock.now()
    ),
    "portal:hours-remove": lambda own: rings.set_window(
        own.ids["group"], rings.window(time(1), time(4)), at=clock.now()
    ),
    "portal:rollout-start": lambda own: _approve(own.ids),
    "portal:rollout-pause": lambda own: _approve(own.ids),
    "portal:rollout-resume": lambda own: _pause(own.ids),
    "portal:rollout-retry": lambda own: _set_target(own.ids, "failed"),
    "portal:target-retry": lambda own: _set_target(own.ids, "failed"),
    "portal:target-force": lambda own: _set_target(own.ids, "scheduled"),
    "portal:rollout-roll-back": lambda own: _before_roll_back(own.ids),
    "portal:console-break-glass-end": lambda own: BreakGlass.objects.for_tenant(own.tenant).update(
        user_id=own.operators["soc_lead"].id
    ),
}


def _cancel_rollout(ids: dict[str, Any]) -> None:
    rollout_actions.cancel(_rollout(ids), reason="Else", at=clock.now())


def _rollout(ids: dict[str, Any]) -> UUID:
    return ids.get("rollout") or ids["rollout_id"]


def _approve(ids: dict[str, Any]) -> None:
    rollout_actions.approve(_rollout(ids), at=clock.now())


def _pause(ids: dict[str, Any]) -> None:
    _approve(ids)
    rollout_actions.pause(_rollout(ids), reason="Echo", at=clock.now())


def _set_target(ids: dict[str, Any], state: str) -> None:
    set_target(_rollout(ids), ids.get("target") or ids["target_id"], state=state, at=clock.now())


def _before_roll_back(ids: dict[str, Any]) -> UUID:
    """An older release to go back to, and a room that has the new one."""
    _set_target(ids, "succeeded")
    at, row = clock.now(), rollout_actions.rollout(_rollout(ids)).release
    return make_release("1.0", name=row.name, make=row.make, at=at).id


def _below_another(own: Customer) -> None:
    place = Place.objects.for_tenant(own.tenant).get(id=own.ids["place"])
    country = make_place("Above", kind="country", at=clock.now())
    place_tree.move_place(place.id, parent_id=country.id, at=clock.now())


def _empty_rooms(owner: Tenant) -> None:
    Device.objects.for_tenant(owner).update(room=None)
    Asset.objects.for_tenant(owner).update(removed_at=clock.now())


def _check_imports(owner: Tenant) -> None:
    """As if they were checked, and found to make something."""
    ImportRun.objects.for_tenant(owner).update(state="checked", creates=1)


def _in_a_week() -> str:
    return (clock.now() + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M")


def _incident(own: Customer) -> Incident:
    return Incident.objects.for_tenant(own.tenant).get(id=own.ids["incident"])


def _linked(own: Customer) -> Incident:
    return Incident.objects.for_tenant(own.tenant).get(id=own.ids["linked"])


def _unlink(owner: Tenant) -> None:
    IncidentLink.objects.for_tenant(owner).delete()


def _resolve(owner: Tenant) -> None:
    by = Person.objects.for_tenant(owner).first()
    for incident in Incident.objects.for_tenant(owner):
        lifecycle.resolve(
            incident, cause=next(iter(lifecycle.CAUSES)), by=by, by_operator=False, at=clock.now()
        )


def _set_incident(own: Customer, **values: Any) -> None:
    Incident.objects.for_tenant(own.tenant).filter(id=own.ids["incident"]).update(**values)


def written() -> dict[str, int]:
    """Rows written in this transaction so far, by table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables"
            " WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
        )
        return dict(cursor.fetchall())


class Changes:
    """What a request wrote: events, and everything else."""

    def __init__(self, *of: UUID) -> None:
        """`of`: the organisations whose logs may tell of it."""
        self._of = of
        self._before, self._told = written(), self._events()

    def _events(self) -> int:
        """Coming to a customer is told too, by the way: it is not what was done there."""
        with tenant(*self._of):
            return AuditEvent.objects.for_tenant(*self._of).exclude(action="provider.access").count()

    def seen(self) -> tuple[int, set[str]]:
        changed = {
            table
            for table, count in written().items()
            if count > self._before.get(table, 0) and not table.startswith((*OF_THE_REQUEST, EVENTS))
        }
        return self._events() - self._told, changed


def carry_out(client: Client, name: str, route: Route, world: World) -> tuple[Any, int, set[str]]:
    """Send the form of an address as its page offers it: the answer, events and tables written. Undone afterwards."""
    url = reverse(
        name, kwargs={**{key: world.own.ids[thing] for key, thing in route.things.items()}, **route.values}
    )
    url += route.query
    with transaction.atomic():
        with tenant(world.own.tenant.id):
            BEFORE.get(name, lambda _: None)(world.own)
            body = dict(route.bodies["POST"](world.own)) if "POST" in route.bodies else {}
            special = BODIES.get(name, lambda _: {})(world.own)
        if "GET" in route.methods and not body:
            shown = client.get(url)
            if shown.context is not None and "form" in shown.context:
                body = filled(shown.context["form"])
        body |= special
        changes = Changes(world.own.tenant.id, world.agents["soc_lead"].home_id)
        answer = client.post(url, body)
        events, tables = changes.seen()
        transaction.set_rollback(True)
    return answer, events, tables


def refusal(answer: Any) -> str:
    form = answer.context.get("form") if answer.context is not None else None
    return f"{answer.status_code} {dict(form.errors) if form is not None else ''}"


def check_pages(pages: dict[str, Route], client: Client, world: World) -> list[str]:
    silent = []
    for name, route in pages.items():
        if "POST" not in route.methods or name in NOT_HERE:
            continue
        answer, events, tables = carry_out(client, name, route, world)
        if answer.status_code not in (200, 204, 302) or not tables:
            silent.append(f"{name} changed nothing: {refusal(answer)}")
        elif not events:
            silent.append(f"{name} wrote {sorted(tables)} without an event")
    return silent


def test_every_page_that_writes_leaves_an_event(world):
    client = sign_in(world.own.people["pro_manager"])
    silent = check_pages(PAGES, client, world)
    assert not silent, "\n".join(silent)


def test_every_page_of_the_console_that_writes_leaves_an_event(world):
    client = sign_in(world.agents["soc_lead"])
    served = {name: route for name, route in CONSOLE.items() if name.startswith("portal:console-serv")}
    silent = check_pages(
        {name: route for name, route in CONSOLE.items() if name not in served}, client, world
    )
    silent += check_pages(served, sign_in(world.agents["tenant_manager"]), world)
    assert not silent, "\n".join(silent)


QUERIES = {
    ("POST", "/incidents/{incident_id}/attachments"): "?name=a.log",
    ("PUT", "/releases/{release_id}/file"): "?name=app.swu",
    ("POST", "/imports"): "?kind=rooms&name=rooms.csv",
}
WRITES = [(method, path) for method, path, _ in routes() if method not in ("GET", "HEAD")]
API_BEFORE: dict[tuple[str, str], Callable[[Tenant, dict[str, Any], datetime], object]] = {
    ("DELETE", "/rooms/{room_id}"): lambda owner, ids, at: ids.update(room_id=make_room(at=at).id),
    ("DELETE", "/rooms/{room_id}/suppression"): lambda owner, ids, at: (
        Room.objects.for_tenant(owner)
        .filter(id=ids["room_id"])
        .update(suppressed_until=at + timedelta(days=1), suppressed_reason="Refit")
    ),
    ("DELETE", "/exports/{export_id}"): lambda owner, ids, at: Job.objects.for_tenant(owner).update(
        state="queued"
    ),
    ("POST", "/imports/{import_id}/apply"): lambda owner, ids, at: _check_imports(owner),
    ("POST", "/devices/{device_id}/accept"): lambda owner, ids, at: ids.update(
        device_id=make_device(status=Device.Status.ONBOARDING, at=at).id
    ),
    ("POST", "/devices/{device_id}/move"): lambda owner, ids, at: ids.update(room_id=make_room(at=at).id),
    ("POST", "/incidents/{incident_id}/done"): lambda owner, ids, at: Incident.objects.for_tenant(
        owner
    ).update(state="needs_action"),
    ("POST", "/incidents/{incident_id}/reopen"): lambda owner, ids, at: _resolve(owner),
    ("POST", "/incidents/{incident_id}/links"): lambda owner, ids, at: _unlink(owner),
    ("PUT", "/incidents/{incident_id}/rooms"): lambda owner, ids, at: ids.update(
        incident_id=ids["other_id"], room_id=make_room(at=at).id
    ),
    ("DELETE", "/incidents/{incident_id}/high-impact"): lambda owner, ids, at: Incident.objects.for_tenant(
        owner
    ).update(high_impact=True, high_impact_reason="Board"),
    ("DELETE", "/signal-settings/{signal}"): lambda owner, ids, at: signal_settings.change(
        owner.id, "camera_room", {"enabled": False}, at=at
    ),
    ("PUT", "/releases/{release_id}/file"): lambda owner, ids, at: _cancel_rollout(ids),
    ("DELETE", "/rings/{ring_id}"): lambda owner, ids, at: _cancel_rollout(ids),
    ("DELETE", "/rings/{ring_id}/rooms/{room_id}"): lambda owner, ids, at: rings.move_rooms(
        ids["ring_id"], [ids["room_id"]], at=at
    ),
    ("DELETE", "/rings/{ring_id}/groups/{group_id}"): lambda owner, ids, at: rings.move_group(
        ids["ring_id"], ids["group_id"], at=at
    ),
    ("POST", "/rollouts/{rollout_id}/start"): lambda owner, ids, at: _approve(ids),
    ("POST", "/rollouts/{rollout_id}/pause"): lambda owner, ids, at: _approve(ids),
    ("POST", "/rollouts/{rollout_id}/resume"): lambda owner, ids, at: _pause(ids),
    ("POST", "/rollouts/{rollout_id}/retry"): lambda owner, ids, at: _set_target(ids, "failed"),
    ("POST", "/rollouts/{rollout_id}/devices/{target_id}/retry"): lambda owner, ids, at: _set_target(
        ids, "failed"
    ),
    ("POST", "/rollouts/{rollout_id}/devices/{target_id}/force"): lambda owner, ids, at: _set_target(
        ids, "scheduled"
    ),
    ("POST", "/rollouts/{rollout_id}/roll-back"): lambda owner, ids, at: ids.update(
        release_id=_before_roll_back(ids)
    ),
    ("POST", "/rooms/{room_id}/merge"): lambda owner, ids, at: ids.update(into=make_room(at=at).id),
    ("POST", "/sites/{site_id}/merge"): lambda owner, ids, at: ids.update(into=make_place(at=at).id),
    ("DELETE", "/sites/{site_id}"): lambda owner, ids, at: ids.update(site_id=make_place(at=at).id),
    ("POST", "/bulk-edits/{edit_id}/undo"): lambda owner, ids, at: BulkEdit.objects.for_tenant(owner).update(
        state="done"
    ),
    ("DELETE", "/groups/{group_id}"): lambda owner, ids, at: ids.update(
        group_id=room_groups.add_group(name="Spare", at=at).id
    ),
    ("POST", "/groups/{group_id}/members"): lambda owner, ids, at: ids.update(
        group_id=room_groups.add_group(name="Spare", at=at).id
    ),
}


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_every_write_of_the_api_leaves_an_event(db, method, path):
    at = clock.now()
    customer = make_customer(at=at)
    things = make_things(customer, at)
    person = make_person(customer, at=at)
    with tenant(customer.id):
        API_BEFORE.get((method, path), lambda *_: None)(customer, things, at)
        role = Role.objects.for_tenant(customer).get(key="pro_manager")
        end = at + timedelta(days=2)
        _, token = api_tokens.issue(
            customer, role=role, label="Own", expires_at=end, by=person, person=person, at=at
        )
    assert Api(token).get("/rooms").status_code == 200  # from now on its use is no longer news
    changes = Changes(customer.id)
    address = path.format_map(things) + QUERIES.get((method, path), "")
    answer = Api(token).call(method, address, body_of(method, path, things))
    events, tables = changes.seen()
    assert answer.status_code < 300, answer.content
    assert tables, "it changed nothing"
    assert events, f"it wrote {sorted(tables)} without an event"
