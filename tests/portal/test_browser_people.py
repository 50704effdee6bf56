"""How people come in and what they lose, in a real browser: invitation, second factor, Microsoft, a role taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from foundation import clock
from foundation.context import tenant
from foundation.ids import new_id
from tenancy.models import Person, Tenant, User
from tests.factories.incidents import make_incident
from tests.factories.sign_in import totp
from tests.factories.tenancy import PASSWORD, make_agent, make_customer, make_operator, make_person
from tests.portal import browser as chromium
from tests.portal.test_people import GOOD, link_in_mail
from tests.portal.test_sign_in_entra import FIELD_GROUP, connect
from tests.standins import entra as standin

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING or "present"),
]
SUBMIT = "dialog[open] .dialog__foot button:not([type=button])"


@pytest.fixture
def customer(committed_db: None) -> Tenant:
    return make_customer("Halden Group", at=clock.now())


@pytest.fixture
def manager(customer: Tenant) -> Person:
    return make_person(customer, at=clock.now(), name="Ingrid Solberg")


@pytest.fixture
def portal(manager: Person) -> Iterator[str]:
    with chromium.served() as address:
        yield address
    connections.close_all()


@pytest.fixture
def browser(portal: str) -> Iterator[Any]:
    with chromium.chromium() as running:
        yield running


def beside(work: Callable[[], Any]) -> Any:
    """What needs the database: playwright holds this thread's event loop, which Django refuses to work in."""

    def done() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(done).result()


def stranger(browser: Any, **more: Any) -> Any:
    """A page of a browser nobody is signed in with."""
    context = browser.new_context(viewport=chromium.DESK, reduced_motion="reduce", **more)
    context.add_init_script(chromium.LISTEN)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    return page


def checked(page: Any) -> None:
    assert chromium.findings(page) == []
    assert chromium.breaches(page) == []
    assert not chromium.overflows(page)


def test_from_invitation_to_work_and_out_again_when_the_role_is_taken(
    portal, browser, customer, manager, settings
):
    host = chromium.sign_in(browser, portal, email=manager.email, password=PASSWORD)
    host.goto(f"{portal}/settings/people")
    host.click("a:has-text('Invite')")
    host.fill("dialog [name=email]", "nora@halden.example")
    host.fill("dialog [name=name]", "Nora Lind")
    host.select_option("dialog [name=role]", label="Pro Manager")
    host.click(SUBMIT)
    host.wait_for_selector("text=nora@halden.example")
    checked(host)

    settings.DEMO_WITHOUT_MFA = False  # as production has it: whoever administers needs a second factor
    guest = stranger(browser)
    guest.goto(portal + beside(lambda: link_in_mail(customer)))
    checked(guest)
    guest.fill("[name=password]", GOOD)
    guest.fill("[name=again]", GOOD)
    guest.click("button:has-text('Join')")
    guest.wait_for_selector("text=Add a second factor to go on")
    checked(guest)
    guest.click("a:has-text('Add an authenticator app')")
    guest.fill("[name=code]", totp(guest.inner_text("#secret")))
    guest.click("button:has-text('Add the app')")
    guest.click("a:has-text('I have kept them')")
    guest.goto(f"{portal}/settings/people")
    guest.click("summary:has-text('Nora Lind')")
    assert guest.get_by_role("link", name="Your account").is_visible()
    checked(guest)

    settings.DEMO_WITHOUT_MFA = True
    host.goto(f"{portal}/settings/people")
    host.click("a:has-text('Nora Lind')")
    host.click("#roles-h >> xpath=ancestor::section >> a:has-text('Take')")
    host.click(SUBMIT)
    host.wait_for_selector("text=No role of this organisation.")
    guest.goto(f"{portal}/rooms")
    guest.wait_for_selector("text=Your role has changed. Sign in again.")


def test_a_member_of_a_mapped_group_comes_in_with_microsoft(
    portal, browser, customer, manager, settings, tmp_path_factory
):
    with standin.running(tmp_path_factory.mktemp("entra")) as entra:
        settings.ENTRA_URL, settings.GUARDED_CLIENT_CA = entra.url, str(entra.authority)
        settings.GREENROOM_URL = portal
        domain = f"halden-{new_id().hex[-8:]}.example"  # nobody else's, whatever other tests have left
        entra.is_person(email=f"ola.hansen@{domain}", name="Ola Hansen", groups=[FIELD_GROUP])

        def prepare() -> None:
            member = make_person(customer, at=clock.now())
            User.objects.filter(id=member.user_id).update(email=f"kari@{domain}")
            with tenant(customer.id):
                Person.objects.for_tenant(customer).filter(id=member.id).update(email=f"kari@{domain}")
            groups = {FIELD_GROUP: "site_technician"}
            connect(entra, customer, at=clock.now(), groups=groups, domains=[domain])

        beside(prepare)
        page = stranger(browser, ignore_https_errors=True)  # the stand-in's own authority
        page.goto(f"{portal}/rooms")
        page.click("a:has-text('Sign in with Microsoft')")
        page.fill("[name=email]", f"ola.hansen@{domain}")
        page.click("button:has-text('Go on')")
        page.click("a:has-text('Continue to Microsoft')")
        page.wait_for_selector("h1:has-text('Rooms')")
        assert page.url == f"{portal}/rooms"
        assert "Ola Hansen" in page.inner_text("aside")
        checked(page)


def test_emergency_access_is_seen_by_the_customer_and_ends_within_a_click(portal, browser, customer, manager):
    def prepare() -> tuple[Any, str]:
        mina = make_agent(make_operator(at=clock.now()), [customer], at=clock.now())
        with tenant(customer.id):
            return mina, make_incident(at=clock.now()).number

    mina, number = beside(prepare)
    console = chromium.sign_in(browser, portal, email=mina.email, password=PASSWORD)
    console.goto(f"{portal}/operations/tenants")
    console.click("a:has-text('Emergency access')")
    console.fill("dialog [name=reason]", "Room groups look wrong")
    console.fill("dialog [name=ticket]", number)
    console.click(SUBMIT)
    console.wait_for_selector(".topbar :text('Emergency access')")
    console.goto(f"{portal}/groups")
    console.wait_for_selector("h1:has-text('Room groups')")
    checked(console)

    host = chromium.sign_in(browser, portal, email=manager.email, password=PASSWORD)
    host.goto(f"{portal}/settings/partners")
    host.wait_for_selector("td:has-text('Room groups look wrong')")
    checked(host)
    host.click("#access-h >> xpath=ancestor::section >> a:has-text('End')")
    host.click(SUBMIT)
    host.wait_for_selector("#access-h >> xpath=ancestor::section >> text=Over")
    console.goto(f"{portal}/groups")
    assert not console.locator("h1:has-text('Room groups')").is_visible()
