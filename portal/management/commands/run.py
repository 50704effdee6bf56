from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Listed here for `help`; manage.py hands over to portal.supervisor.run before Django is loaded."""

    help = "Run a whole installation on this machine: services, web, ingest, worker, scheduler, demo."

    def handle(self, *args: object, **options: object) -> None:
        raise CommandError("Call it as: python manage.py run")
