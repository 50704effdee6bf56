"""Filters of lists under a name: a person's own, or shared with the organisation.

A view holds what was asked for. Whoever opens it sees what their own role shows, so sharing one gives nothing away.
All functions work in the one tenant entered. What filters a list has, its caller knows and has checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from foundation.context import current_tenant
from foundation.errors import NotAllowed, NotValid, violated_constraint
from foundation.tenant_tables import TenantQuerySet
from tenancy import audit
from tenancy.errors import AlreadyThere, Missing
from tenancy.models import Person, SavedView

MOST = 100  # of one person, or of all programs
LONGEST_NAME = 60


def visible_to(person: Person | None) -> TenantQuerySet[SavedView]:
    """Shared ones and the person's own; for a program without a person those of programs."""
    own = Q(owner=person) if person is not None else Q(owner=None)
    return SavedView.objects.for_tenant(current_tenant()).filter(own | Q(shared=True))


def view(view_id: UUID, *, person: Person | None) -> SavedView:
    """Raises Missing, also for what somebody else keeps to himself."""
    found: SavedView | None = visible_to(person).filter(id=view_id).first()
    if found is None:
        raise Missing("view")
    return found


def may_change(row: SavedView, person: Person | None, *, manages: bool) -> bool:
    """Its owner; a shared one also whoever `manages` the organisation's settings."""
    return row.owner_id == (person.id if person is not None else None) or (row.shared and manages)


def save(
    *,
    listing: str,
    name: str,
    query: Mapping[str, list[str]],
    shared: bool = False,
    owner: Person | None,
    at: datetime,
) -> SavedView:
    """Raises NotValid, AlreadyThere where the owner has a view of this name."""
    tenant_id = current_tenant()
    if SavedView.objects.for_tenant(tenant_id).filter(owner=owner).count() >= MOST:
        raise NotValid(f"There are {MOST} views already. Delete one first.")
    made = SavedView(
        tenant_id=tenant_id,
        listing=listing,
        name=_name(name),
        query=dict(query),
        shared=shared,
        owner=owner,
        created_at=at,
    )
    _write(made, new=True)
    audit.record("view.create", made, tenant_id=tenant_id, at=at, after=_facts(made))
    return made


def change(
    view_id: UUID,
    *,
    person: Person | None,
    manages: bool,
    name: str | None = None,
    query: Mapping[str, list[str]] | None = None,
    shared: bool | None = None,
    at: datetime,
) -> SavedView:
    """Change what is given. Raises Missing, NotAllowed, NotValid, AlreadyThere."""
    changed = _held(view_id, person, manages=manages)
    before = _facts(changed)
    changed.name = changed.name if name is None else _name(name)
    changed.query = changed.query if query is None else dict(query)
    changed.shared = changed.shared if shared is None else shared
    after = _facts(changed)
    if before != after:
        changed.version += 1
        _write(changed)
        audit.record("view.update", changed, tenant_id=changed.tenant_id, at=at, before=before, after=after)
    return changed


def delete(view_id: UUID, *, person: Person | None, manages: bool, at: datetime) -> None:
    """Raises Missing, NotAllowed."""
    gone = _held(view_id, person, manages=manages)
    SavedView.objects.for_tenant(gone.tenant_id).filter(id=gone.id).delete()
    audit.record("view.delete", gone, tenant_id=gone.tenant_id, at=at, before=_facts(gone))


def _held(view_id: UUID, person: Person | None, *, manages: bool) -> SavedView:
    rows = visible_to(person).filter(id=view_id).select_for_update(no_key=True)
    held: SavedView | None = rows.first()
    if held is None:
        raise Missing("view")
    if not may_change(held, person, manages=manages):
        raise NotAllowed("This view is somebody else's. Save one of your own.")
    return held


def _write(row: SavedView, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=new)
    except IntegrityError as error:
        if violated_constraint(error) != "tenancy_view_one_per_name":
            raise
        raise AlreadyThere(f"There is already a view {row.name}.", field="name") from error


def _name(value: str) -> str:
    name = " ".join(value.split())
    if not name or not name.isprintable():
        raise NotValid("Give it a name that can be shown.", field="name")
    if len(name) > LONGEST_NAME:
        raise NotValid(f"This is longer than {LONGEST_NAME} characters.", field="name")
    return name


def _facts(row: SavedView) -> dict[str, Any]:
    return {"name": row.name, "list": row.listing, "query": dict(row.query), "shared": row.shared}
