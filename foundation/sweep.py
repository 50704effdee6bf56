"""Which tenants have something due: read over all customers by the sweep role, before anything is claimed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connections
from psycopg2 import sql

SWEEP = "sweep"
TENANTS_AT_ONCE = 200


def tenants_due(
    table: str, *, at: datetime, column: str = "due_at", where: str = "", limit: int = TENANTS_AT_ONCE
) -> list[UUID]:
    """Tenants with a row of `table` whose `column` is at or before `at`, most overdue first.

    `where` is a further condition on columns the sweep role may read, written by us, never by a caller.
    """
    statement = sql.SQL(
        "SELECT tenant_id FROM {table} WHERE {column} <= %s {more} GROUP BY tenant_id ORDER BY min({column}) LIMIT %s"
    ).format(
        table=sql.Identifier(table),
        column=sql.Identifier(column),
        more=sql.SQL(f"AND {where}") if where else sql.SQL(""),
    )
    with connections[SWEEP].cursor() as cursor:
        cursor.execute(statement, [at, limit])
        return [tenant_id for (tenant_id,) in cursor.fetchall()]
