"""Each address × somebody whose role covers one group of rooms × what lies in it, beyond it, and nowhere.

What lies beyond is answered like what is not there, and no word of it ever shows.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from tenancy.roles import NEEDS_EVERYWHERE
from tests.isolation.routes import API, PAGES, Route
from tests.isolation.test_matrix import PERMISSIONS, VARYING
from tests.isolation.world import BEYOND, World

GRANTED = PERMISSIONS["pro_manager"] - NEEDS_EVERYWHERE
IN_REACH = {"place", "room", "group", "device", "incident", "suppression", "window", "asset", "peripheral"}
OUT_OF_REACH = {
    "waiting_device",
    "key",
    "import",
    "export",
    "export_queued",
}  # no room yet; another group's; somebody else's
FOR_ALL_ROOMS = {
    ("DELETE", "api:site"),
    ("POST", "api:groups"),
    ("POST", "api:site-merge"),
    ("POST", "portal:compliance-export"),
    ("POST", "portal:issuer-add"),
    ("POST", "portal:issuer-remove"),
    ("POST", "api:certificate-issuers"),
    ("DELETE", "api:certificate-issuer"),
    # whose group is a scope: its rooms are for who may change roles
    ("POST", "portal:group-add-room"),
    ("POST", "portal:group-remove-room"),
    ("POST", "portal:group-rule"),
    ("DELETE", "api:group"),
    ("POST", "api:group-members"),
    ("DELETE", "api:group-member"),
}  # making these concerns more than a scope


def call(
    client: Client, world: World, name: str, route: Route, method: str, where: str, **headers: str
) -> Any:
    """One request about what is in reach, beyond it or missing; undone afterwards."""
    held = world.own.beyond if where == "beyond" else world.own.ids
    ids = {
        key: world.missing if where == "missing" else held.get(thing, world.missing)
        for key, thing in route.things.items()
    }
    body = route.bodies.get(method, lambda _: {})(world.own)
    url = reverse(name, kwargs={**ids, **route.values}) + route.query
    sent = {"content_type": "application/json"} if name.startswith("api:") else {}
    with transaction.atomic():
        request = getattr(client, method.lower())
        response = (
            request(url, headers=headers) if method == "GET" else request(url, body, headers=headers, **sent)
        )
        transaction.set_rollback(True)
    assert response.status_code < 500, f"{method} {url}"
    body = _body(response)
    assert BEYOND.encode() not in body, f"{method} {url} shows what lies beyond the scope"
    assert world.foreign.canary.encode() not in body
    return response


def _body(response: Any) -> bytes:
    """Files are read and closed, or nobody does."""
    if not response.streaming:
        return bytes(response.content)
    body = b"".join(response.streaming_content)
    for close in response._resource_closers:  # close() would end the test's connection too
        close()
    return body


def check(client: Client, world: World, name: str, route: Route, **headers: str) -> None:
    for method, permission in route.methods.items():
        own = call(client, world, name, route, method, "in reach", **headers)
        allowed = permission in GRANTED
        things = set(route.things.values())
        if not allowed:
            assert own.status_code == 403, f"{method} {name}: {own.status_code}"
            continue
        if things & OUT_OF_REACH:
            assert own.status_code == 404, f"{method} {name}: {own.status_code}"
        elif (method, name) in FOR_ALL_ROOMS:
            assert own.status_code in (403, 422), f"{method} {name}: {own.status_code}"
        elif things <= IN_REACH:
            assert own.status_code not in (401, 403, 404), f"{method} {name}: {own.status_code}"
        if things and things <= IN_REACH | OUT_OF_REACH:
            beyond = call(client, world, name, route, method, "beyond", **headers)
            missing = call(client, world, name, route, method, "missing", **headers)
            assert beyond.status_code == missing.status_code == 404, f"{method} {name}: {beyond.status_code}"
            assert _without_ids(beyond) == _without_ids(missing), f"{method} {name}"


def deviation(client: Client, world: World, name: str, route: Route, **headers: str) -> str:
    """What `check` finds wrong; "" for nothing. All of them are told at once."""
    try:
        check(client, world, name, route, **headers)
    except AssertionError as error:
        return str(error).partition("\n")[0]
    return ""


def _without_ids(response: Any) -> str:
    return VARYING.sub("", response.content.decode())


def test_pages_within_a_scope(world):
    client = Client()
    client.force_login(world.own.scoped)
    wrong = [each for name, route in PAGES.items() if (each := deviation(client, world, name, route))]
    assert not wrong, "\n".join(wrong)


def test_api_within_a_scope(world):
    token = f"Bearer {world.own.scoped_token}"
    wrong = [
        each
        for name, route in API.items()
        if (each := deviation(Client(), world, name, route, Authorization=token))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_in_reach_is_shown(world):
    client = Client()
    client.force_login(world.own.scoped)
    canary = world.own.canary.encode()
    for name in (
        "portal:room-list",
        "portal:incident-list",
        "portal:overview",
        "portal:group-list",
        "portal:site-list",
    ):
        assert canary in client.get(reverse(name)).content, name
    rooms = Client().get("/api/v1/rooms", headers={"Authorization": f"Bearer {world.own.scoped_token}"})
    assert [row["id"] for row in rooms.json()["results"]] == [str(world.own.ids["room"])]


@pytest.mark.parametrize("path", ["rooms", "devices", "incidents", "groups"])
def test_counts_and_searches_are_of_the_scope(world, path):
    headers = {"Authorization": f"Bearer {world.own.scoped_token}"}
    found = Client().get(f"/api/v1/{path}", headers=headers).json()["results"]
    assert len(found) == {"incidents": 2}.get(path, 1)
    client = Client()
    client.force_login(world.own.scoped)
    searched = client.get("/rooms", {"q": BEYOND.lower()})
    assert searched.status_code == 200
    assert BEYOND.encode() not in searched.content
