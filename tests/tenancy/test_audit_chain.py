"""The sealed audit log: what is recorded is sealed once, and whatever the database's owner does to it is found."""

from __future__ import annotations

import io
import json
import os
import random
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from foundation import clock
from foundation.context import tenant
from foundation.ids import id_at
from tenancy import audit, audit_retention, audit_seal
from tenancy.audit_verify import verify
from tenancy.models import AuditEvent, AuditPending, AuditSeal
from tests.factories.tenancy import make_customer

TAMPERINGS = 1_000 if os.environ.get("GREENROOM_CHAOS") == "1" else 30


def record(owner, count, *, at):
    with tenant(owner.id):
        for number in range(count):
            audit.record(
                "settings.update",
                owner,
                tenant_id=owner.id,
                at=at + timedelta(seconds=number),
                before={"number": number, "share": 0.1 * number},
                after={"number": number + 1, "name": "Åse ☂", "none": None},
            )


def seal_all(owner, *, at):
    total = 0
    while count := audit_seal.seal(owner.id, at=at):
        total += count
    return total


def kinds(owner, heads=None):
    return {problem.kind for problem in verify(owner.id, heads=heads or {}, at=clock.now()).problems}


def test_every_event_waits_and_is_sealed_once(customer, at):
    record(customer, 5, at=at)
    with tenant(customer.id):
        events = AuditEvent.objects.for_tenant(customer).count()
        assert AuditPending.objects.for_tenant(customer).count() == events
    assert seal_all(customer, at=at) == events
    assert audit_seal.seal(customer.id, at=at) == 0
    checked = verify(customer.id, heads={}, at=at)
    assert (checked.events, checked.waiting, checked.problems) == (events, 0, ())


def test_links_follow_each_other_and_hold_one_day_each(customer, at):
    seal_all(customer, at=at)
    record(customer, 3, at=at)
    record(customer, 2, at=at + timedelta(days=1))
    assert audit_seal.seal(customer.id, at=at) == 3
    assert audit_seal.seal(customer.id, at=at) == 2
    with tenant(customer.id):
        links = list(AuditSeal.objects.for_tenant(customer).order_by("seq"))
    assert [link.seq for link in links] == list(range(1, len(links) + 1))
    assert all(bytes(after.prev) == bytes(before.hash) for before, after in pairwise(links))
    assert kinds(customer) == set()


def test_an_event_that_commits_late_joins_a_later_link(customer, at):
    record(customer, 2, at=at + timedelta(minutes=1))
    seal_all(customer, at=at)
    record(customer, 1, at=at)
    assert seal_all(customer, at=at + timedelta(minutes=2)) == 1
    assert kinds(customer) == set()


def test_racing_sealers_seal_each_event_once(committed_db):
    at = clock.now()
    owner = make_customer(at=at)
    record(owner, 40, at=at)

    def run():
        try:
            for _ in range(10):
                audit_seal.seal(owner.id, at=at)
        finally:
            connections.close_all()

    racers = [Thread(target=run) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    seal_all(owner, at=at)
    assert verify(owner.id, heads={}, at=at).problems == ()


def test_the_sweep_finds_the_customers_whose_events_wait(committed_db, tmp_path):
    at = clock.now()
    owner = make_customer(at=at)
    record(owner, 3, at=at - timedelta(minutes=1))
    assert audit_seal.seal_due(at=at + timedelta(minutes=1)) >= 3
    assert verify(owner.id, heads={}, at=at).waiting == 0
    path = audit_seal.keep_heads(tmp_path, at=at)
    kept = audit_seal.kept_heads(tmp_path)
    assert verify(owner.id, heads=kept[owner.id], at=at).problems == ()
    assert json.loads(path.read_text())["heads"][str(owner.id)][0] == max(kept[owner.id])


def test_an_event_that_went_before_it_was_sealed_is_named(committed_db):
    owner = make_customer(at=clock.now())
    record(owner, 3, at=clock.now())
    with as_owner(owner) as cursor:
        cursor.execute(
            "DELETE FROM tenancy_auditevent WHERE id = (SELECT max(id::text)::uuid FROM tenancy_auditevent)"
        )
    seal_all(owner, at=clock.now())
    assert kinds(owner) == {"missing"}
    with as_owner(owner) as cursor:  # it would hold back the retention of every other test
        cursor.execute("DELETE FROM tenancy_auditpending")


# Tampering ---------------------------------------------------------------------------------------------------------


GUARDED = ("tenancy_auditevent", "tenancy_auditseal")
TABLES = (*GUARDED, "tenancy_auditpending")


@contextmanager
def as_owner(owner):
    """The owner of the tables with the guard taken off, which is the most anybody inside the database can do."""
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        for table in GUARDED:
            cursor.execute(_guards(table, "DISABLE"))
        cursor.execute(f"SET LOCAL app.tenants = '{{{owner.id}}}'")
        yield cursor
        for table in GUARDED:
            cursor.execute(_guards(table, "ENABLE ALWAYS"))


def _guards(table, how):
    names = ("tenancy_audit_guard", "tenancy_audit_guard_truncate")
    return f"ALTER TABLE {table} " + ", ".join(f"{how} TRIGGER {name}" for name in names)


COLUMNS = {
    "at": "at + interval '1 microsecond'",
    "actor_kind": "'device'",  # what was recorded here is the system's
    "actor_id": "gen_random_uuid()",
    "actor_name": "actor_name || '.'",
    "actor_tenant_id": "gen_random_uuid()",
    "grant_id": "gen_random_uuid()",
    "action": "'room.retire'",
    "object_kind": "'room'",
    "object_id": "gen_random_uuid()",
    "object_name": "object_name || '.'",
    "result": "'failed'",
    "before": "'{\"number\": -1}'::jsonb",
    "after": "'{\"number\": -1}'::jsonb",
    "address": "'192.0.2.7'::inet",
    "request_id": "'x' || request_id",
}


def tamper(cursor, chance, events, links, owner):
    """One change, chosen at random; all lists are of ids."""
    event, other = chance.sample(events, 2)
    link = chance.choice(links)
    how = chance.choice(
        [
            *COLUMNS,
            *COLUMNS,
            "delete",
            "insert",
            "swap",
            "move id",
            "link",
            "unlink",
            "cut",
            "reorder",
            "rehash",
            "renumber",
            "wait",
            "time of seal",
            "forged drop",
        ]
    )
    if how in COLUMNS:
        cursor.execute(f"UPDATE tenancy_auditevent SET {how} = {COLUMNS[how]} WHERE id = %s", [event])
    elif how == "delete":
        cursor.execute("DELETE FROM tenancy_auditevent WHERE id = %s", [event])
    elif how == "insert":
        cursor.execute(
            "INSERT INTO tenancy_auditevent (id, tenant_id, at, actor_kind, actor_name, action, object_kind, object_name, "
            "result, request_id) SELECT %s, tenant_id, at, actor_kind, actor_name, action, object_kind, object_name, "
            "result, request_id FROM tenancy_auditevent WHERE id = %s",
            [id_at(clock.now()), event],
        )
    elif how == "swap":
        cursor.execute(
            "UPDATE tenancy_auditevent a SET after = b.after, at = b.at, before = b.before FROM tenancy_auditevent b "
            "WHERE (a.id = %s AND b.id = %s) OR (a.id = %s AND b.id = %s)",
            [event, other, other, event],
        )
    elif how == "forged drop":  # the log seems to say that what is gone is past its keep
        cursor.execute("DELETE FROM tenancy_auditevent")
        forged = [id_at(clock.now()), owner.id]
        cursor.execute(
            "INSERT INTO tenancy_auditevent (id, tenant_id, at, actor_kind, actor_name, action, object_kind, object_name, "
            "result, request_id, after) VALUES (%s, %s, now(), 'system', 'Greenroom', 'audit.drop', 'tenant', '', "
            "'successful', '', '{\"before\": \"2999-01-01\"}')",
            forged,
        )
        cursor.execute("DELETE FROM tenancy_auditpending")
        cursor.execute("INSERT INTO tenancy_auditpending (id, tenant_id, at) VALUES (%s, %s, now())", forged)
    elif how == "move id":
        cursor.execute("UPDATE tenancy_auditevent SET id = %s WHERE id = %s", [id_at(clock.now()), event])
    elif how == "link":
        cursor.execute(
            "UPDATE tenancy_auditseal SET event_ids = event_ids || %s WHERE id = %s", [[event], link]
        )
    elif how == "unlink":
        cursor.execute(
            "UPDATE tenancy_auditseal SET event_ids = event_ids[2:] WHERE id = %s",
            [link],
        )
    elif how == "cut":
        cursor.execute("DELETE FROM tenancy_auditseal WHERE id = %s", [link])
    elif how == "reorder":
        cursor.execute(
            "UPDATE tenancy_auditseal SET event_ids = event_ids[2:] || event_ids[1:1] WHERE id = %s", [link]
        )
    elif how == "rehash":
        cursor.execute("UPDATE tenancy_auditseal SET hash = sha256(hash) WHERE id = %s", [link])
    elif how == "renumber":
        cursor.execute("UPDATE tenancy_auditseal SET seq = seq + 1000 WHERE id = %s", [link])
    elif how == "wait":
        cursor.execute(
            "INSERT INTO tenancy_auditpending (id, tenant_id, at) VALUES (%s, %s, now())", [event, owner.id]
        )
    else:
        cursor.execute(
            "UPDATE tenancy_auditseal SET sealed_at = sealed_at + interval '1 second' WHERE id = %s", [link]
        )
    return how


def snapshot(owner):
    with as_owner(owner) as cursor:
        for table in TABLES:
            cursor.execute(f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}")


def restore(owner):
    with as_owner(owner) as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
            cursor.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")


@pytest.mark.chaos
def test_every_tampering_is_found(committed_db, tmp_path):
    at = clock.now()
    owner = make_customer(at=at)
    for minute in range(4):  # no two events are alike: a swap of twins would change nothing
        record(owner, 6, at=at + timedelta(minutes=minute))
        seal_all(owner, at=at)
    audit_seal.keep_heads(tmp_path, at=at)
    heads = audit_seal.kept_heads(tmp_path)[owner.id]
    with tenant(owner.id):
        events = list(AuditEvent.objects.for_tenant(owner).order_by("id").values_list("id", flat=True))
        links = list(AuditSeal.objects.for_tenant(owner).order_by("seq").values_list("id", flat=True))
    snapshot(owner)
    assert verify(owner.id, heads=heads, at=at).problems == ()
    chance = random.Random(20261122)
    missed = []
    for number in range(TAMPERINGS):
        with as_owner(owner) as cursor:
            how = tamper(cursor, chance, events, links, owner)
        if not verify(owner.id, heads=heads, at=at).problems:
            missed.append((number, how))
        restore(owner)
    assert missed == []
    assert verify(owner.id, heads=heads, at=at).problems == ()


def test_a_chain_computed_anew_or_cut_short_does_not_meet_the_ends_kept_outside(committed_db, tmp_path):
    at = clock.now()
    owner = make_customer(at=at)
    record(owner, 6, at=at)
    seal_all(owner, at=at)
    audit_seal.keep_heads(tmp_path, at=at)
    heads = audit_seal.kept_heads(tmp_path)[owner.id]
    with as_owner(owner) as cursor:
        cursor.execute("UPDATE tenancy_auditevent SET actor_name = 'Nobody'")
        cursor.execute("DELETE FROM tenancy_auditseal")
        cursor.execute(
            "INSERT INTO tenancy_auditpending (id, tenant_id, at) SELECT id, tenant_id, at FROM tenancy_auditevent"
        )
    seal_all(owner, at=at)
    assert kinds(owner) == set()
    assert kinds(owner, heads) == {"head"}
    with as_owner(owner) as cursor:
        cursor.execute("DELETE FROM tenancy_auditseal")
        cursor.execute("DELETE FROM tenancy_auditevent")
    assert kinds(owner, heads) == {"head"}


def test_the_command_says_intact_or_names_the_problem(committed_db, tmp_path, settings):
    settings.AUDIT_HEADS = tmp_path
    owner = make_customer("Kept well", at=clock.now())
    seal_all(owner, at=clock.now())
    out = io.StringIO()
    call_command("verify_audit", "--tenant", str(owner.id), stdout=out)
    assert "Kept well: intact" in out.getvalue()
    with as_owner(owner) as cursor:
        cursor.execute("UPDATE tenancy_auditevent SET actor_name = 'Nobody'")
    with pytest.raises(CommandError, match="not intact"):
        call_command("verify_audit", "--tenant", str(owner.id), stdout=out)
    assert "changed: Link 1" in out.getvalue()


# Retention ---------------------------------------------------------------------------------------------------------


def test_only_sealed_days_are_dropped_and_the_log_says_so(committed_db):
    at = clock.now()
    owner = make_customer(at=at)
    seal_all(owner, at=at)
    with connection.cursor() as cursor:
        for ahead in (700, 701, 702):
            cursor.execute(
                "SELECT foundation_make_partition('tenancy_auditevent', %s)",
                [(at + timedelta(days=ahead)).date()],
            )
    old, later = at + timedelta(days=700), at + timedelta(days=701)
    record(owner, 3, at=old)
    seal_all(owner, at=old)
    while audit_seal.seal_due(at=old):
        pass
    record(owner, 2, at=later)
    kept = verify(owner.id, heads={}, at=at).events
    when = at + timedelta(days=702 + 200)
    assert audit_retention.drop_old(keep_days=200, at=when) >= 1
    checked = verify(owner.id, heads={}, at=when)
    assert checked.problems == ()
    assert checked.events < kept
    with tenant(owner.id):
        assert (
            AuditEvent.objects.for_tenant(owner).filter(at__gte=later, action="settings.update").count() == 2
        )
        told = AuditEvent.objects.for_tenant(owner).get(action="audit.drop")
    assert told.after == {"before": str(later.date()), "keep_days": 200}
    assert audit_retention.drop_old(keep_days=200, at=when) == 0
