"""`manage.py verify_audit`: proves that nothing in the audit log was changed, removed, inserted or reordered."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from foundation import clock
from tenancy import audit_seal
from tenancy.audit_verify import verify
from tenancy.models import Tenant


class Command(BaseCommand):
    help = (
        "Check every organisation's audit log against its chain of seals and against the ends of the chains kept "
        "outside the database. Names each problem; ends with an error where there is one. It only reads."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="only the organisation of this id")
        parser.add_argument(
            "--heads", type=Path, help="folder of the ends kept outside (GREENROOM_AUDIT_HEADS)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = options["heads"] or settings.AUDIT_HEADS
        kept = audit_seal.kept_heads(folder)
        tenants = Tenant.objects.order_by("name", "id")
        if options["tenant"]:
            tenants = tenants.filter(id=options["tenant"])
        broken = 0
        for each in tenants:
            checked = verify(each.id, heads=kept.pop(each.id, {}), at=clock.now())
            verdict = f"{len(checked.problems)} problems" if checked.problems else "intact"
            self.stdout.write(
                f"{each.name}: {verdict} ({checked.events} events in {checked.links} links, {checked.waiting} waiting)"
            )
            for problem in checked.problems:
                self.stdout.write(f"  {problem.kind}: {problem.detail}")
            broken += len(checked.problems)
        if not options["tenant"]:
            for gone in kept:
                self.stdout.write(f"Organisation {gone}, whose chain was kept outside, is missing")
                broken += 1
        if broken:
            raise CommandError(f"The audit log is not intact: {broken} problems.")
