"""What was stored before the search knew it is found once its words are written."""

from __future__ import annotations

import io

from django.core.management import call_command

from fleet import assets, search
from fleet.models import Asset, Device, Peripheral, Room, RoomWord, ThingWord
from foundation.context import tenant
from tests.factories.fleet import make_device, make_room
from tests.factories.tenancy import make_customer


def test_words_that_are_missing_are_written_for_every_customer_and_once(db, at):
    owners = [make_customer(at=at) for _ in range(2)]
    for owner in owners:
        with tenant(owner.id):
            room = make_room("Aurora", at=at)
            device = make_device(room, serial_number=f"SN-{owner.number}", at=at)
            make_device(None, status="onboarding", serial_number=f"NEW-{owner.number}", at=at)
            Peripheral.objects.for_tenant(owner).create(
                device=device, kind="camera", make="Halyard", model="E70", identity="camera",
                first_seen_at=at, last_seen_at=at,
            )  # fmt: skip
            assets.add_asset(room_id=room.id, kind="dock", name="Beamer", at=at)
            RoomWord.objects.for_tenant(owner).delete()
            ThingWord.objects.for_tenant(owner).delete()
    told = io.StringIO()
    call_command("search_words", stdout=told)
    assert "wrong: 0." not in told.getvalue()
    for owner in owners:
        with tenant(owner.id):
            assert search.matching(Room.objects.for_tenant(owner), "auro").count() == 1
            for kind, model, words in (
                ("device", Device, f"sn {owner.number}"),
                ("device", Device, f"new{owner.number}"),
                ("peripheral", Peripheral, "halyard e70"),
                ("asset", Asset, "beamer"),
            ):
                rows = search.matching_things(model.objects.for_tenant(owner), kind, words)
                assert rows.count() == 1, words
    again = io.StringIO()
    call_command("search_words", stdout=again)
    assert again.getvalue() == "Words that were missing or wrong: 0.\n"
