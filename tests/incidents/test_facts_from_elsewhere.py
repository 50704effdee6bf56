"""Published versions of the meeting app, and what a directory tells of a room's account."""

from __future__ import annotations

import io
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command

from fleet.heartbeats import Changes, NewVersion
from fleet.models import Device
from foundation.errors import NotValid
from incidents import account_facts, detection, releases
from incidents.models import AccountFact
from incidents.rules import RULES
from tenancy.models import AuditEvent
from tests.factories.incidents import fall_silent, incidents_of, make_watched_device, the_incident, watch_ends

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PAGE = "https://example.com/notes"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "signals.md"


@pytest.fixture
def device(inside, at):
    return make_watched_device(at=at)


def runs(device: Device, version: str, *, at):
    Device.objects.filter(id=device.id).update(versions={"app": version})
    return detection.evaluate(Changes(versions=[NewVersion(device.tenant_id, device.id)]), at=at)


@pytest.mark.parametrize(
    ("version", "behind"),
    [
        ("5.0.305.0", 0),
        ("5.0.1.0", 0),
        ("9.9", 0),
        ("4.19.82.0", 1),
        ("4.18.44.0", 2),
        ("4.1.0.0", 3),
        ("five", None),
        ("", None),
        ("5", None),
    ],
)
def test_lines_are_the_first_two_numbers(version, behind):
    assert releases.lines_behind(version, {(5, 0), (4, 19), (4, 18)}) == behind


def test_the_releases_that_come_with_the_product_name_their_source(db):
    assert {(5, 0), (4, 19), (4, 18)} <= releases.published_lines()
    assert not releases.KnownRelease.objects.exclude(source__startswith="https://").exists()


def test_an_app_two_lines_behind_is_a_warning_until_it_is_updated(device, at):
    assert runs(device, "4.18.35.0", at=at).opened == 1
    ticket = the_incident(device, "app_version")
    assert (ticket.severity, ticket.evidence["version"]) == (3, "4.18.35.0")
    assert runs(device, "4.19.57.0", at=at + MINUTE).resolved == 1
    assert runs(device, "custom build", at=at + 2 * MINUTE).opened == 0


def test_a_new_release_makes_older_apps_late(device, at):
    releases.add_release("5.1.20.0", released_at=date(2026, 10, 1), source=PAGE)
    assert runs(device, "4.19.57.0", at=at).opened == 1
    for version, source in (("newest", PAGE), ("5.2.1.0", "somebody said")):
        with pytest.raises(NotValid):
            releases.add_release(version, released_at=date(2026, 10, 1), source=source)


def test_adding_a_release_judges_every_device_that_tells_its_app(device, inside, at):
    runs(device, "4.19.57.0", at=at)
    untold = make_watched_device(at=at)
    told = io.StringIO()
    call_command("app_release", "5.1.20.0", published="2026-10-01", source=PAGE, stdout=told)
    assert "Devices newly late: 1." in told.getvalue()
    assert the_incident(device, "app_version").is_open
    assert incidents_of(untold) == []


def test_a_device_that_has_a_ticket_for_its_silence_gets_none_for_the_reason(device, at):
    fall_silent(device, at=at)
    watch_ends(device, "offline", at=at + 2 * MINUTE)
    account_facts.note_sign_in(device.room, at + 3 * MINUTE, at=at + 3 * MINUTE)
    watch_ends(device, "monitoring", at=at + 5 * MINUTE)
    assert [each.signal for each in incidents_of(device)] == ["offline"]


def test_a_silent_device_whose_account_signs_in_lacks_telemetry_and_is_not_offline(device, at):
    fall_silent(device, at=at)
    account_facts.note_sign_in(device.room, at + MINUTE / 2, at=at + MINUTE / 2)
    for signal in ("offline", "monitoring"):
        watch_ends(device, signal, at=at + 2 * MINUTE)
    assert [each.signal for each in incidents_of(device)] == ["monitoring"]


def test_an_earlier_sign_in_than_is_known_changes_nothing(device, at):
    assert account_facts.note_sign_in(device.room, at - DAY, at=at) == at - DAY
    assert account_facts.note_sign_in(device.room, at - 2 * DAY, at=at) == at - DAY
    assert AccountFact.objects.get(room=device.room).signed_in_at == at - DAY
    assert AuditEvent.objects.filter(action="room.sign_in").count() == 1
    with pytest.raises(NotValid):
        account_facts.note_sign_in(device.room, at + DAY, at=at)


def test_the_page_about_signals_says_what_the_rules_say():
    rows = {
        line.split(" | ")[0].strip("| "): line
        for line in DOCS.read_text().splitlines()
        if line.startswith("| ")
    }
    for key, rule in RULES.items():
        severity = rule.severity.label if rule.severity else "worst below it"
        cells = [cell.strip() for cell in rows[key].strip("|").split("|")]
        assert cells[3:7] == [severity, said(rule.poll), said(rule.watch), said(rule.makers_watch)], key


def said(length: timedelta | None) -> str:
    if length is None:
        return ""
    seconds = int(length.total_seconds())
    return "–" if not seconds else f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
