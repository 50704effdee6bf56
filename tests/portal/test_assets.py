"""Things listed by hand: on the room's page and through the API, with their way in the history of rooms."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from fleet import merging, search
from fleet.models import Asset
from foundation import clock
from foundation.context import tenant
from tenancy.models import AuditEvent
from tests.factories.api import Api, make_api_token
from tests.factories.fleet import make_place, make_room
from tests.factories.tenancy import make_person


@pytest.fixture
def now(db: None) -> Any:
    return clock.now()


@pytest.fixture
def rooms(customer: Any, now: Any) -> Any:
    with tenant(customer.id):
        place = make_place(at=now)
        return [make_room(name, place=place, at=now) for name in ("Aurora", "Bjerk")]


@pytest.fixture
def manager(customer: Any, now: Any) -> Client:
    client = Client()
    client.force_login(make_person(customer, "pro_manager", at=now).user)
    return client


def page_of(client: Client, room: Any) -> Any:
    return client.get(reverse("portal:room-detail", args=[room.id]))


def told(client: Client, room: Any) -> list[str]:
    return [line.text for line in page_of(client, room).context["activity"]]


def test_an_asset_is_added_changed_moved_and_removed_with_both_rooms_knowing(manager, rooms):
    aurora, bjerk = rooms
    sent = {"kind": "projector", "name": "Beamer", "serial_number": "PJ-1"}
    manager.post(reverse("portal:asset-add", args=[aurora.id]), sent)
    (asset, _, kind) = page_of(manager, aurora).context["assets"][0]
    assert (asset.name, kind) == ("Beamer", "Projector")
    manager.post(reverse("portal:asset-edit", args=[asset.id]), {**sent, "note": "Ceiling", "version": 1})
    assert b"Ceiling" in page_of(manager, aurora).content
    manager.post(reverse("portal:asset-move", args=[asset.id]), {"room": "Bjerk"})
    assert page_of(manager, aurora).context["assets"] == []
    assert told(manager, aurora)[0] == "moved Beamer to Bjerk"
    assert told(manager, bjerk)[0] == "moved Beamer to Bjerk"
    manager.post(reverse("portal:asset-remove", args=[asset.id]))
    assert page_of(manager, bjerk).context["assets"] == []
    assert told(manager, bjerk)[0] == "removed Beamer"


def test_a_name_in_a_room_and_a_serial_are_taken_once(manager, rooms):
    aurora, bjerk = rooms
    sent = {"kind": "dock", "name": "Dock", "serial_number": "D-1"}
    manager.post(reverse("portal:asset-add", args=[aurora.id]), sent)
    again = manager.post(reverse("portal:asset-add", args=[aurora.id]), {**sent, "serial_number": ""})
    assert again.context["form"].errors == {"name": ["There is already an asset of this name in the room."]}
    other = manager.post(reverse("portal:asset-add", args=[bjerk.id]), sent)
    assert other.context["form"].errors == {"serial_number": ["Another asset has this serial number."]}
    unknown = manager.post(reverse("portal:asset-add", args=[aurora.id]), {**sent, "kind": "submarine"})
    assert "kind" in unknown.context["form"].errors


def test_moving_names_a_room_that_is_there_once(manager, rooms, customer, now):
    aurora, _ = rooms
    with tenant(customer.id):
        make_room("Bjerk", place=make_place(at=now), resource_account="bjerk@example.com", at=now)
    manager.post(reverse("portal:asset-add", args=[aurora.id]), {"kind": "table", "name": "Table"})
    asset = page_of(manager, aurora).context["assets"][0][0]
    move = reverse("portal:asset-move", args=[asset.id])
    twice = manager.post(move, {"room": "Bjerk"})
    assert twice.context["form"].errors["room"] == ["Several rooms have this name. Give the account."]
    assert manager.post(move, {"room": "Nowhere"}).status_code == 422
    manager.post(move, {"room": "BJERK@example.com"})
    assert page_of(manager, aurora).context["assets"] == []


def test_a_room_with_assets_is_not_retired(manager, rooms):
    aurora, _ = rooms
    manager.post(reverse("portal:asset-add", args=[aurora.id]), {"kind": "table", "name": "Table"})
    answer = manager.post(reverse("portal:room-retire", args=[aurora.id]))
    assert b"Move or remove the assets of this room first." in answer.content


def test_assets_go_along_when_rooms_are_merged(manager, rooms, customer, now):
    aurora, bjerk = rooms
    for room in rooms:
        manager.post(reverse("portal:asset-add", args=[room.id]), {"kind": "table", "name": "Table"})
    with tenant(customer.id):
        merging.merge_rooms(aurora.id, into_id=bjerk.id, at=now)
        assert search.matching_things(Asset.objects.all(), "asset", "table").count() == 2
    names = [each.name for each, *_ in page_of(manager, bjerk).context["assets"]]
    assert names == ["Table", "Table (2)"]


def test_programs_keep_assets(customer, rooms, now):
    aurora, bjerk = rooms
    api = Api(make_api_token(customer, at=now))
    body = {"room": str(aurora.id), "kind": "router", "name": "Router", "tag": "IT-7"}
    made = api.post("/assets", body, Idempotency_Key="one")
    assert (made.status_code, made.headers["ETag"]) == (201, '"v1"')
    assert api.post("/assets", body, Idempotency_Key="one").json() == made.json()
    assert api.names("/assets?tag=IT-7&kind=router") == ["Router"]
    address = f"/assets/{made.json()['id']}"
    moved = api.patch(address, {"room": str(bjerk.id)}, If_Match='"v1"')
    assert (moved.json()["room_name"], moved.json()["version"]) == ("Bjerk", 2)
    assert api.patch(address, {"note": "Old"}, If_Match='"v1"').status_code == 412
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404
    with tenant(customer.id):
        actions = (
            AuditEvent.objects.filter(object_kind="asset").order_by("id").values_list("action", flat=True)
        )
        assert sorted(actions) == ["asset.create", "asset.move", "asset.remove"]
