"""Every address that shows a page, opened in a real browser: nothing breaks the content security policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.urls import NoReverseMatch, reverse

from foundation import clock
from tenancy.models import User
from tests.factories.tenancy import PASSWORD
from tests.isolation.routes import CONSOLE, ELSEWHERE, PAGES, Route
from tests.isolation.test_matrix import PERMISSIONS
from tests.isolation.world import World, build
from tests.portal import browser as chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING or "present"),
]
NO_PAGE = ("Download is starting", "ERR_HTTP_RESPONSE_CODE_FAILURE")  # a file; an empty answer such as 405
FRAGMENTS = {"portal:queue-preview"}  # shown inside another page: without a title of their own
OF_A_PERSON = (
    "account_",
    "mfa_",
    "sign-in",
    "session",
)  # beginnings of the names of sign-in and one's own account


@pytest.fixture(scope="module")
def unblocked(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    with django_db_blocker.unblock():
        yield build(at=clock.now())
        connections.close_all()


@pytest.fixture(scope="module")
def address(unblocked: World) -> Iterator[str]:
    with chromium.served() as served:
        yield served


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Any]:
    with chromium.chromium() as running:
        yield running


def opened(page: Any, url: str) -> Any:
    """The answer once the page is loaded; None where there is no page."""
    from playwright.sync_api import Error

    try:
        return page.goto(url, wait_until="load")
    except Error as error:
        if any(each in str(error) for each in NO_PAGE):
            return None
        raise


def crawl(
    browser: Any, address: str, people: dict[str, User], role: str, world: World, routes: dict[str, Route]
) -> list[str]:
    """What broke the policy, and which script failed, by address that the role may open."""
    user = people[role]
    page = chromium.sign_in(browser, address, email=user.email, password=PASSWORD)
    found, seen = [], 0
    for name, route in routes.items():
        if route.methods.get("GET") not in PERMISSIONS[role]:
            continue
        ids = {key: world.own.ids[thing] for key, thing in route.things.items()}
        answer = opened(page, address + reverse(name, kwargs={**ids, **route.values}) + route.query)
        if answer is None:
            continue
        assert answer.status == 200, f"{name}: {answer.status}"
        assert page.title() or name in FRAGMENTS, name
        found += [f"{name}: {each}" for each in chromium.breaches(page)]
        page.errors.clear()
        seen += 1
    page.context.close()
    assert seen > 1
    return found


def test_no_page_of_a_customer_breaks_the_policy(browser, address, unblocked):
    assert crawl(browser, address, unblocked.own.people, "pro_manager", unblocked, PAGES) == []


@pytest.mark.parametrize("role", ["soc_lead", "tenant_manager"])
def test_no_page_of_the_console_breaks_the_policy(browser, address, unblocked, role):
    assert crawl(browser, address, unblocked.agents, role, unblocked, CONSOLE) == []


def test_neither_signing_in_nor_ones_own_account_breaks_the_policy(browser, address, unblocked):
    names = [name for name in ELSEWHERE if name.startswith(OF_A_PERSON) and name != "account_logout"]
    user = unblocked.own.people["pro_manager"]
    signed_in = chromium.sign_in(browser, address, email=user.email, password=PASSWORD)
    stranger = browser.new_context()
    stranger.add_init_script(chromium.LISTEN)
    seen = 0
    for page in (signed_in, stranger.new_page()):
        errors: list[str] = []
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        for name in names:
            try:
                path = reverse(name)
            except NoReverseMatch:
                continue  # by a secret in its address
            answer = opened(page, address + path)
            if answer is None:
                continue
            assert answer.status < 500, name
            assert [*page.evaluate("violations"), *errors] == [], name
            seen += answer.status == 200
        page.context.close()
    assert seen > 8
