"""Lists page by key: the next page starts after the last row shown, found by index, however deep it lies.

No counts, no offsets. A cursor holds the key of one row; it is checked when it comes back, and since every query is
of the tenants entered, a forged one shows nothing a caller may not see.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import F, Func, QuerySet, Value

from foundation.errors import NotValid

ModelT = TypeVar("ModelT", bound=models.Model)
MAX_SIZE = 200
MAX_CURSOR = 2_000
MAX_TEXT = 500
MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class KeysetPage(Generic[ModelT]):
    """Rows in the order asked for. `next` and `previous` are cursors for `after` and `before`; None at the ends."""

    rows: list[ModelT]
    next: str | None
    previous: str | None

    def __iter__(self) -> Iterator[ModelT]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def keyset_page(
    queryset: QuerySet[ModelT],
    *,
    order_by: Sequence[str] = ("name", "id"),
    after: str | None = None,
    before: str | None = None,
    size: int = 50,
    show: QuerySet[ModelT] | None = None,
) -> KeysetPage[ModelT]:
    """One page of `queryset` in `order_by`: fields of the model that are never null, the last one unique, all
    rising or all falling ("-opened_at", "-id"), as an index has them.

    An empty cursor means none. Raises NotValid (field `after` or `before`) for a cursor that is not one of this order.
    One query; a second one where `before` reaches the start, so that the first page is always full. `show`: how rows
    are read, joins and all, without the filters of `queryset`. Then the page is first found by indexes alone and only
    its own rows are read, which a filter that skips many rows needs.
    """
    keys, falling = _keys(queryset.model, order_by)
    if after and before:
        raise NotValid("Give either after or before.", field="before")
    forward = not before
    ordered = queryset.order_by(*(order_by if forward else _reversed(order_by)))
    cursor = _read(after or before or "", keys, order_by, field="before" if before else "after")
    if cursor is not None:
        ordered = ordered.filter(_beyond(keys, cursor, below=falling == forward))
    rows = list(_read_rows(ordered[: size + 1], show))
    more = len(rows) > size
    rows = rows[:size]
    if forward:
        return KeysetPage(
            rows,
            next=_cursor(rows[-1], keys, order_by) if more else None,
            previous=_cursor(rows[0], keys, order_by) if cursor is not None and rows else None,
        )
    if not more:
        return keyset_page(queryset, order_by=order_by, size=size, show=show)
    rows.reverse()
    return KeysetPage(
        rows,
        next=_cursor(rows[-1], keys, order_by),
        previous=_cursor(rows[0], keys, order_by),
    )


def merged_page(
    querysets: Sequence[QuerySet[Any]],
    *,
    order_by: Sequence[str],
    after: str | None = None,
    before: str | None = None,
    size: int = 50,
) -> KeysetPage[Any]:
    """One page over several tables as if they were one. Their order must be Python's too: text under collation C, ids.

    Cursors, errors and ends as with keyset_page. One query a table, one more each where `before` reaches the start.
    """
    keys, falling = _keys(querysets[0].model, order_by)
    if after and before:
        raise NotValid("Give either after or before.", field="before")
    forward = not before
    cursor = _read(after or before or "", keys, order_by, field="before" if before else "after")
    found: list[Any] = []
    for queryset in querysets:
        ordered = queryset.order_by(*(order_by if forward else _reversed(order_by)))
        if cursor is not None:
            ordered = ordered.filter(_beyond(keys, cursor, below=falling == forward))
        found += ordered[: size + 1]
    found.sort(key=lambda row: [getattr(row, key.attname) for key in keys], reverse=falling == forward)
    more = len(found) > size
    if not forward and not more:
        return merged_page(querysets, order_by=order_by, size=size)
    rows = found[:size] if forward else found[:size][::-1]
    ends_here = forward and not more
    return KeysetPage(
        rows,
        next=None if ends_here or not rows else _cursor(rows[-1], keys, order_by),
        previous=None if (forward and cursor is None) or not rows else _cursor(rows[0], keys, order_by),
    )


def _read_rows(found: QuerySet[ModelT], show: QuerySet[ModelT] | None) -> QuerySet[ModelT]:
    """Two queries and not one with the other inside: what is expected to be one row may run anew for each row shown."""
    if show is None:
        return found
    ids = list(found.values_list("pk", flat=True))
    return show.filter(pk__in=ids).order_by(*found.query.order_by) if ids else show.none()


class _Row(Func):
    """(a, b, c): compared as one value, which an index on the same columns answers."""

    function = ""
    output_field = models.BooleanField()  # a row has no field of its own


class _Compared(Func):
    output_field = models.BooleanField()
    template = "%(expressions)s"
    conditional = True


def _beyond(keys: Sequence[models.Field[Any, Any]], values: Sequence[Any], *, below: bool) -> Func:
    """The rows on the far side of a key, in the order read."""
    columns = _Row(*(F(key.name) for key in keys))
    bounds = _Row(*(Value(value, output_field=key) for key, value in zip(keys, values, strict=True)))
    return _Compared(columns, bounds, arg_joiner=" < " if below else " > ")


def _keys(model: type[models.Model], order_by: Sequence[str]) -> tuple[list[models.Field[Any, Any]], bool]:
    falling = {name.startswith("-") for name in order_by}
    keys = [model._meta.get_field(name.removeprefix("-")) for name in order_by]
    if (
        len(falling) != 1
        or any(getattr(key, "null", True) for key in keys)
        or not getattr(keys[-1], "unique", False)
    ):
        raise ValueError(f"{model.__name__} cannot be paged by {order_by}.")
    return keys, falling.pop()  # type: ignore[return-value]  # relations have no `null`, so they were refused


def _reversed(order_by: Sequence[str]) -> list[str]:
    return [name[1:] if name.startswith("-") else f"-{name}" for name in order_by]


def _cursor(row: models.Model, keys: Sequence[models.Field[Any, Any]], order_by: Sequence[str]) -> str:
    values = [getattr(row, key.attname) for key in keys]
    plain = [value if isinstance(value, int | str) else _text(value) for value in values]
    packed = json.dumps([",".join(order_by), *plain], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).rstrip(b"=").decode()


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _read(
    cursor: str, keys: Sequence[models.Field[Any, Any]], order_by: Sequence[str], *, field: str
) -> list[Any] | None:
    if not cursor:
        return None
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        order, *values = json.loads(packed)
        if order != ",".join(order_by) or len(values) != len(keys):
            raise ValueError
        return [_checked(key, value) for key, value in zip(keys, values, strict=True)]
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise NotValid("This is no cursor of this list. Start at its first page.", field=field) from None


def _checked(key: models.Field[Any, Any], value: Any) -> Any:
    """The value as the column wants it. Raises ValueError or TypeError."""
    if isinstance(key, models.IntegerField):
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_INTEGER:
            raise ValueError
        return value
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        raise ValueError
    if isinstance(key, models.UUIDField):
        return UUID(value)
    if isinstance(key, models.DateTimeField):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment
    value.encode()  # no lone surrogates
    return value
