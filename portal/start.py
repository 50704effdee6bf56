"""What every serving process checks before it serves."""

from __future__ import annotations

import sys

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection


def refuse_unsafe_start() -> None:
    """End the process where the database role is privileged. A database that is away is no reason: it comes back."""
    try:
        connection.ensure_connection()
    except ImproperlyConfigured as error:
        sys.exit(f"Greenroom cannot start: {error}")
    except OperationalError:
        return
    finally:
        connection.close()
