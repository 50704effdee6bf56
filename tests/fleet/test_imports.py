"""Imports: what a file means, what is wrong with it by row and column, and that a run happens whole or not at all."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import openpyxl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleet import assets, counters, inventory, merging, place_tree, room_groups, search
from fleet.imports import peripherals, planning, runs
from fleet.imports.kinds import KINDS
from fleet.models import Asset, Device, ImportRow, ImportRun, Peripheral, Place, Room, RoomGroupMember
from foundation import clock, jobs, timers
from foundation.context import tenant
from foundation.errors import NotValid
from foundation.models import Job, StoredFile
from tenancy import assignments, people
from tenancy.audit import SYSTEM, Actor
from tenancy.models import AuditEvent, Person, Role, RoleAssignment
from tenancy.on_behalf import By
from tenancy.rights import Place as Where
from tenancy.rights import granted, reach_of
from tests.factories.fleet import make_device, make_place, make_room
from tests.factories.tenancy import make_customer, make_person
from workers.effects import JOB_BREAKDOWNS, JOB_STEPS, TIMERS

ME = By(SYSTEM, granted([runs.PERMISSION]))
HEAD = "Name,Account,Country,Building,Type,Seats,Time zone\n"


@pytest.fixture
def owner_of(committed_db: None) -> Any:
    """A customer of its own, committed: jobs find what is due on the sweep role's connection."""
    return lambda: make_customer(at=clock.now())


def received(owner: Any, text: str | bytes, kind: str = "rooms", by: By = ME) -> ImportRun:
    raw = text.encode() if isinstance(text, str) else text
    with tenant(owner.id):
        return runs.receive(kind, io.BytesIO(raw), "rooms.csv", by=by, at=clock.now())


def worked(owner: Any, run: ImportRun) -> ImportRun:
    """After every step that is due."""
    while jobs.step_due(JOB_STEPS, at=clock.now()):
        pass
    with tenant(owner.id):
        assert not Job.objects.filter(state=Job.State.FAILED).exists()
        run.refresh_from_db()
    return run


def checked(owner: Any, text: str | bytes, kind: str = "rooms", by: By = ME) -> ImportRun:
    run = received(owner, text, kind, by)
    with tenant(owner.id):
        runs.check(run.id, None, by=by, at=clock.now())
    return worked(owner, run)


def imported(owner: Any, text: str | bytes, kind: str = "rooms", by: By = ME) -> ImportRun:
    run = checked(owner, text, kind, by)
    with tenant(owner.id):
        assert told(run) == []
        runs.apply(run.id, by=by, at=clock.now())
    return worked(owner, run)


def told(run: ImportRun) -> list[tuple[int, str, str]]:
    with tenant(run.tenant_id):
        rows = runs.problems_of(run).order_by("row", "place", "id")
        return [(each.row, each.column, each.message) for each in rows]


def somebody(owner: Any, *scope: Where) -> tuple[Person, By]:
    """A site lead of the customer, everywhere or in those places, and how he asks."""
    at = clock.now()
    person = make_person(owner, "", at=at)
    with tenant(owner.id):
        role = Role.objects.for_tenant(owner).get(key="site_lead")
        assignments.give(person, role_id=role.id, everywhere=not scope, scope=scope, by=None, at=at)
    reach = reach_of(not scope, [[kind, str(key)] for kind, key in scope])
    return person, By(Actor("person", person.user_id), granted([runs.PERMISSION], reach))


def test_a_run_does_not_outlive_the_rights_of_whoever_asked(owner_of):
    owner = owner_of()
    make_person(owner, at=clock.now())
    person, by = somebody(owner)
    run = checked(owner, HEAD + "Aurora,,,HQ,,4,\n", by=by)
    with tenant(owner.id):
        runs.apply(run.id, by=by, at=clock.now())
        people.end(person.id, at=clock.now())
    while jobs.step_due(JOB_STEPS, at=clock.now(), breakdowns=JOB_BREAKDOWNS):
        pass
    with tenant(owner.id):
        run.refresh_from_db()
        assert (run.state, run.note) == (
            "failed",
            "Whoever asked for this may no longer do it. Nothing was changed.",
        )
        assert not Room.objects.exists()
        assert not ImportRow.objects.exists()


def test_a_run_applies_to_no_room_that_left_the_scope_of_whoever_asked(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        place = make_place("HQ", at=clock.now())
        rooms = [
            make_room(name, place=place, resource_account=f"{name}@example.com", at=clock.now())
            for name in ("mine", "theirs")
        ]
    make_person(owner, at=clock.now())
    person, by = somebody(owner)
    changing = checked(owner, HEAD + "mine,mine@example.com,,,,5,\ntheirs,theirs@example.com,,,,5,\n", by=by)
    adding = checked(owner, HEAD + "New,new@example.com,,HQ,,5,\n", by=by)
    with tenant(owner.id):
        role = Role.objects.for_tenant(owner).get(key="site_lead")
        given = RoleAssignment.objects.for_tenant(owner).get(person=person)
        assignments.give(
            person, role_id=role.id, everywhere=False, scope=[("room", rooms[0].id)], by=None, at=clock.now()
        )
        assignments.withdraw(given.id, person=person, at=clock.now())
        for run in (changing, adding):
            runs.apply(run.id, by=by, at=clock.now())
    for run in (changing, adding):
        assert worked(owner, run).state == "checked"
        assert told(run), "checked again, as far as he reaches now"
    with tenant(owner.id):
        assert [room.capacity for room in Room.objects.order_by("name")] == [None, None]


def test_a_run_whose_job_breaks_down_is_over_and_says_what_became_of_it(owner_of, monkeypatch):
    owner = owner_of()
    ready = [checked(owner, HEAD + f"{name},,,HQ,,4,\n") for name in ("Aurora", "Bjerk")]

    def broken(*_args: Any, **_more: Any) -> None:
        raise OSError("disk full")

    sound = KINDS["rooms"]
    for run, kind in zip(ready, (replace(sound, follow=broken), replace(sound, apply=broken)), strict=True):
        monkeypatch.setitem(KINDS, "rooms", kind)
        with tenant(owner.id):
            runs.apply(run.id, by=ME, at=clock.now())
        while jobs.step_due(JOB_STEPS, at=clock.now(), breakdowns=JOB_BREAKDOWNS):
            pass
    with tenant(owner.id):
        for run in ready:
            run.refresh_from_db()
        assert [(run.state, run.note) for run in ready] == [
            ("done", "All of it was changed, but search may find some of it late."),
            ("failed", "It broke down. Nothing was changed."),
        ]
        assert [room.name for room in Room.objects.all()] == ["Aurora"]


def test_rooms_come_with_their_places_words_groups_numbers_and_record(owner_of):
    owner = owner_of()
    run = imported(
        owner,
        HEAD + "Aurora,aurora@example.com,Norway,HQ,Small,8,\nBjerk,,Norway,HQ,,,Europe/Berlin\n",
    )
    assert (run.state, run.creates, run.updates) == ("done", 2, 0)
    with tenant(owner.id):
        aurora = Room.objects.select_related("place").get(resource_account="aurora@example.com")
        assert (aurora.place.full_name, aurora.room_type, aurora.capacity) == ("Norway › HQ", "small", 8)
        assert (aurora.time_zone, aurora.site_id) == ("Europe/Oslo", aurora.place_id)
        assert aurora.place.country_code == "NO"
        assert [room.name for room in search.matching(Room.objects.all(), "auro norw")] == ["Aurora"]
        assert RoomGroupMember.objects.filter(room=aurora, group__is_default=True).exists()
        assert counters.of(owner.id)["rooms.unenrolled"] == 2
        assert counters.of(owner.id, aurora.place_id)["rooms.unenrolled"] == 2
        events = AuditEvent.objects.filter(object_id=aurora.id).values_list("action", flat=True)
        assert list(events) == ["room.create"]
        assert not ImportRow.objects.exists()
        assert not StoredFile.objects.exists()


def test_rows_change_what_is_there_and_an_empty_cell_leaves_it(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        oslo = make_place("Oslo", at=clock.now())
        moved = make_room("Aurora", place=oslo, resource_account="a@example.com", capacity=4, at=clock.now())
        same = make_room("Bjerk", place=oslo, capacity=4, at=clock.now())
    text = HEAD + "Borealis,A@example.com,,Bergen,,,\nBjerk,bjerk@example.com,,Oslo,,,\nBjerk,,,Bergen,,4,\n"
    run = imported(owner, text)
    assert (run.creates, run.updates, run.unchanged) == (1, 2, 0)
    with tenant(owner.id):
        moved.refresh_from_db()
        same.refresh_from_db()
        assert (moved.name, moved.place.name, moved.capacity, moved.version) == ("Borealis", "Bergen", 4, 2)
        assert (same.resource_account, same.place.name) == ("bjerk@example.com", "Oslo")
        event = AuditEvent.objects.get(object_id=moved.id, action="room.move")
        assert event.before == {"place": "Oslo", "name": "Aurora"}
        assert event.after == {"place": "Bergen", "name": "Borealis"}
        assert counters.of(owner.id, moved.site_id)["rooms.unenrolled"] == 2
        assert counters.of(owner.id, oslo.id)["rooms.unenrolled"] == 1
        assert list(search.matching(Room.objects.all(), "borealis")) == [moved]
    again = checked(owner, text)
    assert (again.creates, again.updates, again.unchanged) == (0, 0, 3)


def test_every_problem_is_named_by_row_and_column_and_nothing_happens(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        make_room(
            "Taken", place=make_place("HQ", at=clock.now()), resource_account="t@example.com", at=clock.now()
        )
    run = checked(
        owner,
        HEAD
        + "Aurora,no account,,HQ,Huge,many,Mars/Base\n"
        + ",x@example.com,,HQ,,,\n"
        + "Nowhere,n@example.com,,,,,\n"
        + "Taken,other@example.com,,HQ,,,\n"
        + "One,one@example.com,,HQ,,,\n"
        + "Two,one@example.com,,HQ,,,\n"
        + "One,,,HQ,,,\n",
    )
    assert run.state == "checked"
    assert told(run) == [
        (2, "Account", "This is no account name, such as aurora@example.com."),
        (2, "Type", "This is none of Small, Medium, Large."),
        (2, "Seats", "This must be a whole number from 0 to 10000."),
        (2, "Time zone", "This is no IANA time zone, such as Europe/Oslo."),
        (3, "Name", "This must not be empty."),
        (4, "", "A new room needs a place: fill in at least one level of it."),
        (5, "Account", "The room of this name here has the account t@example.com."),
        (7, "Account", "Row 6 names the same one."),
        (8, "Name", "Row 6 names the same one."),
    ]
    with tenant(owner.id), pytest.raises(runs.NotNow):
        runs.apply(run.id, by=ME, at=clock.now())
    with tenant(owner.id):
        assert Room.objects.count() == Place.objects.count() == 1


def test_what_changed_since_the_check_is_checked_again_and_nothing_happens(owner_of):
    owner = owner_of()
    run = checked(owner, HEAD + "Aurora,a@example.com,,HQ,,,\nBjerk,b@example.com,,HQ,,,\n")
    with tenant(owner.id):
        make_room("Other", resource_account="b@example.com", at=clock.now())
        runs.apply(run.id, by=ME, at=clock.now())
    run = worked(owner, run)
    assert (run.state, run.creates, run.updates) == ("checked", 1, 1)
    assert "checked again" in run.note
    with tenant(owner.id):
        assert [room.name for room in Room.objects.all()] == ["Other"]
        room = Room.objects.get()
        inventory.edit_room(room.id, {"capacity": 3}, at=clock.now())
        runs.apply(run.id, by=ME, at=clock.now())
    assert worked(owner, run).state == "checked"
    with tenant(owner.id):
        runs.apply(run.id, by=ME, at=clock.now())
    assert worked(owner, run).state == "done"


def test_rooms_that_a_merge_moved_since_the_check_are_not_put_back(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        old, new = (make_place(name, at=clock.now()) for name in ("Old", "New"))
        room = make_room("Aurora", place=old, resource_account="a@example.com", at=clock.now())
    changing = checked(owner, HEAD + "Aurora,a@example.com,,,,7,\n")
    adding = checked(owner, HEAD + "Bjerk,b@example.com,,Old,,7,\n")
    with tenant(owner.id):
        merging.merge_places(old.id, into_id=new.id, at=clock.now())
        for run in (changing, adding):
            runs.apply(run.id, by=ME, at=clock.now())
    for run in (changing, adding):
        assert worked(owner, run).state == "checked"
    with tenant(owner.id):
        room.refresh_from_db()
        assert (room.place_id, room.capacity) == (new.id, None)
        runs.apply(changing.id, by=ME, at=clock.now())
    assert worked(owner, changing).state == "done"
    with tenant(owner.id):
        room.refresh_from_db()
        assert (room.place_id, room.site_id, room.capacity) == (new.id, new.id, 7)


def test_a_building_put_around_a_place_since_the_check_is_seen(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        floor = make_place("Attic", kind="floor", at=clock.now())
    run = checked(owner, "Name,Floor\nAurora,Attic\n")
    with tenant(owner.id):
        tower = make_place("Tower", at=clock.now())
        place_tree.move_place(floor.id, parent_id=tower.id, at=clock.now())
        runs.apply(run.id, by=ME, at=clock.now())
    assert worked(owner, run).state == "checked"


def test_what_a_device_told_since_the_check_is_not_overwritten(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        room = make_room("Aurora", resource_account="a@example.com", at=clock.now())
        make_device(room, at=clock.now())
    head = "Account,Peripheral type,Serial number,Peripheral name,Firmware\n"
    imported(owner, head + "a@example.com,Camera,S1,Brio,1.0\n", "peripherals")
    run = checked(owner, head + "a@example.com,Camera,S1,Brio 500,\n", "peripherals")
    with tenant(owner.id):
        Peripheral.objects.for_tenant(owner).update(firmware="2.0")
        runs.apply(run.id, by=ME, at=clock.now())
    assert worked(owner, run).state == "checked"
    with tenant(owner.id):
        runs.apply(run.id, by=ME, at=clock.now())
    assert worked(owner, run).state == "done"
    with tenant(owner.id):
        assert list(Peripheral.objects.values_list("model", "firmware")) == [("Brio 500", "2.0")]


def test_a_device_that_left_the_room_since_the_check_gets_nothing(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        room = make_room("Aurora", resource_account="a@example.com", at=clock.now())
        other = make_room("Bjerk", at=clock.now())
        device = make_device(room, at=clock.now())
    text = "Account,Peripheral type,Peripheral name\na@example.com,Camera,Brio\n"
    run = checked(owner, text, "peripherals")
    with tenant(owner.id):
        Device.objects.for_tenant(owner).filter(id=device.id).update(room=other)
        runs.apply(run.id, by=ME, at=clock.now())
    assert worked(owner, run).state == "checked"
    assert [message for _, _, message in told(run)] == [
        "No device is enrolled in Aurora yet. Enroll it first."
    ]


def test_checking_costs_the_same_however_many_rows_and_namesakes(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        group = room_groups.add_group(name="Board", at=clock.now())
        rooms = [make_room("Same", place=make_place(at=clock.now()), at=clock.now()) for _ in range(6)]
        only = make_room("Only", at=clock.now())
        for room in (rooms[0], only):
            make_device(room, at=clock.now())
        room_groups.add_members(group.id, [rooms[0].id, only.id], at=clock.now())

    def cost(number: int) -> int:
        rows = "".join(
            f",Only,Camera,Cam {each},Board\n,Same,Camera,Cam {each},Board\n" for each in range(number)
        )
        with tenant(owner.id):
            read = [
                planning.Line(
                    n, dict(zip(("room", "kind", "model", "group"), row.split(",")[1:], strict=True)), {}
                )
                for n, row in enumerate(rows.splitlines())
            ]
            run = ImportRun(tenant_id=owner.id, kind="peripherals")
            with CaptureQueriesContext(connection) as queries:
                planned = peripherals.plan(run, read, None, at=clock.now())
        assert len(planned) == 2 * number
        return len(queries)

    assert cost(2) == cost(20)
    run = checked(owner, "Display name,Peripheral type\nSame,Camera\nNone,Camera\n", "peripherals")
    assert [message for _, _, message in told(run)] == [
        "Several rooms have this name. Give the account.",
        "There is no such room.",
    ]


def test_somebody_of_one_group_changes_its_rooms_and_adds_none(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        place = make_place("HQ", at=clock.now())
        mine = make_room("Mine", place=place, resource_account="m@example.com", at=clock.now())
        make_room("Theirs", place=place, resource_account="t@example.com", at=clock.now())
    _, some = somebody(owner, ("room", mine.id))
    run = checked(
        owner,
        HEAD + "Mine,m@example.com,,,,5,\nTheirs,t@example.com,,,,5,\nNew,n@example.com,,Lab,,,\n",
        by=some,
    )
    assert [(row, message[:13]) for row, _, message in told(run)] == [
        (3, "A new room ne"),
        (4, "There is no s"),
    ]
    done = imported(owner, HEAD + "Mine,m@example.com,,,,5,\n", by=some)
    with tenant(owner.id):
        assert Room.objects.get(id=mine.id).capacity == 5
        assert runs.visible(some).count() == runs.visible(ME).count() == 2
        other = By(Actor("person", place.id), some.rights)
        assert runs.visible(other).count() == 0
    assert done.state == "done"


def test_assets_are_known_by_serial_or_name_and_move_with_a_trace(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        place = make_place("HQ", at=clock.now())
        aurora, bjerk = (make_room(name, place=place, at=clock.now()) for name in ("Aurora", "Bjerk"))
        dock = assets.add_asset(
            room_id=aurora.id, kind="dock", name="Dock", serial_number="D1", at=clock.now()
        )
    text = "Room;Asset;Type;Serial;Asset tag\nBjerk;Dock;;D1;\nBjerk;Table;table;;IT-1\nNowhere;X;;;\n"
    assert told(checked(owner, text, "assets")) == [(4, "Room", "There is no such room.")]
    run = imported(owner, text.replace("Nowhere;X;;;\n", ""), "assets")
    assert (run.creates, run.updates) == (1, 1)
    with tenant(owner.id):
        dock.refresh_from_db()
        assert (dock.room_id, dock.kind, dock.version) == (bjerk.id, "dock", 2)
        assert Asset.objects.get(name="Table").tag == "IT-1"
        assert AuditEvent.objects.get(action="room.asset_left").object_id == aurora.id


def test_peripherals_hang_on_the_device_of_their_room(owner_of):
    owner = owner_of()
    with tenant(owner.id):
        place = make_place("HQ", at=clock.now())
        aurora = make_room("Aurora", place=place, resource_account="a@example.com", at=clock.now())
        make_room("Empty", place=place, at=clock.now())
        device = make_device(aurora, at=clock.now())
    head = (
        "Account,Display name,Product ID,Vendor ID,Serial number,Peripheral name,Peripheral type,Group ID\n"
    )
    bad = head + ",Empty,,,,Cam,Camera,\na@example.com,,85G,46d,,Cam,Camera,Nobody\na@example.com,,,,,Cam,,\n"
    assert told(checked(owner, bad, "peripherals")) == [
        (2, "", "No device is enrolled in Empty yet. Enroll it first."),
        (3, "Product ID", "This is no USB id of four hexadecimal digits, such as 046D."),
        (4, "Peripheral type", "This must not be empty."),
    ]
    text = head + "a@example.com,,0x85C,46D,S1,Brio,Camera,All new rooms\n,Aurora,,,,Pod,Mic,\n"
    assert imported(owner, text, "peripherals").creates == 2
    with tenant(owner.id):
        camera = Peripheral.objects.get(serial="S1")
        assert (camera.device_id, camera.vendor_id, camera.product_id) == (device.id, "046d", "085c")
        assert not camera.connected
        assert Peripheral.objects.get(kind="microphone").model == "Pod"
    assert checked(owner, text, "peripherals").unchanged == 2


def test_a_room_with_devices_does_not_come_to_a_country_that_is_not_served(owner_of, settings):
    owner = owner_of()
    settings.UNSUPPORTED_COUNTRIES = frozenset({"SE"})
    with tenant(owner.id):
        room = make_room(
            "Aurora", place=make_place("HQ", at=clock.now()), at=clock.now(), resource_account="a@example.com"
        )
        make_device(room, at=clock.now())
    run = checked(owner, HEAD + "Aurora,a@example.com,Sweden,Lab,,,\nNew,,Sweden,Lab,,,\n")
    assert [(row, message.split(".")[0]) for row, _, message in told(run)] == [
        (2, "Rooms in Sweden cannot be enrolled: the service is not offered there")
    ]


def test_licence_its_end_and_labels_come_along(owner_of):
    owner = owner_of()
    head = "Name;Building;License;Licence ends;Tags\n"
    bad = checked(owner, head + "Aurora;HQ;Gold;soon;x\n")
    assert [(row, column) for row, column, _ in told(bad)] == [(2, "License"), (2, "Licence ends")]
    imported(owner, head + "Aurora;HQ;Pro;31.01.2027;Board, VIP\nBjerk;HQ;;46053;\n")
    imported(owner, head + "Aurora;HQ;Basic;2028-02-29;\n")
    with tenant(owner.id):
        aurora, bjerk = Room.objects.order_by("name")
        assert (aurora.licence, aurora.licence_ends.isoformat()) == ("basic", "2028-02-29")
        assert aurora.labels == ["Board", "VIP"]
        assert (bjerk.licence, bjerk.licence_ends.isoformat(), bjerk.labels) == ("", "2026-01-31", [])


def test_a_workbook_with_formulas_says_so(owner_of):
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in (["Room name", "Building"], ["Aurora", "HQ"], ['="Bj"&"erk"', "HQ"]):
        book.active.append(row)
    book.save(stream)
    run = checked(owner_of(), stream.getvalue())
    assert told(run) == [(3, "Room name", "This cell holds a formula. Paste its value instead.")]


def test_a_file_that_breaks_further_down_fails_with_a_sentence(owner_of):
    text = "Name,Building\n" + "Aurora,HQ\n" * 10 + '"never closed'
    run = checked(owner_of(), text)
    assert (run.state, run.note) == (
        "failed",
        "Row 12 breaks off inside quotation marks, or something follows a closing one.",
    )


def test_columns_are_guessed_and_what_is_missing_is_named(owner_of):
    owner = owner_of()
    run = received(owner, "Raum;Gebäude;Plätze (max.);Egal\nAurora;HQ;8;x\n")
    assert run.columns == {"name": 0, "building": 1, "capacity": 2}
    with tenant(owner.id):
        for columns, field in (
            ({"building": 1}, "name"),
            ({"name": 0, "nonsense": 1}, "nonsense"),
            ({"name": 9}, "name"),
            ({"name": 0, "capacity": 0}, "capacity"),
        ):
            with pytest.raises(NotValid) as refused:
                runs.check(run.id, columns, by=ME, at=clock.now())
            assert refused.value.field == field


def test_a_run_is_cancelled_until_it_is_applied_and_forgotten_after_a_month(owner_of):
    owner = owner_of()
    run = received(owner, HEAD + "Aurora,,,HQ,,,\n")
    with tenant(owner.id):
        runs.check(run.id, None, by=ME, at=clock.now())
        runs.cancel(run.id, by=ME, at=clock.now())
        runs.cancel(run.id, by=ME, at=clock.now())
    assert worked(owner, run).state == "cancelled"
    done = imported(owner, HEAD + "Aurora,,,HQ,,,\n")
    with tenant(owner.id), pytest.raises(runs.NotNow):
        runs.cancel(done.id, by=ME, at=clock.now())
    timers.fire_due({runs.FORGET: TIMERS[runs.FORGET]}, at=clock.now() + runs.KEPT_FOR)
    with tenant(owner.id):
        assert not ImportRun.objects.exists()


def test_a_refused_file_leaves_nothing(owner_of):
    owner = owner_of()
    with pytest.raises(NotValid):
        received(owner, "Name,Name\nA,B\n")
    with pytest.raises(NotValid):
        received(owner, HEAD + "A\n", "submarines")
    with tenant(owner.id):
        assert not StoredFile.objects.exists()
        assert not ImportRun.objects.exists()
    assert json.dumps(ME.kept(runs.PERMISSION))
