from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest

from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing
from foundation.errors import NotValid
from foundation.ids import new_id
from tenancy.models import AuditEvent
from tests.factories.updates import PACKAGE, make_release
from updates import applicability, artifacts, releases
from updates.applicability import Fit, Offered, fit
from updates.errors import NotNow
from updates.versions import Scheme


def test_a_release_keeps_its_file_by_content_and_leaves_its_events(inside, at):
    row = releases.add_release(name="Room app", kind="room_app", version="5.4.218", at=at)
    told = []
    kept = releases.keep_file(
        row.id, io.BytesIO(PACKAGE), "app.swu", size_bytes=len(PACKAGE), progress=told.append, at=at
    )
    assert (kept.sha256, kept.size_bytes) == (hashlib.sha256(PACKAGE).hexdigest(), len(PACKAGE))
    assert artifacts.size_of(inside.id, kept.sha256) == told[-1] == len(PACKAGE)
    events = AuditEvent.objects.for_tenant(inside).filter(object_id=row.id)  # of one moment: in no order
    assert sorted(event.action for event in events) == ["release.create", "release.upload"]
    assert (row.component, row.scheme) == ("app", "dotted")


def test_another_file_replaces_the_first_until_it_is_used(inside, at, django_capture_on_commit_callbacks):
    row = make_release(at=at)
    first = releases.artifact_of(row)
    with django_capture_on_commit_callbacks(execute=True):
        second = releases.keep_file(row.id, io.BytesIO(PACKAGE + b"new"), "app.swu", at=at)
    assert releases.artifact_of(row).sha256 == second.sha256
    assert artifacts.size_of(inside.id, first.sha256) is None


def test_a_newer_version_knows_the_one_before_it_whatever_the_order_they_came_in(inside, at):
    nine, eleven = make_release("5.9", at=at), make_release("5.11", at=at)
    ten = make_release("5.10", at=at)
    other = make_release("5.12", make="Acme", at=at)
    assert (nine.supersedes, eleven.supersedes, ten.supersedes) == (None, nine, nine)
    assert other.supersedes is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"version": "five"}, "version"),
        ({"name": ""}, "name"),
        ({"kind": "driver"}, "component"),
        ({"kind": "camera_firmware", "make": "Orbis"}, "model"),
        ({"kind": "camera_firmware"}, "make"),
        ({"runs_from": "9.0"}, "runs_from"),
        ({"runs_from": "4.2", "runs_to": "4.1"}, "runs_to"),
        ({"notes": "x" * 10_001}, "notes"),
        ({"component": "Has spaces"}, "component"),
    ],
)
def test_what_is_no_release_is_refused_beside_its_field(inside, at, given, field):
    with pytest.raises(NotValid) as refused:
        releases.add_release(**{"name": "Room app", "kind": "room_app", "version": "5.4", **given}, at=at)
    assert refused.value.field == field


def test_a_version_comes_once(inside, at):
    make_release("5.4", at=at)
    with pytest.raises(AlreadyThere):
        make_release("5.4", at=at)


def test_editing_minds_what_somebody_else_changed(inside, at):
    row = make_release(at=at)
    revision = releases.release(row.id).revision
    changed = releases.edit_release(row.id, revision=revision, notes="Fixes\r\nsound", at=at)
    assert (changed.notes, changed.revision) == ("Fixes\nsound", revision + 1)
    with pytest.raises(ChangedMeanwhile):
        releases.edit_release(row.id, revision=revision, notes="Else", at=at)
    with pytest.raises(NotValid):
        releases.edit_release(row.id, version="9", at=at)
    with pytest.raises(Missing):
        releases.edit_release(new_id(), notes="", at=at)


def test_content_of_a_withdrawn_release_is_gone_unless_another_release_has_it(
    inside, at, django_capture_on_commit_callbacks
):
    row, twin = (make_release(version, with_file=False, at=at) for version in ("5.4.218", "9.9"))
    for each in (row, twin):
        sha256 = releases.keep_file(each.id, io.BytesIO(PACKAGE), "app.swu", at=at).sha256
    for each, withdraw, is_kept in ((row, False, True), (row, True, True), (twin, True, False)):
        with django_capture_on_commit_callbacks(execute=True):
            releases.deprecate(each.id, reason="Breaks cameras", withdraw=withdraw, at=at)
        assert (artifacts.size_of(inside.id, sha256) is not None) == is_kept


def test_a_file_that_comes_when_a_rollout_has_begun_is_refused_and_not_kept(inside, at, monkeypatch):
    row = make_release(at=at)
    receive = artifacts.receive

    def slowly(*args: Any, **more: Any) -> Any:
        content = receive(*args, **more)
        releases.deprecate(row.id, reason="Meanwhile", at=at)
        return content

    monkeypatch.setattr(artifacts, "receive", slowly)
    package = b"070702" + b"another" * 100
    with pytest.raises(NotNow):
        releases.keep_file(row.id, io.BytesIO(package), "late.swu", at=at)
    assert artifacts.size_of(inside.id, hashlib.sha256(package).hexdigest()) is None
    assert releases.artifact_of(row).name != "late.swu"


def test_whom_a_release_fits():
    offered = Offered(Scheme.DOTTED, "5.4.218", "Acme", "One", runs_from="5.2", runs_to="5.4.217")
    for version, expected in (
        ("5.4.218.0", Fit.CURRENT),
        ("5.4.300", Fit.NEWER),
        ("5.1", Fit.TOO_OLD),
        ("5.4.217.5", Fit.TOO_NEW),
        ("5.2", Fit.FITS),
        ("", Fit.UNKNOWN),
        ("no version", Fit.UNKNOWN),
    ):
        assert fit(offered, "ACME ", "one", version) == expected, version
    assert fit(offered, "Acme", "Two", "5.2") == Fit.OTHER
    assert fit(Offered(Scheme.DOTTED, "2"), "Any", "thing", "") == Fit.FITS


def test_the_equipment_furthest_behind_decides():
    assert applicability.oldest(Scheme.DOTTED, ["1.10", "?", "1.9", "2"]) == "1.9"
    assert applicability.oldest(Scheme.DOTTED, ["?", ""]) == ""
