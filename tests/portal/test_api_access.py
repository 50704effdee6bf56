"""Who may call what: tokens, roles, and that another customer's things do not exist."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from django.urls import get_resolver
from django.utils import timezone

from enrollment import issuers, keys
from fleet import assets, bulk_edit, exports, own_catalog, room_groups
from fleet.imports import runs as import_runs
from fleet.models import Peripheral
from foundation import clock, files
from foundation.context import tenant
from foundation.ids import new_id
from foundation.models import Job
from incidents import attachments, events, recorded, relations, suppression
from incidents.models import Incident
from incidents.timeline import GREENROOM
from portal.api import urls
from portal.api.resources import Resource
from tenancy import api_tokens, assignments, custom_roles, invitations, saved_views
from tenancy.audit import SYSTEM
from tenancy.models import ApiToken, AuditEvent, Role
from tenancy.on_behalf import By
from tenancy.rights import granted
from tenancy.tenants import add_person
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer, make_person, make_user
from tests.factories.updates import PACKAGE, make_release
from updates import proposals, rings
from updates.models import RolloutTarget


@pytest.fixture
def now(db):
    return clock.now()


@pytest.fixture
def things(customer, now):
    """One of everything that an address names, by the name of its parameter."""
    return make_things(customer, now)


def make_things(owner, now):
    with tenant(owner.id):
        place = make_place(at=now)
        room = make_room(place=place, at=now)
        device = make_device(room, at=now)
        by = By(SYSTEM, granted([import_runs.PERMISSION]))
        table = io.BytesIO(b"Name,Building\nNew,HQ\n")
        imported = import_runs.receive("rooms", table, "rooms.csv", by=by, at=now)
        export_by = By(SYSTEM, granted([exports.PERMISSION]))
        export = exports.start("rooms", "csv", {}, by=export_by, at=now)
        kept = files.store(
            io.BytesIO(b"rooms"),
            "rooms.csv",
            tenant_id=owner.id,
            kinds=(files.FileKind("x", b""),),
            limit_bytes=9,
            at=now,
        )
        Job.objects.for_tenant(owner).filter(id=export.id).update(state="done", result={"file": str(kept.id)})
        asset = assets.add_asset(room_id=room.id, kind="dock", name="Dock", at=now)
        group = room_groups.default_group()
        key, _ = keys.issue(label="Key", group=group, at=now)
        issuer = issuers.add(label="Factory", fingerprint="ef" * 32, at=now)
        incident = Incident.objects.for_tenant(owner).create(
            number="INC-ABCDEF",
            device=device,
            room=room,
            signal="camera_room",
            severity=2,
            summary="No camera",
            opened_at=now,
            fault_at=now,
            updated_at=now,
        )
        issue = recorded.Issue([room.id], "Flickers")
        linked = recorded.record_issue(owner.id, issue, author=GREENROOM, at=now)
        relations.link(incident, linked, author=GREENROOM, at=now)
        attached = attachments.attach(incident, io.BytesIO(b"a log"), "a.log", author=GREENROOM, at=now)
        event = events.add_event(owner.id, room_id=room.id, kind="poor_call", source="Calls", at=now)
        camera = Peripheral.objects.for_tenant(owner).create(
            device=device, kind="camera", identity="camera", first_seen_at=now, last_seen_at=now
        )
        edit = bulk_edit.draft(room_ids=[room.id], by=None, at=now)
        bulk_edit.set_changes(edit.id, {"capacity": 4}, at=now)
        view = saved_views.save(listing="rooms", name="Mine", query={}, shared=True, owner=None, at=now)
        role = custom_roles.add_role(name="Viewer", permissions=["rooms.view"], by=None, at=now)
        person = add_person(make_user(owner, at=now), to=owner, role="", at=now)
        invited = invitations.invite(
            email="guest@example.com", role_id=role.id, link="x", by=None, rights=None, at=now
        )
        used = custom_roles.add_role(name="Program", permissions=["rooms.view"], by=None, at=now)
        token, _ = api_tokens.issue(
            owner, role=used, label="Token", expires_at=now + timedelta(days=1), by=None, at=now
        )
        assigned = assignments.add(role_id=used.id, name="Team", members=[person.id], by=None, at=now)
        spare = custom_roles.add_role(name="Spare", permissions=["rooms.view"], by=None, at=now)
        until = now + timedelta(days=1)
        suppressed = suppression.suppress(
            owner.id, room_id=room.id, signal="spk_conf", until=until, reason="Refit", at=now
        )
        window = suppression.plan_window(
            owner.id, room_id=room.id, starts_at=now, ends_at=until, reason="Refit", at=now
        )
        row = own_catalog.add(
            {"make": "Halyard", "model": "E70", "kind": "camera", "platform": "windows"}, at=now
        )
        ids = {"row_id": row.id}
        release = make_release(at=now)
        ring = rings.add_ring(name="Early", position=3, rollout_days=1, test_days=1, at=now)
        rollout = proposals.propose(release.id, at=now)
        target = RolloutTarget.objects.for_tenant(owner).get(rollout=rollout, device=device)
    return {
        **ids,
        "release_id": release.id,
        "ring_id": ring.id,
        "rollout_id": rollout.id,
        "target_id": target.id,
        "role_id": spare.id,
        "person_id": person.id,
        "invitation_id": invited.id,
        "token_id": token.id,
        "assignment_id": assigned.id,
        "site_id": place.id,
        "room_id": room.id,
        "peripheral_id": camera.id,
        "edit_id": edit.id,
        "view_id": view.id,
        "device_id": device.id,
        "asset_id": asset.id,
        "import_id": imported.id,
        "export_id": export.id,
        "group_id": group.id,
        "key_id": key.id,
        "issuer_id": issuer.id,
        "incident_id": incident.id,
        "other_id": linked.id,
        "attachment_id": attached.id,
        "event_id": event.id,
        "suppression_id": suppressed.id,
        "window_id": window.id,
        "signal": "camera_room",
    }


def routes() -> list[tuple[str, str, str]]:
    """(method, path with parameters, permission) of everything that needs a token."""
    found = []
    for pattern in urls.urlpatterns:
        view = pattern.callback.view_class
        if issubclass(view, Resource):
            path = re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
            found += [(method, path, permission) for method, permission in view.permissions.items()]
    return found


ID_NAMES = sorted({name for _, path, _ in routes() for name in re.findall(r"{(\w+)}", path)})
BODIES = {
    ("POST", "/rooms"): lambda ids: {"name": "New room", "site": str(ids["site_id"])},
    ("PATCH", "/rooms/{room_id}"): lambda ids: {"capacity": 4},
    ("PUT", "/rooms/{room_id}/suppression"): lambda ids: {
        "until": (timezone.localtime() + timedelta(days=1)).isoformat(),
        "reason": "Rebuilding",
    },
    ("PUT", "/rooms/{room_id}/sign-in"): lambda ids: {"signed_in_at": "2026-01-01T00:00:00Z"},
    ("POST", "/devices/{device_id}/accept"): lambda ids: {"room": str(ids["room_id"])},
    ("POST", "/devices/{device_id}/move"): lambda ids: {"room": str(ids["room_id"])},
    ("POST", "/incidents/{incident_id}/comments"): lambda ids: {"text": "We looked."},
    ("POST", "/incidents"): lambda ids: {"rooms": [str(ids["room_id"])], "title": "Flickers"},
    ("POST", "/incidents/{incident_id}/resolve"): lambda ids: {"cause": "other"},
    ("POST", "/incidents/{incident_id}/merge"): lambda ids: {"into": str(ids["other_id"])},
    ("POST", "/incidents/{incident_id}/links"): lambda ids: {"other": str(ids["other_id"])},
    ("PUT", "/incidents/{incident_id}/high-impact"): lambda ids: {"reason": "The board meets there"},
    ("POST", "/incidents/{incident_id}/attachments"): lambda ids: b"a log",
    ("PUT", "/incidents/{incident_id}/rooms"): lambda ids: {"rooms": [str(ids["room_id"])]},
    ("POST", "/events"): lambda ids: {
        "room": str(ids["room_id"]),
        "kind": "poor_call",
        "source": "Call quality",
    },
    ("POST", "/events/flag"): lambda ids: {"events": [str(ids["event_id"])]},
    ("PATCH", "/signal-settings/{signal}"): lambda ids: {"watch_s": 47},
    ("POST", "/suppressions"): lambda ids: {
        "room": str(ids["room_id"]),
        "until": (timezone.localtime() + timedelta(days=1)).isoformat(),
        "reason": "Rebuilding",
    },
    ("POST", "/maintenance-windows"): lambda ids: {
        "room": str(ids["room_id"]),
        "starts_at": timezone.localtime().isoformat(),
        "ends_at": (timezone.localtime() + timedelta(days=1)).isoformat(),
        "reason": "Rebuilding",
    },
    ("POST", "/catalogue"): lambda ids: {
        "make": "Halyard",
        "model": "E90",
        "kind": "camera",
        "platform": "windows",
    },
    ("PATCH", "/catalogue/{row_id}"): lambda ids: {"note": "For small rooms"},
    ("POST", "/assets"): lambda ids: {"room": str(ids["room_id"]), "kind": "table", "name": "Table"},
    ("PATCH", "/assets/{asset_id}"): lambda ids: {"note": "By the door"},
    ("POST", "/exports"): lambda ids: {"what": "rooms", "format": "csv"},
    ("POST", "/imports"): lambda ids: b"Name,Building\nOther,HQ\n",
    ("POST", "/imports/{import_id}/check"): lambda ids: {"columns": {"name": "Name", "building": "Building"}},
    ("POST", "/groups"): lambda ids: {"name": "New group"},
    ("PATCH", "/groups/{group_id}"): lambda ids: {"description": "Rooms"},
    ("POST", "/groups/{group_id}/members"): lambda ids: {"rooms": [str(ids["room_id"])]},
    ("POST", "/bulk-edits"): lambda ids: {"rooms": [str(ids["room_id"])], "changes": {"capacity": 6}},
    ("POST", "/rooms/{room_id}/merge"): lambda ids: {"into": str(ids.get("into", ids["room_id"]))},
    ("POST", "/sites/{site_id}/merge"): lambda ids: {"into": str(ids.get("into", ids["site_id"]))},
    ("POST", "/views"): lambda ids: {"list": "rooms", "name": "Healthy", "query": {"state": ["healthy"]}},
    ("PATCH", "/views/{view_id}"): lambda ids: {"name": "Renamed"},
    ("POST", "/sites"): lambda ids: {"name": "New site", "kind": "building"},
    ("PATCH", "/sites/{site_id}"): lambda ids: {"name": "Renamed"},
    ("POST", "/invitations"): lambda ids: {"email": "new@example.com", "role": str(ids["role_id"])},
    ("POST", "/roles"): lambda ids: {"name": "New role", "permissions": ["rooms.view"]},
    ("PATCH", "/roles/{role_id}"): lambda ids: {"description": "For the reception"},
    ("POST", "/tokens"): lambda ids: {
        "label": "New token",
        "role": str(ids["role_id"]),
        "expires_at": (timezone.localtime() + timedelta(days=1)).isoformat(),
    },
    ("POST", "/assignments"): lambda ids: {
        "name": "New team",
        "role": str(ids["role_id"]),
        "members": [str(ids["person_id"])],
    },
    ("PATCH", "/assignments/{assignment_id}"): lambda ids: {"description": "For the reception"},
    ("POST", "/enrollment-keys"): lambda ids: {"label": "New key"},
    ("POST", "/certificate-issuers"): lambda ids: {"label": "New", "fingerprint": "cd" * 32},
    ("POST", "/releases"): lambda ids: {"name": "Room app", "kind": "room_app", "version": "9.9"},
    ("PATCH", "/releases/{release_id}"): lambda ids: {"notes": "New"},
    ("POST", "/releases/{release_id}/deprecate"): lambda ids: {"reason": "Bad"},
    ("PUT", "/releases/{release_id}/file"): lambda ids: PACKAGE,
    ("POST", "/rings"): lambda ids: {"name": "Late", "position": 7, "rollout_days": 1, "test_days": 1},
    ("PATCH", "/rings/{ring_id}"): lambda ids: {"description": "Rooms"},
    ("POST", "/rings/{ring_id}/rooms"): lambda ids: {"rooms": [str(ids["room_id"])]},
    ("PUT", "/install-hours"): lambda ids: {"starts": "01:00", "ends": "04:00"},
    ("POST", "/rollouts"): lambda ids: {"release": str(ids["release_id"])},
    ("POST", "/rollouts/{rollout_id}/pause"): lambda ids: {"reason": "Echo"},
    ("POST", "/rollouts/{rollout_id}/cancel"): lambda ids: {"reason": "Echo"},
    ("POST", "/rollouts/{rollout_id}/roll-back"): lambda ids: {
        "reason": "Echo",
        "release": str(ids["release_id"]),
    },
    ("POST", "/rollouts/{rollout_id}/devices/{target_id}/force"): lambda ids: {
        "when": "now",
        "reason": "Board",
    },
}


def body_of(method, path, ids):
    make = BODIES.get((method, path))
    return make(ids) if make else None


def test_every_address_but_the_description_needs_a_token_and_none_ends_in_a_slash():
    open_to_all = [
        str(pattern.pattern)
        for pattern in urls.urlpatterns
        if not issubclass(pattern.callback.view_class, Resource)
    ]
    assert open_to_all == ["/schema", "/docs"]
    assert not [path for _, path, _ in routes() if path.endswith("/")]
    assert get_resolver().resolve("/api/v1/rooms").route == "api/v1/rooms"


@pytest.mark.parametrize(("method", "path", "permission"), routes())
def test_without_a_token_nothing_is_told(db, method, path, permission):
    answer = Api(None).call(method, path.format_map({name: new_id() for name in ID_NAMES}), {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 401


@pytest.mark.parametrize("role", ["pro_manager", "global_reader", "site_technician", "partner_admin"])
def test_a_role_may_do_what_its_permissions_say_and_nothing_else(customer, things, now, role):
    token = make_api_token(customer, role, at=now)
    with tenant(customer.id):
        allowed = set(Role.objects.for_tenant(customer).get(key=role).permissions)
    api = Api(token)
    for method, path, permission in routes():
        if method != "GET" and permission in allowed:
            continue  # what it does is another test's business; here it would change what the next ones find
        address = path.format_map(things) + ("?q=aurora" if path == "/search" else "")
        answer = api.call(method, address, body_of(method, path, things))
        assert answer.status_code == (200 if permission in allowed else 403), (method, path)


def test_a_refusal_is_on_record_and_changes_nothing(customer, things, now):
    api = Api(make_api_token(customer, "global_reader", at=now))
    answer = api.patch(f"/rooms/{things['room_id']}", {"capacity": 4})
    assert answer.status_code == 403
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not allowed",
        "status": 403,
        "detail": "Your role does not allow this.",
    }
    with tenant(customer.id):
        event = AuditEvent.objects.for_tenant(customer).get(action="access.denied")
        assert (event.actor_kind, event.result) == ("token", "failed")


@pytest.mark.parametrize(("method", "path", "permission"), [each for each in routes() if "_id}" in each[1]])
def test_what_is_anothers_is_missing_with_the_same_answer(customer, now, method, path, permission):
    own, foreign = make_things(customer, now), make_things(make_customer(at=now), now)
    api = Api(make_api_token(customer, at=now))
    body = body_of(method, path, own)
    theirs = api.call(method, path.format_map(foreign), body)
    missing = api.call(method, path.format_map({name: new_id() for name in ID_NAMES}), body)
    assert theirs.status_code == missing.status_code == 404
    assert theirs.content == missing.content
    assert theirs.headers["Content-Type"] == "application/problem+json"


def test_what_a_body_names_of_another_customer_is_as_good_as_missing(customer, things, now):
    foreign = make_things(make_customer(at=now), now)
    api = Api(make_api_token(customer, at=now, by=make_person(customer, at=now)))
    for method, path, body_with in (
        ("POST", "/rooms", lambda ids: {"name": "New", "site": str(ids["site_id"])}),
        (
            "POST",
            "/rooms",
            lambda ids: {"name": "N", "site": str(things["site_id"]), "groups": [str(ids["group_id"])]},
        ),
        ("PATCH", f"/rooms/{things['room_id']}", lambda ids: {"site": str(ids["site_id"])}),
        ("POST", "/sites", lambda ids: {"name": "New", "kind": "floor", "parent": str(ids["site_id"])}),
        ("PATCH", f"/sites/{things['site_id']}", lambda ids: {"parent": str(ids["site_id"])}),
        ("POST", f"/devices/{things['device_id']}/move", lambda ids: {"room": str(ids["room_id"])}),
        ("POST", f"/groups/{things['group_id']}/members", lambda ids: {"rooms": [str(ids["room_id"])]}),
        ("POST", "/enrollment-keys", lambda ids: {"label": "New", "group": str(ids["group_id"])}),
        ("POST", "/events/flag", lambda ids: {"events": [str(ids["event_id"])]}),
        ("POST", "/incidents", lambda ids: {"title": "New", "rooms": [str(ids["room_id"])]}),
        ("POST", f"/incidents/{things['incident_id']}/merge", lambda ids: {"into": str(ids["other_id"])}),
        ("POST", f"/incidents/{things['incident_id']}/links", lambda ids: {"other": str(ids["other_id"])}),
    ):
        theirs = api.call(method, path, body_with(foreign))
        missing = api.call(method, path, body_with({name: new_id() for name in ID_NAMES}))
        assert theirs.status_code == missing.status_code == 400, path
        assert theirs.json() == missing.json()
        assert set(theirs.json()["errors"][0]) == {"field", "message"}
        assert theirs.json()["errors"][0]["field"] in body_with(foreign)


def test_filters_by_anothers_id_find_nothing(customer, things, now):
    foreign = make_things(make_customer(at=now), now)
    api = Api(make_api_token(customer, at=now))
    for path, name, id_name in (
        ("/rooms", "site", "site_id"),
        ("/rooms", "group", "group_id"),
        ("/devices", "room", "room_id"),
        ("/devices", "site", "site_id"),
        ("/incidents", "device", "device_id"),
        ("/incidents", "room", "room_id"),
        ("/incidents", "group", "group_id"),
        ("/suppressions", "room", "room_id"),
        ("/sites", "site", "site_id"),
    ):
        assert api.get(f"{path}?{name}={things[id_name]}").json()["results"], path
        assert api.get(f"{path}?{name}={foreign[id_name]}").json() == {"results": [], "next": None}


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Bearer grat_x", "Basic eDp5", "Bearer " + "a" * 5000, "Device grdt_x"]
)
def test_a_token_that_is_none_is_one_answer(customer, header):
    answer = Api(None).get("/rooms", Authorization=header)
    assert answer.status_code == 401
    assert answer.json()["title"] == "Not signed in"


def test_a_revoked_and_an_expired_token_are_refused(customer, now):
    expired = make_api_token(customer, at=now - timedelta(days=40))
    revoked = make_api_token(customer, at=now)
    assert Api(revoked).get("/rooms").status_code == 200
    with tenant(customer.id):
        api_tokens.revoke(ApiToken.objects.for_tenant(customer).get(expires_at__gt=now), at=now)
    assert Api(expired).get("/rooms").status_code == Api(revoked).get("/rooms").status_code == 401


@pytest.mark.parametrize("path", ["/rooms/", "/nothing", "/rooms/not-a-uuid", "", "/schema/"])
def test_an_address_that_does_not_exist_is_not_found_and_never_redirected(customer, now, path):
    answer = Api(make_api_token(customer, at=now)).get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_method_an_address_does_not_have_is_named(customer, things, now):
    api = Api(make_api_token(customer, at=now))
    answer = api.put("/rooms", {})
    assert (answer.status_code, answer.json()["title"]) == (405, "Method not allowed")
    assert api.call("OPTIONS", "/rooms").status_code == 405


def test_head_answers_like_get_without_a_body(customer, things, now):
    token = make_api_token(customer, at=now)
    client = Api(token)._client
    for path in ("/rooms", f"/rooms/{things['room_id']}"):
        answer = client.head(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.content) == (200, b"")
