"""UUIDv7 ids: time-ordered, made in Python, so a row's id is known before it is stored (RFC 9562)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils import compat

new_id = compat.uuid7


def lower_bound(moment: datetime) -> UUID:
    """The smallest UUIDv7 of `moment` (aware): ids made at or after it are not below."""
    return UUID(int=(_milliseconds(moment) << 80) | (0x7 << 76) | (0b10 << 62))


def id_at(moment: datetime) -> UUID:
    """An id as if made at `moment` (aware): for rows that tell of the past."""
    random = int.from_bytes(os.urandom(10), "big")
    return UUID(int=lower_bound(moment).int | (random & 0x0FFF_3FFF_FFFF_FFFF_FFFF))


def made_at(value: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond, UTC."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, tz=UTC)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
