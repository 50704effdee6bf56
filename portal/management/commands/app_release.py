"""Adds a published version of the meeting app, and judges anew which devices are two lines behind."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from fleet.models import Device
from foundation import clock
from foundation.context import tenant
from foundation.errors import NotValid
from incidents import detection, releases
from tenancy import tenants

AT_ONCE = 500


class Command(BaseCommand):
    help = "Adds a published version of the meeting app, with the page that says so."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="such as 5.1.23.0")
        parser.add_argument("--published", required=True, type=date.fromisoformat, help="such as 2026-10-01")
        parser.add_argument("--source", required=True, help="https://…")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row = releases.add_release(
                options["version"], released_at=options["published"], source=options["source"]
            )
        except NotValid as error:
            raise CommandError(error.message) from None
        late = sum(_judge(tenant_id) for tenant_id in tenants.all_ids())
        self.stdout.write(
            f"{row.version}, published {row.released_at}, is known. Devices newly late: {late}."
        )


def _judge(tenant_id: UUID) -> int:
    """Devices that tell their app, in pieces with a transaction each. How many tickets were opened."""
    last, opened = UUID(int=0), 0
    while True:
        with tenant(tenant_id):
            rows = Device.objects.for_tenant(tenant_id).filter(
                status=Device.Status.ENROLLED, id__gt=last, versions__has_key="app"
            )
            some = list(rows.order_by("id").values_list("id", flat=True)[:AT_ONCE])
            if not some:
                return opened
            done = detection.evaluate_apps(tenant_id, some, at=clock.now())
        opened, last = opened + done.opened + done.reopened, some[-1]
