from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.supervisor import programs


class Command(BaseCommand):
    help = "Ring for everything periodic; any number may run."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        (settings.GREENROOM_HOME / "scheduler").mkdir(mode=0o700, parents=True, exist_ok=True)
        programs.become(programs.scheduler(home=settings.GREENROOM_HOME))
