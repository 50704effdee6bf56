#!/usr/bin/env python3
"""Greenroom's commands: `python manage.py help` lists them.

Every command finds the running services of GREENROOM_HOME or starts them for itself.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said before anything newer is imported
    sys.exit("Greenroom needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2])  # noqa: UP031

NEED_NO_SERVICES = ("help", "version", "services", "collectstatic", "settings_doc")


def main():
    from foundation import embedded

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["run"]:  # the supervisor outlives bad code and bad settings: it loads neither
            from portal.supervisor.run import main as run

            return run(arguments[1:])
        if arguments[:1] == ["services"]:
            from portal.supervisor.control import main as control

            return control(arguments[1:])
        if needs_services(arguments):
            embedded.provide(os.environ, embedded.home_path(os.environ))
    except embedded.ServicesUnavailable as error:
        return str(error)
    except KeyboardInterrupt:
        return 130

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
    return 0


def needs_services(arguments):
    """Whether the command may ask the database: all do but a few, and none that only explains itself."""
    if not arguments or arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return False
    return arguments[0] not in NEED_NO_SERVICES


if __name__ == "__main__":
    sys.exit(main())
