"""`app`, which granian serves in a process of its own: `granian --interface rsgi portal.api.heartbeats:app`."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from portal.api.heartbeat_ingest import Ingest  # noqa: E402 - models exist only after setup

app = Ingest()
