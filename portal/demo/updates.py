"""Updates of the demo: releases of the room app, ready to be planned. Nothing is rolled out by itself."""

from __future__ import annotations

import io
from datetime import datetime

from tenancy.models import Tenant
from updates import releases, rings
from updates.models import Release

APP = "Room app"
VERSIONS = (
    ("5.4.218.0", "Echo in long meetings is gone.", ""),
    (
        "5.4.231.0",
        "Joins a second faster and shows who speaks on the console.",
        "The console's light stays on for a minute after a meeting.",
    ),
)
PACKAGE = b"070702" + b"0" * 104  # an empty archive: nothing in the demo installs it


def write(customer: Tenant, *, at: datetime) -> None:
    """What is missing of it. The customer is entered, with its rooms."""
    rings.all_rings(at=at)
    there = set(Release.objects.for_tenant(customer).filter(name=APP).values_list("version", flat=True))
    for version, notes, issues in VERSIONS:
        if version not in there:
            made = releases.add_release(
                name=APP, kind="room_app", version=version, notes=notes, known_issues=issues, at=at
            )
            file = io.BytesIO(PACKAGE + version.encode())
            releases.keep_file(made.id, file, f"room-app-{version}.swu", at=at)
