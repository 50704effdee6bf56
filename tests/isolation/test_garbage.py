"""Whatever stands in the parameters of an address, its page answers: never with an error of ours."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.isolation.routes import CONSOLE, ELSEWHERE, PAGES, Route
from tests.isolation.world import World

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("GREENROOM_CHAOS") == "1"
ALL_GARBAGE = (
    "\0",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "'\"><",
    "%",
    "9" * 40,
    "a" * 4_000,
    "-1",
    "None",
    "[]",
    "é" * 300,
)


GARBAGE = ALL_GARBAGE if FULL else ALL_GARBAGE[:3]


def parameters() -> list[str]:
    """Every name that a page reads from its address."""
    found = set()
    for path in (ROOT / "portal" / "web").glob("*.py"):
        found |= set(re.findall(r"GET\.get(?:list)?\(\"(\w+)\"", path.read_text()))
        found |= set(re.findall(r"^    (\w+) = forms\.", path.read_text(), re.MULTILINE))
    return sorted(found)


def broken(client: Client, world: World, routes: dict[str, Route]) -> list[str]:
    names, found = parameters(), []
    for name, route in routes.items():
        if "GET" not in route.methods:
            continue
        ids = {key: world.own.ids[thing] for key, thing in route.things.items()}
        url = reverse(name, kwargs={**ids, **route.values})
        for junk in GARBAGE:
            answer = client.get(url, dict.fromkeys(names, junk))
            if answer.status_code >= 500:
                found.append(f"{name} with {junk[:20]!r}: {answer.status_code}")
            if answer.streaming:
                for close in answer._resource_closers:  # close() would end the test's connection too
                    close()
    return found


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.chaos
def test_pages_of_a_customer(world, client):
    client.force_login(world.own.people["pro_manager"])
    assert broken(client, world, PAGES) == []


@pytest.mark.chaos
def test_pages_of_the_console(world, client):
    client.force_login(world.agents["soc_lead"])
    assert broken(client, world, CONSOLE) == []


@pytest.mark.chaos
def test_pages_before_anybody_is_known(committed_db, client):
    names = parameters()
    for name in ELSEWHERE:
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        for junk in GARBAGE:
            assert client.get(url, dict.fromkeys(names, junk)).status_code < 500, (name, junk[:20])
