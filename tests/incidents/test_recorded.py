"""Issues people record: their rooms, high impact, merging, links, files, and what solved the same fault before."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from fleet import inventory, notices, scope
from fleet.errors import Missing
from fleet.models import Room
from foundation.context import tenant
from foundation.errors import NotAllowed, NotFound, NotValid
from foundation.ids import new_id
from foundation.models import OutboxEntry, StoredFile, Timer
from incidents import attachments, counting, detection, lifecycle, notes, recorded, relations
from incidents.errors import IncidentClosed, NotInThisState
from incidents.facts import Finding
from incidents.models import FaultSpan, Incident, IncidentEntry
from incidents.opening import open_incident
from incidents.recorded import Issue, record_issue
from incidents.rooms import rooms_now
from incidents.rules.hardware import camera_room
from incidents.timeline import Author
from tenancy.models import AuditEvent, Person
from tenancy.rights import Reach, granted
from tests.factories.fleet import make_room
from tests.factories.incidents import heal, kinds_of, make_incident, make_watched_device
from tests.factories.tenancy import make_agent, make_person
from workers.effects import TIMERS
from workers.tasks import detection as _registers_timers  # noqa: F401

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
def people(customer, operator, at):
    ingrid = make_person(customer, at=at)
    agent = make_agent(operator, [customer], at=at)
    with tenant(customer.id):
        return Author(ingrid), Author(Person.objects.get(user=agent), by_operator=True)


@pytest.fixture
def rooms(people, inside, at):
    return [make_room(name, at=at) for name in ("Aurora", "Borealis")]


@pytest.fixture
def issue(rooms, people, inside, at):
    told = Issue([room.id for room in rooms], "Smell of smoke", "Near the screen", "The board meets there")
    return record_issue(inside.id, told, author=people[0], at=at)


def faults(*rooms):
    return [Room.objects.get(id=room.id).open_faults for room in rooms]


def test_a_recorded_issue_is_critical_and_counts_in_all_its_rooms_until_it_is_closed(
    issue, rooms, people, at
):
    ingrid, mina = people
    assert (issue.severity, issue.state, issue.recorded_by) == (1, "pending_investigation", ingrid.person)
    assert (issue.room_id, issue.respond_by) == (None, at + timedelta(hours=4))
    assert faults(*rooms) == [1, 1]
    assert kinds_of(issue) == ["opened", "state", "comment", "impact"]
    lifecycle.resolve(
        issue, cause="fixed_on_site", by=mina.person, by_operator=True, at=at + HOUR, text="Fuse replaced"
    )
    assert faults(*rooms) == [0, 0]
    assert counting.recount(issue.tenant_id, at=at + HOUR) == {}
    spans = FaultSpan.objects.filter(incident=issue)
    assert {(span.started_at, span.ended_at) for span in spans} == {(at, at + HOUR)}


def test_whoever_recorded_an_issue_is_told_when_somebody_else_closes_it(issue, people, at):
    ingrid, mina = people
    lifecycle.resolve(issue, cause="no_fault_found", by=ingrid.person, by_operator=False, at=at)
    assert not OutboxEntry.objects.filter(kind="mail").exists()
    lifecycle.reopen(issue, by=ingrid.person, by_operator=False, at=at)
    lifecycle.resolve(issue, cause="fixed_remotely", by=mina.person, by_operator=True, at=at, text="Reset it")
    mail = OutboxEntry.objects.get(kind="mail").payload
    assert (mail["to"], "Reset it" in mail["text"]) == (ingrid.person.email, True)


def test_its_rooms_may_change_while_it_is_open(issue, rooms, people, inside, at):
    third = make_room("Corona", at=at)
    recorded.change_rooms(issue, [rooms[1].id, third.id], author=people[0], at=at + MINUTE)
    assert faults(*rooms, third) == [0, 1, 1]
    recorded.change_rooms(issue, [rooms[0].id], author=people[0], at=at + 2 * MINUTE)
    assert faults(*rooms, third) == [1, 0, 0]
    assert Incident.objects.get(id=issue.id).room_id == rooms[0].id
    assert counting.recount(inside.id, at=at) == {}
    with pytest.raises(NotInThisState):
        recorded.change_rooms(make_incident(at=at), [third.id], author=people[0], at=at)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"rooms": []}, "rooms"), ({"title": " "}, "title"), ({"title": "x" * 201}, "title")],
)
def test_an_issue_without_a_room_or_a_title_is_refused(rooms, people, inside, at, changed, field):
    told = Issue(**{"rooms": [rooms[0].id], "title": "Smoke", **changed})
    with pytest.raises(NotValid) as refused:
        record_issue(inside.id, told, author=people[0], at=at)
    assert refused.value.field == field
    with pytest.raises(Missing):
        record_issue(inside.id, Issue([new_id()], "Smoke"), author=people[0], at=at)


def test_high_impact_needs_a_reason_and_can_be_taken_back(issue, people, at):
    recorded.set_high_impact(issue, "", author=people[0], at=at)
    stored = Incident.objects.get(id=issue.id)
    assert (stored.high_impact, stored.high_impact_reason) == (False, "")
    recorded.set_high_impact(stored, "The board meets there", author=people[0], at=at)
    assert Incident.objects.get(id=issue.id).high_impact
    assert AuditEvent.objects.filter(action="incident.high_impact").count() == 2


def test_who_sees_one_of_its_rooms_sees_the_issue_and_closes_it_only_with_all_of_them(
    issue, rooms, people, at
):
    ingrid, _ = people
    one = granted(["tickets.view", "tickets.modify"], Reach((frozenset({("room", rooms[0].id)}),)))
    with scope.within(one, "tickets.modify"):
        seen = Incident.objects.get(id=issue.id)
        assert rooms_now(seen) == [rooms[0].id]
        with pytest.raises(NotAllowed):
            lifecycle.resolve(seen, cause="other", by=ingrid.person, by_operator=False, at=at)
        recorded.set_high_impact(seen, "", author=ingrid, at=at)
    none = granted(["tickets.view"], Reach((frozenset({("room", new_id())}),)))
    with scope.within(none, "tickets.view"):
        assert not Incident.objects.filter(id=issue.id).exists()


def test_who_sees_one_of_its_rooms_reads_no_names_of_others_and_nothing_once_that_room_has_left(
    issue, rooms, people, inside, at
):
    one = granted(["tickets.view", "tickets.modify"], Reach((frozenset({("room", rooms[0].id)}),)))
    third = make_room("Cassini", at=at)
    recorded.change_rooms(issue, [rooms[0].id, third.id], author=people[0], at=at)
    with scope.within(one, "tickets.view"):
        seen = Incident.objects.get(id=issue.id)
        texts = [notes.text_of(entry) for entry in notes.entries_of(seen, for_operator=False)]
        assert "Near the screen" in texts
        assert not any("Cassini" in text or "Borealis" in text for text in texts)
    recorded.change_rooms(issue, [third.id], author=people[0], at=at)
    with scope.within(one, "tickets.view"):
        assert not Incident.objects.filter(id=issue.id).exists()
    assert "Cassini" in "".join(notes.text_of(entry) for entry in notes.entries_of(issue, for_operator=False))


# Merging and links ---------------------------------------------------------------------------------------------


def test_a_merged_ticket_is_a_duplicate_and_the_other_goes_on_for_its_rooms(issue, rooms, people, inside, at):
    device = make_watched_device(at=at)
    fault = make_incident(device, at=at)
    relations.merge(fault, issue, author=people[1], at=at + MINUTE)
    assert (fault.state, fault.cause, fault.parent_id) == ("resolved", "duplicate", issue.id)
    assert faults(*rooms, device.room) == [1, 1, 1]  # its room is the other's now
    assert counting.recount(inside.id, at=at) == {}
    assert not detection.recheck(inside.id, fault.id, at=at + HOUR)  # the other stands for it
    lifecycle.resolve(issue, cause="other", by=people[1].person, by_operator=True, at=at + 2 * HOUR)
    assert detection.recheck(inside.id, fault.id, at=at + 3 * HOUR)  # still there
    fault.refresh_from_db()
    assert (fault.state, fault.parent_id) == ("pending_investigation", None)


def test_what_cannot_be_merged_is_said(issue, people, inside, at):
    fault, other = make_incident(at=at), make_incident(at=at)
    for into, error in ((issue, NotValid), (fault, NotValid)):
        with pytest.raises(error):
            relations.merge(issue, into, author=people[1], at=at)
    with pytest.raises(NotValid):  # another room, which it does not stand for
        relations.merge(fault, other, author=people[1], at=at)
    heal(other.device, at=at)
    with pytest.raises(NotInThisState):
        relations.merge(fault, other, author=people[1], at=at)


def test_links_hold_from_both_sides_and_are_made_once(issue, people, inside, at):
    fault = make_incident(at=at)
    relations.link(issue, fault, author=people[0], at=at)
    relations.link(fault, issue, author=people[0], at=at)
    assert relations.linked_to(issue) == [fault]
    assert relations.linked_to(fault) == [issue]
    assert kinds_of(fault).count("linked") == 1
    relations.unlink(fault, issue, author=people[0], at=at)
    assert relations.linked_to(issue) == []
    with pytest.raises(NotFound):
        relations.unlink(fault, issue, author=people[0], at=at)


def test_a_ticket_is_found_by_its_number_however_it_is_written(issue, inside):
    short = issue.number.removeprefix("INC-").lower()
    assert relations.by_number(inside.id, f" {short} ", field="into") == issue
    assert relations.by_number(inside.id, issue.number, field="into") == issue
    with pytest.raises(NotFound):
        relations.by_number(inside.id, "INC-000000", field="into")


def test_the_same_fault_before_says_what_solved_it(people, inside, at):
    device = make_watched_device(at=at)
    first = make_incident(device, at=at)
    lifecycle.resolve(
        first, cause="hardware_replaced", by=people[1].person, by_operator=True, at=at, text="New cable"
    )
    heal(device, at=at + MINUTE)
    lifecycle.close_if_due(inside.id, first.id, at=at + timedelta(days=8))
    later = at + timedelta(days=9)
    second, _ = open_incident(device, camera_room, Finding("", "No camera", fault_at=later), at=later)
    (earlier,) = relations.same_fault_before(second)
    assert (earlier.incident, earlier.cause, earlier.solved) == (first, "Hardware replaced", "New cable")


# Files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 60, "image/jpeg"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 60, "video/mp4"),
        (b"PK\x03\x04" + b"\0" * 60, "application/zip"),
        (b"ElfFile\0" + b"\0" * 60, "application/x-ms-evtx"),
        ("12:01 Fehler: Gerät fehlt\n".encode(), "text/plain"),
        ("\ufeffFehler".encode("utf-16-le"), "text/plain"),
    ],
)
def test_a_file_is_what_its_content_says(issue, people, at, content, media_type):
    kept = attachments.attach(issue, io.BytesIO(content), "C:\\temp\\whatever.exe", author=people[0], at=at)
    assert (kept.file.media_type, kept.file.name) == (media_type, "whatever.exe")
    assert kinds_of(issue)[-1] == "attached"


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\x00\x03" + b"\0" * 60,
        b"\x7fELF\x02\x01\x01\x00",
        b"text\xff\xfe more",
        b"a" * 300_000 + b"\0",
    ],
)
def test_programs_and_what_is_no_text_are_refused_and_leave_nothing(issue, people, at, content):
    with pytest.raises(NotValid):
        attachments.attach(issue, io.BytesIO(content), "notes.txt", author=people[0], at=at)
    assert not StoredFile.objects.exists()


def test_each_kind_has_its_size_and_a_ticket_its_number_of_files(issue, people, at, monkeypatch):
    long = PNG + b"\0" * attachments.PICTURE_BYTES
    with pytest.raises(NotValid) as refused:
        attachments.attach(issue, io.BytesIO(long), "long.png", author=people[0], at=at)
    assert "15 MB" in refused.value.message
    monkeypatch.setattr(attachments, "MOST", 1)
    with pytest.raises(NotValid):
        attachments.attach_all(
            issue, [(io.BytesIO(PNG), "1.png"), (io.BytesIO(PNG), "2.png")], author=people[0], at=at
        )
    assert attachments.of(issue).count() == 0  # all or none


def test_a_file_attached_by_mistake_is_removed_and_that_stays_on_record(issue, people, at):
    kept = attachments.attach(issue, io.BytesIO(PNG), "a.png", author=people[0], at=at)
    attachments.detach(issue, kept.id, author=people[0], at=at)
    assert (attachments.of(issue).count(), StoredFile.objects.count()) == (0, 0)
    assert IncidentEntry.objects.filter(incident=issue, kind="detached", text="a.png").exists()
    with pytest.raises(NotFound):
        attachments.detach(issue, kept.id, author=people[0], at=at)


def test_nothing_is_added_to_a_closed_ticket(issue, people, inside, at):
    lifecycle.resolve(issue, cause="other", by=people[1].person, by_operator=True, at=at)
    lifecycle.close_if_due(inside.id, issue.id, at=at + timedelta(days=8))
    for refused in (
        lambda: attachments.attach(issue, io.BytesIO(PNG), "a.png", author=people[0], at=at),
        lambda: recorded.set_high_impact(issue, "x", author=people[0], at=at),
        lambda: relations.merge(issue, make_incident(at=at), author=people[0], at=at),
    ):
        with pytest.raises(IncidentClosed):
            refused()


def test_a_room_that_goes_out_of_use_leaves_its_issues_and_the_last_one_ends_them(issue, rooms, inside, at):
    aurora, borealis = rooms
    inventory.retire_room(aurora.id, at=at + HOUR)
    notice = Timer.objects.for_tenant(inside).get(kind=notices.ROOM_RETIRED)
    TIMERS[notice.kind](notice, at + HOUR)
    issue.refresh_from_db()
    assert (issue.is_open, rooms_now(issue), issue.room_id) == (True, [borealis.id], borealis.id)
    assert faults(aurora, borealis) == [0, 1]
    inventory.retire_room(borealis.id, at=at + 2 * HOUR)
    for _ in range(2):
        recorded.room_retired(inside.id, borealis.id, at=at + 2 * HOUR)
    issue.refresh_from_db()
    assert (issue.is_open, issue.cause) == (False, "room_retired")
    assert faults(aurora, borealis) == [0, 0]
