from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Listed here for `help`; manage.py hands over to portal.supervisor.control before Django is loaded."""

    help = "See, stop or remove what runs in GREENROOM_HOME."

    def handle(self, *args: object, **options: object) -> None:
        raise CommandError("Call it as: python manage.py services")
