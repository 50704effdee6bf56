"""Every page in a real browser: accessible in light, dark and on a phone, without a breach of the policy; live."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, transaction
from django.urls import reverse

from enrollment import keys
from fleet import assets, bulk_edit, exports, room_groups
from fleet.catalog_files import id_of
from fleet.imports import runs as import_runs
from fleet.models import Device, Peripheral
from foundation import clock, jobs
from foundation.context import tenant
from foundation.models import Job
from incidents import notes
from incidents.models import Incident
from tenancy.audit import SYSTEM
from tenancy.models import Person, Tenant, User
from tenancy.on_behalf import By
from tenancy.rights import granted
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.incidents import heal, make_incident, said
from tests.factories.tenancy import PASSWORD, make_agent, make_customer, make_operator, make_person
from tests.portal import browser as chromium
from workers.effects import JOB_STEPS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(chromium.MISSING), reason=chromium.MISSING or "present"),
]


@dataclass
class Site:
    """A customer with something of everything, the operator who serves it, and the portal's address."""

    address: str
    customer: Tenant
    manager: User
    agent: User
    room: UUID
    group: UUID
    edit: UUID  # drafted
    mine: UUID  # a ticket of the agent's that waits on the customer
    waiting: UUID  # an arrival
    imported: UUID  # a table whose columns are to be confirmed


@pytest.fixture(scope="module")
def unblocked(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Servers and browsers live longer than one test: what they need is committed, with tenants of its own."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture(scope="module")
def site(unblocked: None) -> Iterator[Site]:
    at = clock.now()
    customer, operator = make_customer("Halden Group", at=at), make_operator(at=at)
    with transaction.atomic():
        room_groups.set_up_customer(customer, at=at)
    manager = make_person(customer, at=at).user
    agent = make_agent(operator, [customer], at=at)
    with tenant(customer.id):
        made = _furnish(customer, agent, at=at - timedelta(hours=6))
    with chromium.served() as address:
        yield Site(address, customer, manager, agent, **made)


def _furnish(customer: Tenant, agent: User, *, at: Any) -> dict[str, UUID]:
    norway = make_place("Norway", kind="country", at=at)
    oslo = make_place("Oslo HQ", parent_id=norway.id, time_zone="Europe/Oslo", at=at)
    rooms = [
        make_room(name, place=oslo, at=at, room_type="medium", capacity=8)
        for name in ("Aurora", "Bjerk", "Dovre")
    ]
    ill, silent, well = (make_device(room, at=at) for room in rooms)
    by = Person.objects.for_tenant(customer).get(user=agent)
    mine = make_incident(ill, at=at)
    notes.operator_comment(mine, "Reseat the cable.\n\nThen wait.", by=by, at=at, ask=True)
    notes.operator_note(mine, "Second time.", by=by, at=at)
    make_incident(silent, "disk_space", at=at)
    make_incident(silent, "wifi_only", at=at)
    done = make_incident(well, "mic_conf", at=at)
    heal(well, "mic_conf", at=at + timedelta(hours=1))
    assert not Incident.objects.for_tenant(customer).get(id=done.id).is_open
    for device in (ill, silent, well):
        said(device, "network", "healthy", at=at)
        said(device, "display_front", "unknown", at=at)
        Peripheral.objects.for_tenant(customer).create(
            device=device, kind="camera", make="Halyard", model="E70", identity="camera", connected=device is well,
            first_seen_at=at, last_seen_at=at,
        )  # fmt: skip
    waiting = make_device(status=Device.Status.ONBOARDING, at=at, wanted_room="Orchard", serial_number="W1")
    group = room_groups.add_group(name="Executive", description="The top floor.", at=at)
    room_groups.add_members(group.id, [rooms[0].id], at=at)
    keys.issue(label="Oslo", group=group, expires_at=at + timedelta(days=2), by=by, at=at)
    edit = bulk_edit.draft(room_ids=[room.id for room in rooms], selected="Ticked", by=None, at=at)
    bulk_edit.set_changes(edit.id, {"capacity": 12, "add_groups": [group.id]}, at=at)
    everything = granted([import_runs.PERMISSION, exports.PERMISSION])
    table = io.BytesIO(b"Name,Building,Seats\nEster,HQ,8\n")
    by_manager = By(SYSTEM, everything)
    imported = import_runs.receive("rooms", table, "rooms.csv", by=by_manager, at=at)
    exports.start("rooms", "csv", {}, by=By(SYSTEM, everything), at=at)
    assets.add_asset(room_id=rooms[0].id, kind="dock", name="Dock", serial_number="D1", at=at)
    return {
        "imported": imported.id,
        "room": rooms[0].id,
        "group": group.id,
        "edit": edit.id,
        "mine": mine.id,
        "waiting": waiting.id,
    }


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Any]:
    with chromium.chromium() as running:
        yield running


@pytest.fixture
def portal(site: Site, browser: Any) -> Iterator[Any]:
    page = chromium.sign_in(browser, site.address, email=site.manager.email, password=PASSWORD)
    yield page
    page.context.close()


@pytest.fixture
def console(site: Site, browser: Any) -> Iterator[Any]:
    page = chromium.sign_in(browser, site.address, email=site.agent.email, password=PASSWORD)
    yield page
    page.context.close()


def change(site: Site, what: Callable[[], Any]) -> None:
    """Something happens elsewhere. In a thread of its own: the browser's driver holds this one's event loop."""

    def inside() -> None:
        try:
            with tenant(site.customer.id):
                what()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(inside).result()


def examine(page: Any) -> list[str]:
    """In light, at the width of a phone, and last in dark: closed menus keep the colours of a theme left. One load."""
    found = [f"light {each}" for each in chromium.findings(page)]
    page.set_viewport_size(chromium.PHONE)
    settle(page)
    found += [f"phone {each}" for each in chromium.findings(page, *OF_THE_WIDTH)]
    found += ["phone: wider than the screen"] if chromium.overflows(page) else []
    page.set_viewport_size(chromium.DESK)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    settle(page)
    found += [f"dark {each}" for each in chromium.findings(page, "color-contrast")]
    page.evaluate("delete document.documentElement.dataset.theme")
    return [*found, *chromium.breaches(page)]


# What another width can break; the rest was found at the first.
OF_THE_WIDTH = (
    *("scrollable-region-focusable", "color-contrast", "button-name", "link-name", "label"),
    *("landmark-one-main", "page-has-heading-one", "aria-hidden-focus"),
)


def settle(page: Any) -> None:
    """Colours and places are drawn anew, and what moves between them has arrived."""
    page.evaluate("""async () => {
        const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        await drawn();
        await Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished));
        await drawn();
    }""")


def walked(page: Any, site: Site, urls: list[str]) -> dict[str, list[str]]:
    found = {}
    for url in urls:
        assert page.goto(site.address + url).status == 200, url
        found[url] = examine(page)
    return {url: problems for url, problems in found.items() if problems}


SETTINGS = (
    *("people", "people/invite", "roles", "roles/add", "assignments", "assignments/add"),
    *("partners", "partners/invite", "tokens", "tokens/new", "sign-in", "signals", "suppressions"),
    *("audit", "privacy"),
)


def test_every_page_of_the_portal(portal: Any, site: Site) -> None:
    pages = [
        "/",
        "/rooms",
        "/rooms?q=nothing",
        "/search?q=aur",
        "/devices",
        "/equipment",
        "/rooms/edits",
        reverse("portal:bulk-detail", args=[site.edit]),
        reverse("portal:group-rule", args=[site.group]),
        reverse("portal:room-detail", args=[site.room]),
        reverse("portal:room-edit", args=[site.room]),
        "/incidents",
        "/incidents?view=resolved",
        reverse("portal:incident-detail", args=[site.mine]),
        "/sites",
        "/imports",
        "/imports/new",
        reverse("portal:import-detail", args=[site.imported]),
        "/exports",
        "/exports/new",
        "/catalogue?q=logitech",
        "/catalogue?view=own",
        reverse("portal:catalogue-row", args=[id_of("Logitech", "Rally Bar", "windows")]),
        "/catalogue/add",
        "/groups",
        reverse("portal:group-detail", args=[site.group]),
        "/enrollment",
        "/enrollment/new",
        "/enrollment/join",
        *(f"/settings/{name}" for name in SETTINGS),
    ]
    assert walked(portal, site, pages) == {}


def test_an_operator_reaches_emergency_access_from_a_phone(console: Any, site: Site) -> None:
    console.set_viewport_size(chromium.PHONE)
    console.goto(f"{site.address}/operations/tenants")
    opener = console.get_by_role("link", name="Emergency access").first
    box = opener.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= chromium.PHONE["width"]


def test_every_page_of_the_console(console: Any, site: Site) -> None:
    ticket = reverse("portal:console-ticket", args=[site.mine])
    assert walked(console, site, ["/operations", "/operations/tenants", ticket, f"{ticket}/hand-over"]) == {}


def test_sign_in_and_refusals(browser: Any, site: Site, console: Any) -> None:
    context = browser.new_context(viewport=chromium.DESK, reduced_motion="reduce")
    context.add_init_script(chromium.LISTEN)
    page = context.new_page()
    page.errors = []
    assert walked(page, site, ["/sign-in", "/sign-in/forgotten", "/sign-in/forgotten/sent"]) == {}
    context.close()
    assert console.goto(f"{site.address}/rooms/{site.agent.id}").status == 404
    assert examine(console) == []


@pytest.mark.parametrize(
    ("start", "opener"),
    [
        ("/rooms", "Add room"),
        ("/enrollment", "New key"),
        ("/sites", "Add place"),
        ("/rooms", "Export"),
        ("/catalogue?q=logitech", "Add row"),
        ("/enrollment/join", "Refuse"),
        ("/settings/signals", "Change"),
    ],
)
def test_dialogs_hold_the_focus_and_give_it_back(portal: Any, site: Site, start: str, opener: str) -> None:
    portal.goto(site.address + start)
    portal.locator("main a.btn", has_text=opener).first.click()
    portal.wait_for_selector("#dialog dialog[open]")
    assert portal.evaluate("document.activeElement.closest('dialog') !== null")
    assert examine(portal) == []
    portal.keyboard.press("Escape")
    portal.wait_for_selector("#dialog dialog", state="detached")
    assert portal.evaluate("document.activeElement.matches('main a.btn')")
    assert opener in portal.evaluate("document.activeElement.textContent")


def test_a_mistake_in_a_dialog_is_marked_and_focused(portal: Any, site: Site) -> None:
    portal.goto(f"{site.address}/groups")
    portal.click("text=Add group")
    portal.wait_for_selector("#dialog dialog[open]")
    portal.click("dialog button:has-text('Add group')")
    portal.wait_for_selector("#dialog dialog[open] .error")
    assert portal.evaluate("[document.activeElement.name, document.activeElement.ariaInvalid]") == [
        "name",
        "true",
    ]
    assert chromium.breaches(portal) == []


def test_an_arrival_appears_by_itself_and_is_accepted(portal: Any, site: Site) -> None:
    portal.goto(f"{site.address}/enrollment/join")
    at = clock_in_thread()
    change(site, lambda: make_device(status="onboarding", at=at, wanted_room="Raffles", serial_number="W2"))
    row = portal.locator(".joins li", has_text="Raffles")
    row.wait_for(timeout=10_000)
    row.locator("text=Accept").click()
    portal.wait_for_selector("#dialog dialog[open]")
    assert portal.input_value("dialog [name=name]") == "Raffles"
    portal.click("dialog button:has-text('Accept device')")
    portal.wait_for_selector(".toast:has-text('Raffles')")
    portal.locator(".joins__step", has_text="Healthy").wait_for(timeout=10_000)
    assert chromium.breaches(portal) == []


def test_a_list_under_the_pointer_says_that_it_changed_and_keeps_still(console: Any, site: Site) -> None:
    console.goto(f"{site.address}/operations")
    console.hover("[data-rows] tr >> nth=0")
    shown = console.locator("[data-rows] tr").count()
    at = clock_in_thread()
    change(site, lambda: make_incident(at=at))
    console.locator("[data-waiting]").wait_for(state="visible", timeout=10_000)
    assert console.locator("[data-rows] tr").count() == shown
    console.click("[data-waiting] a")
    console.locator("[data-rows] tr").nth(shown).wait_for()


def test_the_queue_is_worked_by_keys(console: Any, site: Site) -> None:
    at = clock_in_thread()
    made: list[UUID] = []
    change(site, lambda: made.append(make_incident(at=at).id))
    console.goto(f"{site.address}/operations?view=unassigned")
    while console.evaluate("document.querySelector('[aria-current=true]')?.id") != f"ticket-{made[0]}":
        console.keyboard.press("j")
    console.locator(f"#peek-{made[0]}").wait_for()
    console.keyboard.press("a")
    console.locator("#peek dd", has_text="Mina Okafor").wait_for(timeout=10_000)
    console.keyboard.press("r")
    console.keyboard.type("We look at it.")
    console.wait_for_timeout(2_500)  # a poll passes
    assert console.input_value("#peek textarea") == "We look at it."
    console.click("#peek button:has-text('Send')")
    console.locator("#peek .comment", has_text="We look at it.").wait_for(timeout=10_000)
    assert console.input_value("#peek textarea") == ""
    assert chromium.breaches(console) == []


def test_keys_pressed_before_the_preview_is_there_mean_the_chosen_ticket(console: Any, site: Site) -> None:
    at = clock_in_thread()
    made: list[UUID] = []
    change(site, lambda: made.append(make_incident(at=at).id))
    console.goto(f"{site.address}/operations?view=unassigned")
    queue = console.url
    console.route("**/preview*", lambda route: (sleep(0.5), route.continue_()))
    row = console.locator(f"#ticket-{made[0]}")
    while row.get_attribute("aria-current") != "true":
        console.keyboard.press("j")
    console.keyboard.type("arWe jot it: ok")
    console.locator(f"#peek-{made[0]} dd", has_text="Mina Okafor").wait_for(timeout=10_000)
    assert console.url == queue
    assert console.input_value("#peek textarea") == "We jot it: ok"


def test_a_table_with_mistakes_is_corrected_and_its_rooms_are_there(portal: Any, site: Site) -> None:
    def upload(text: str) -> None:
        file = {"name": "rooms.csv", "mimeType": "text/csv", "buffer": text.encode()}
        portal.set_input_files("[name=file]", files=[file])
        portal.click("button:has-text('Upload file')")
        portal.click("button:has-text('Check the file')")
        portal.locator(".head__title", has_text="Checking").wait_for()
        work()

    portal.goto(f"{site.address}/imports")
    portal.click("main a.btn--primary")
    upload("Room;Building;Seats\nFjell;Annex;8\nGrotte;Annex;many\n")
    row = portal.locator("[data-rows] tr")
    row.wait_for(timeout=10_000)
    assert row.inner_text().split("\t") == [
        "3", "Seats", "This must be a whole number from 0 to 10000.", "many",
    ]  # fmt: skip
    assert examine(portal) == []
    portal.click("text=Upload the corrected file")
    upload("Room;Building;Seats\nFjell;Annex;8\nGrotte;Annex;12\n")
    portal.click("button:has-text('Import 2 rooms')", timeout=10_000)
    portal.locator(".head__title", has_text="Importing").wait_for()
    work()
    portal.locator(".head__title", has_text="Imported").wait_for(timeout=10_000)
    portal.goto(f"{site.address}/rooms?q=annex")
    assert portal.locator("[data-rows] tr").count() == 2
    assert chromium.breaches(portal) == []


def test_undo_takes_a_suppression_back(portal: Any, site: Site) -> None:
    portal.goto(site.address + reverse("portal:room-detail", args=[site.room]))
    portal.click("text=Suppress")
    portal.fill("dialog [name=reason]", "Painters")
    portal.click("dialog button:has-text('Suppress room')")
    portal.locator(".head__title", has_text="Suppressed").wait_for()
    portal.click(".toast button:has-text('Undo')")
    portal.locator(".head__title", has_text="Unhealthy").wait_for()


def test_many_rooms_are_edited_and_the_edit_is_undone(portal: Any, site: Site) -> None:
    portal.goto(f"{site.address}/rooms")
    bar = portal.locator("#bulk")
    assert not bar.is_visible()
    portal.check("[aria-label='Choose Bjerk']")
    portal.check("[aria-label='Choose Dovre']")
    assert bar.inner_text().startswith("2 chosen")
    portal.evaluate("htmx.trigger(document.body, 'greenroom:refresh')")
    portal.wait_for_load_state("networkidle")
    assert portal.is_checked("[aria-label='Choose Bjerk']")  # a poll leaves what is chosen
    portal.click("#bulk button >> text=Edit >> nth=0")
    portal.fill("[name=capacity]", "14")
    portal.click("text=Preview")
    portal.locator("#preview", has_text="2 rooms would change").wait_for()
    assert examine(portal) == []
    portal.click("button:has-text('Change 2 rooms')")
    portal.locator(".head__title", has_text="Under way").wait_for()
    change(site, lambda: step_edit(site))
    portal.locator(".head__title", has_text="Done").wait_for(timeout=10_000)
    portal.click("button:has-text('Undo')")
    portal.locator(".head__title", has_text="Being undone").wait_for()
    change(site, lambda: step_edit(site))
    portal.locator("dt:has-text('Restored') + dd", has_text="2 rooms").wait_for(timeout=10_000)
    assert examine(portal) == []


def step_edit(site: Site) -> None:
    jobs = Job.objects.for_tenant(site.customer).filter(kind=bulk_edit.KIND, state="queued")
    for job in jobs:
        assert bulk_edit.step(job, clock.now()).cursor is None
        jobs.filter(id=job.id).update(state="done")


def test_filters_are_saved_as_a_view_and_shared_by_their_address(portal: Any, site: Site) -> None:
    portal.goto(f"{site.address}/rooms?q=bjerk")
    portal.click("text=Save view")
    portal.wait_for_selector("#dialog dialog[open]")
    portal.fill("dialog [name=name]", "The quiet one")
    portal.click("dialog button:has-text('Save view')")
    portal.locator(".views [aria-current]", has_text="The quiet one").wait_for()
    portal.click("summary:has-text('View')")
    address = portal.locator("a:has-text('Address to share')").get_attribute("href")
    portal.goto(f"{site.address}{address}")
    assert portal.locator("[data-rows] tr").count() == 1
    assert examine(portal) == []


def test_live_pages_say_when_they_stop_and_go_on_by_themselves(portal: Any, site: Site) -> None:
    portal.goto(f"{site.address}/enrollment/join")
    portal.context.set_offline(True)
    notice = portal.locator("[data-stopped]")
    notice.wait_for(state="visible", timeout=10_000)
    assert "Live updates stopped." in notice.inner_text()
    portal.context.set_offline(False)
    notice.wait_for(state="hidden", timeout=10_000)


def work() -> None:
    """What workers would do, in a thread of its own."""

    def inside() -> None:
        try:
            while jobs.step_due(JOB_STEPS, at=clock.now()):
                pass
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(inside).result()


def clock_in_thread() -> Any:
    """The database's time, read where the browser's event loop is not in the way."""

    def read() -> Any:
        try:
            return clock.now()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(read).result()
