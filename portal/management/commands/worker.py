from typing import Any

from django.core.management.base import BaseCommand

from portal.supervisor import programs


class Command(BaseCommand):
    help = "Work on everything periodic and later."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        programs.become(programs.worker())
