"""Rotation of the keys that seal stored secrets: a new key, everything sealed again, the old key gone.

Each app names the columns where sealed secrets lie (`holds_secrets`); a secret may be the whole value or lie anywhere
in a JSON column.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Cast

from foundation import keyring, secrets
from foundation.context import tenant
from foundation.errors import Conflict
from foundation.tenant_tables import TenantModel

AT_ONCE = 200  # rows in one transaction
SETTLED = timedelta(minutes=10)  # no transaction that sealed with an old key runs on for longer


@dataclass(frozen=True)
class Place:
    """A column in which sealed secrets lie."""

    model: type[models.Model]
    column: str

    @property
    def of_tenants(self) -> bool:
        return issubclass(self.model, TenantModel)


PLACES: list[Place] = []


def holds_secrets(model: type[models.Model], column: str) -> None:
    """Called once by each app when it is ready."""
    place = Place(model, column)
    if place not in PLACES:
        PLACES.append(place)


def add_key() -> str:
    """A new key seals from now on, everywhere; the old ones still open. Returns its id.

    Raises Conflict where the keys come from the settings: there the operator puts the new key second, restarts all
    processes, puts it first and restarts them again.
    """
    if settings.GREENROOM_FIELD_KEYS:
        raise Conflict("The keys are given by GREENROOM_FIELD_KEYS: add the new one there.")
    fresh = Fernet.generate_key().decode()
    keyring.replace_keys(settings.GREENROOM_HOME, [fresh, *keyring.kept_keys(settings.GREENROOM_HOME)])
    return keyring.id_of(fresh)


def reseal(tenants: list[UUID]) -> int:
    """Seal again, under the newest key, what another key sealed: for these tenants and in shared tables.

    Safe to repeat and to interrupt; a row that changes meanwhile keeps its change and is met by the next run.
    Returns how many rows were written. No tenant is entered.
    """
    written = 0
    for place, tenant_id in _parts(tenants):
        after: Any = None
        while True:
            with _inside(tenant_id):
                rows = list(_under_other_keys(place, after))
                written += sum(_reseal_row(place, pk, value) for pk, value in rows)
            if len(rows) < AT_ONCE:
                break
            after = rows[-1][0]
    return written


def under(tenants: list[UUID]) -> Counter[str]:
    """How many rows hold a secret of each key but the newest, by key id. No tenant is entered."""
    found: Counter[str] = Counter()
    for place, tenant_id in _parts(tenants):
        with _inside(tenant_id):
            for _, value in _under_other_keys(place, None, limit=None):
                found.update(set(_key_ids(value)) - {secrets.keys().newest})
    return found


def drop_old_keys(tenants: list[UUID], *, at: datetime) -> list[str]:
    """Forget every key but the newest, once nothing needs them. Returns their ids.

    Raises Conflict while something is sealed with one or the newest is younger than SETTLED, or where the keys come
    from the settings. `at` is aware.
    """
    if settings.GREENROOM_FIELD_KEYS:
        raise Conflict("The keys are given by GREENROOM_FIELD_KEYS: remove the old ones there.")
    left = under(tenants)
    needed = sum(left[key_id] for key_id in secrets.keys().by_id)  # what no key opens is lost already
    if needed:
        raise Conflict(f"{needed} secrets are still sealed with an old key.")
    newest, *old = keyring.kept_keys(settings.GREENROOM_HOME)
    changed_at = keyring.path_of(settings.GREENROOM_HOME, keyring.FIELD_KEYS).stat().st_mtime
    if old and at.timestamp() - changed_at < SETTLED.total_seconds():
        raise Conflict("The newest key is younger than 10 minutes: something may still be using the old one.")
    keyring.replace_keys(settings.GREENROOM_HOME, [newest])
    return [keyring.id_of(key) for key in old]


def _parts(tenants: list[UUID]) -> Iterator[tuple[Place, UUID | None]]:
    """Each place with the tenants to read it in, one after the other; with None where it is shared."""
    for place in PLACES:
        for tenant_id in tenants if place.of_tenants else (None,):
            yield place, tenant_id


def _inside(tenant_id: UUID | None) -> AbstractContextManager[Any]:
    return transaction.atomic() if tenant_id is None else tenant(tenant_id)


def _under_other_keys(place: Place, after: Any, *, limit: int | None = AT_ONCE) -> Iterator[tuple[Any, Any]]:
    """(primary key, value) of rows that name a key besides the newest, in order of the primary key."""
    newest = secrets.keys().newest
    rows = place.model._default_manager.annotate(as_text=Cast(place.column, models.TextField())).filter(
        as_text__regex=rf"{re.escape(secrets.MARK)}(?!{newest}\.)[0-9a-f]{{8}}\."
    )
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return iter(rows.order_by("pk").values_list("pk", place.column)[:limit])


def _reseal_row(place: Place, pk: Any, value: Any) -> int:
    fresh = _replaced(value)
    if fresh == value:
        return 0
    rows = place.model._default_manager.filter(pk=pk, **{place.column: value})
    return rows.update(**{place.column: fresh})


def _replaced(value: Any) -> Any:
    """`value` with every sealed secret in it under the newest key; what no key opens stays as it is."""
    if isinstance(value, dict):
        return {name: _replaced(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each) for each in value]
    if not isinstance(value, str) or secrets.key_of(value) in ("", secrets.keys().newest):
        return value
    return (
        secrets.resealed(value.encode()).decode() if secrets.key_of(value) in secrets.keys().by_id else value
    )


def _key_ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _key_ids(each)
    elif isinstance(value, list):
        for each in value:
            yield from _key_ids(each)
    elif isinstance(value, str) and secrets.key_of(value):
        yield secrets.key_of(value)
