"""What the catalogue says of a thing, and why; rows from files; a customer's own rows."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product

import pytest

from fleet import catalog, catalog_files, own_catalog
from fleet.catalog import Thing, Verdict
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing
from fleet.models import CatalogEntry
from foundation.context import tenant
from foundation.errors import NotValid
from tenancy.models import AuditEvent
from tests.factories.tenancy import make_customer

TODAY = date(2026, 11, 22)
OWN = {"make": "Nordlys", "model": "Room Base 3", "kind": "room_system", "platform": "windows"}


@pytest.fixture
def entered(customer):
    with tenant(customer.id):
        yield customer


def one(*given: str, on: date = TODAY) -> catalog.Assessment:
    (found,) = catalog.assess([Thing(*given)], on=on)
    return found


@pytest.mark.parametrize(
    ("make", "model"),
    [
        ("Logitech", "Rally Bar"),
        ("logitech, inc.", "RALLY-BAR"),
        ("Logitech", "Logitech Rally Bar"),
        ("", "Logitech Rally Bar"),
        ("", "Logi RallyBar"),
    ],
)
def test_spellings_of_one_model_are_one(make, model):
    assert catalog.key_of(make, model) == "logitechrallybar"


def test_models_that_differ_stay_apart():
    keys = [catalog.key_of("Poly", model) for model in ("Studio X30", "Studio X50", "Studio", "X30", "")]
    assert len(set(keys)) == 5
    assert catalog.key_of("Polycom", "Trio 8800") == catalog.key_of("Poly", "Trio 8800")
    assert catalog.key_of("Microsoft Corporation", 'Surface Hub 3 50"') == "microsoftsurfacehub350"


def test_a_certified_device_is_found_by_its_name_and_told_why(entered):
    found = one("Yealink", "MeetingBar A40", "android")
    assert found.verdict is Verdict.CERTIFIED
    assert found.matched_by == "name"
    assert found.reason == (
        "Certified for Teams Rooms on Android until 15 Aug 2027. Support ends on 15 Aug 2029. "
        "Found by make and model as Yealink MeetingBar A40."
    )


def test_what_is_plugged_in_is_found_by_its_usb_id_whatever_it_calls_itself(entered):
    found = one("", "USB Audio Device", "windows", "0b0e:0420")
    assert (found.verdict, found.matched_by, str(found.row)) == (Verdict.CERTIFIED, "usb", "Jabra Speak 510")
    assert "Found by USB id as Jabra Speak 510." in found.reason


def test_a_row_for_the_other_platform_certifies_nothing(entered):
    found = one("Poly", "Studio X50", "windows")
    assert found.verdict is Verdict.UNKNOWN
    assert "for Teams Rooms on Android only" in found.reason


@pytest.mark.parametrize(("make", "model"), [("Acme", "One"), ("", ""), ("Logitech", "Rally Bar 9000")])
def test_what_no_row_names_is_unknown_and_never_guessed(entered, make, model):
    found = one(make, model, "windows")
    assert (found.verdict, found.row, found.matched_by) == (Verdict.UNKNOWN, None, "")
    assert found.reason


@pytest.mark.parametrize(
    ("on", "verdict"),
    [
        (date(2025, 9, 3), Verdict.CERTIFIED),  # the last day of its certification
        (date(2025, 9, 4), Verdict.NOT_CERTIFIED),
        (date(2026, 9, 2), Verdict.NOT_CERTIFIED),
        (date(2026, 9, 3), Verdict.ENDS_SOON),  # a year before the end of support
        (date(2027, 9, 3), Verdict.ENDS_SOON),
        (date(2027, 9, 4), Verdict.ENDED),
    ],
)
def test_a_model_goes_from_certified_to_unsupported_day_by_day(entered, on, verdict):
    found = one("Neat", "Bar", "android", on=on)
    assert found.verdict is verdict
    assert "3 Sep 202" in found.reason


@pytest.mark.django_db
def test_the_filter_by_state_and_the_judgement_of_a_row_agree():
    days = [None, *(TODAY + timedelta(days=n) for n in (-1, 0, 1, 364, 365, 366))]
    rows = [
        CatalogEntry(
            make="Grid", model=f"M{n}", kind="camera", platform="any", certification=said,
            certified_until=until, support_ends=ends, origin="grid", sort_key=f"grid {n}",
        )
        for n, (said, until, ends) in enumerate(product(CatalogEntry.Certification, days, days))
    ]  # fmt: skip
    CatalogEntry.objects.bulk_create(rows)
    for verdict in Verdict:
        wanted = {row.id for row in rows if catalog.judged(row, on=TODAY)[0] is verdict}
        found = CatalogEntry.objects.filter(catalog.standing_at(verdict, on=TODAY), origin="grid")
        assert set(found.values_list("id", flat=True)) == wanted, verdict
        assert wanted, verdict


def test_a_row_of_ones_own_goes_before_the_shared_one_and_is_seen_by_nobody_else(entered, at):
    shared = {"make": "Jabra", "model": "Speak 510", "kind": "speakerphone", "platform": "windows"}
    own_catalog.add({**shared, "certification": "not_certified", "note": "Hums"}, at=at)
    found = one("Jabra", "Speak 510", "windows", "0b0e:0420")
    assert (found.verdict, found.matched_by) == (Verdict.NOT_CERTIFIED, "name")
    assert found.reason.endswith("in your own rows.")
    with tenant(make_customer(at=at).id):
        assert one("Jabra", "Speak 510", "windows", "0b0e:0420").verdict is Verdict.CERTIFIED


def test_own_rows_are_edited_and_removed_with_their_events(entered, at):
    row = own_catalog.add({**OWN, "usb_ids": ["1209:0001"]}, at=at)
    with pytest.raises(AlreadyThere):
        own_catalog.add(OWN, at=at)
    changed = own_catalog.edit(row.id, {"certification": "certified"}, if_version=1, at=at)
    assert (changed.version, one("Nordlys", "Room Base 3", "windows").verdict) == (2, Verdict.CERTIFIED)
    assert own_catalog.edit(row.id, {"certification": "certified"}, at=at).version == 2
    with pytest.raises(ChangedMeanwhile):
        own_catalog.edit(row.id, {"note": "x"}, if_version=1, at=at)
    own_catalog.remove(row.id, at=at)
    with pytest.raises(Missing):
        own_catalog.remove(row.id, at=at)
    assert one("", "", "windows", "1209:0001").verdict is Verdict.UNKNOWN
    events = AuditEvent.objects.for_tenant(entered).filter(object_kind="owncatalogentry")
    assert {(each.action, each.object_name) for each in events} == {
        (f"catalogue.{what}", "Nordlys Room Base 3") for what in ("create", "update", "delete")
    }
    assert events.get(action="catalogue.update").after == {"certification": "certified"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"make": " "}, "make"),
        ({"model": "—"}, "model"),
        ({"kind": "toaster"}, "kind"),
        ({"usb_ids": ["0b0e"]}, "usb_ids"),
        ({"sources": ["javascript:alert(1)"]}, "sources"),
        ({"also_known_as": [str(n) for n in range(21)]}, "also_known_as"),
        ({"words": "x"}, "words"),
    ],
)
def test_an_own_row_that_cannot_be_is_refused_by_its_field(entered, at, wrong, field):
    with pytest.raises(NotValid) as refused:
        own_catalog.add({**OWN, **wrong}, at=at)
    assert refused.value.field == field


@pytest.mark.django_db
def test_every_shared_row_has_a_source_and_loading_again_changes_nothing():
    rows = catalog_files.built_in()
    assert len(rows) > 250
    assert all(each.startswith("http") for row in rows for each in row.sources)
    assert {row.make for row in rows} >= {
        "Logitech",
        "Poly",
        "Yealink",
        "Lenovo",
        "Crestron",
        "Neat",
        "Jabra",
    }
    again = catalog_files.load_built_in()
    assert (again.added, again.changed, again.removed, again.kept) == (0, 0, 0, 0)


@pytest.mark.django_db
def test_an_operators_file_goes_before_the_built_in_one_until_it_is_taken_back(tmp_path):
    columns = ",".join(catalog_files.COLUMNS)
    path = tmp_path / "ours.csv"
    path.write_text(
        f"{columns}\nNeat,Bar,,video_bar,android,certified,2028-01-01,,,,,https://example.com/neat\n"
        "Vesper,Panorama,,video_bar,windows,not_certified,,,,,,https://example.com/vesper\n"
    )
    loaded = catalog_files.load(catalog_files.read(path, origin="ours"), origin="ours")
    assert (loaded.added, loaded.changed) == (1, 1)
    assert catalog_files.load_built_in().kept == 1
    neat = CatalogEntry.objects.get(id=catalog_files.id_of("Neat", "Bar", "android"))
    assert neat.certified_until == date(2028, 1, 1)
    assert catalog_files.load([], origin="ours").removed == 2
    assert catalog_files.load_built_in().added == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Neat,,,video_bar,android,,,,,,,ms-android", "line 2, model: this is empty"),
        ("Neat,Bar,,car,android,,,,,,,ms-android", "line 2, kind: car is none of"),
        ("Neat,Bar,,video_bar,android,,,,,,,", "line 2, sources: each row needs one"),
        ("Neat,Bar,,video_bar,android,,soon,,,,,ms-android", "line 2, certified_until: this is no day"),
        ("Neat,Bar,,video_bar,android,,,,,xyz,,ms-android", "line 2, usb_ids:"),
        ("Neat,Bar,,video_bar,android,,,,,,,ms-android,more", "line 2, this line has more cells"),
    ],
)
def test_a_bad_file_is_refused_whole_by_line_and_column(tmp_path, line, said):
    path = tmp_path / "bad.csv"
    path.write_text(f"{','.join(catalog_files.COLUMNS)}\n{line}\n")
    with pytest.raises(catalog_files.BadFile) as refused:
        catalog_files.read(path, origin="bad")
    assert refused.value.problems[0].startswith(said)
