from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.supervisor import programs


class Command(BaseCommand):
    help = "Serve heartbeats and long polls on the port after GREENROOM_PORT."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        programs.become(programs.ingest(bind=settings.GREENROOM_BIND, port=settings.GREENROOM_PORT + 1))
