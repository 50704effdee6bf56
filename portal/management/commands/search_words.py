"""`manage.py search_words`: writes what the search knows anew, for what was stored before it knew it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from fleet import search
from fleet.models import Asset, Device, Peripheral, Room
from foundation.context import tenant
from foundation.tenant_tables import TenantModel
from tenancy import tenants

AT_ONCE = 500


class Command(BaseCommand):
    help = "Writes the words of rooms, devices, equipment and assets anew. Safe to interrupt and to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        written = 0
        for tenant_id in tenants.all_ids():
            for model, write in WRITERS.items():
                written += sum(_pieces(tenant_id, model, write))
        self.stdout.write(f"Words that were missing or wrong: {written}.")


def _pieces(tenant_id: UUID, model: type[TenantModel], write: Callable[[Any], int]) -> Iterator[int]:
    """Each piece in a transaction of its own."""
    last = UUID(int=0)
    while True:
        with tenant(tenant_id):
            rows = model.objects.for_tenant(tenant_id).filter(id__gt=last).order_by("id")[:AT_ONCE]
            some = list(rows.only("id", "tenant") if model in BY_ID else rows)
            if not some:
                return
            yield write(some)
        last = some[-1].id


BY_ID = (Room, Device)  # read again by what writes their words
WRITERS: dict[type[TenantModel], Callable[[Any], int]] = {
    Room: lambda rows: search.index_rooms(row.id for row in rows),
    Device: lambda rows: search.index_devices(row.id for row in rows),
    Peripheral: search.index_peripherals,
    Asset: search.index_assets,
}
