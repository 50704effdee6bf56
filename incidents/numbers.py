"""Ticket numbers people can read over the phone: INC- and six characters without 0 O 1 I."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

PREFIX = "INC-"
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
LENGTH = 6


def random_numbers() -> Iterator[str]:
    """Without end. Unique only by the table's constraint: 32^6 are possible, so a conflict is rare."""
    while True:
        yield PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
