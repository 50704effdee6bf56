from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portal.supervisor import programs
from workers import queues


class Command(BaseCommand):
    help = "Work on everything periodic and later, or on some queues of it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queues", nargs="+", choices=queues.ALL, default=queues.ALL, help="default: all"
        )
        parser.add_argument(
            "--concurrency", type=int, default=4, help="processes; each drain of heartbeats holds one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        programs.become(programs.worker(serving=options["queues"], concurrency=options["concurrency"]))
