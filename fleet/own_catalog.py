"""A customer's own rows of the catalogue. All functions work in the one tenant entered and leave an audit event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import IntegrityError, transaction

from fleet import catalog, scope, validation
from fleet.errors import AlreadyThere, ChangedMeanwhile, Missing
from fleet.models import OwnCatalogEntry
from foundation.context import current_tenant
from foundation.errors import NotValid, violated_constraint
from tenancy import audit

MOST_ROWS = 1_000  # of a customer: look-ups read them without an index
MOST_NAMES = 20
_REQUIRED = ("make", "model", "kind", "platform")


def entry(entry_id: UUID) -> OwnCatalogEntry:
    """Raises Missing."""
    found: OwnCatalogEntry | None = _rows().filter(id=entry_id).first()
    if found is None:
        raise Missing("row of the catalogue")
    return found


def add(values: Mapping[str, Any], *, at: datetime) -> OwnCatalogEntry:
    """`values`: make, model, kind, platform, and what else is known (`FIELDS`).

    Raises NotValid, AlreadyThere where there is a row for this make, model and platform.
    """
    scope.refuse_part("Adding to the catalogue")
    for name in _REQUIRED:
        if not values.get(name):
            raise NotValid("This must not be empty.", field=name)
    if _rows().count() >= MOST_ROWS:
        raise NotValid(f"At most {MOST_ROWS} rows of your own are kept.")
    made = OwnCatalogEntry(tenant_id=current_tenant(), created_at=at)
    _take(made, values)
    _save(made, new=True)
    audit.record("catalogue.create", made, tenant_id=made.tenant_id, at=at, after=facts(made))
    return made


def edit(
    entry_id: UUID, values: Mapping[str, Any], *, if_version: int | None = None, at: datetime
) -> OwnCatalogEntry:
    """Change what is given. Raises Missing, NotValid, AlreadyThere, ChangedMeanwhile."""
    scope.refuse_part("Changing the catalogue")
    changed = _held(entry_id)
    if if_version is not None and changed.version != if_version:
        raise ChangedMeanwhile("Somebody changed this row meanwhile. Look at it again.")
    before = facts(changed)
    _take(changed, values)
    after = facts(changed)
    different = [name for name in after if before[name] != after[name]]
    if not different:
        return changed
    changed.version += 1
    _save(changed)
    audit.record(
        "catalogue.update",
        changed,
        tenant_id=changed.tenant_id,
        at=at,
        before={name: before[name] for name in different},
        after={name: after[name] for name in different},
    )
    return changed


def remove(entry_id: UUID, *, at: datetime) -> None:
    """What it said no longer holds; a shared row for the same thing does again. Raises Missing."""
    scope.refuse_part("Removing from the catalogue")
    gone = _held(entry_id)
    _rows().filter(id=gone.id).delete()
    audit.record("catalogue.delete", gone, tenant_id=gone.tenant_id, at=at, before=facts(gone))


def facts(row: OwnCatalogEntry) -> dict[str, Any]:
    """As the audit log keeps them: days as text."""
    held = {name: getattr(row, name) for name in FIELDS}
    return {name: str(value) if isinstance(value, date) else value for name, value in held.items()}


def _take(row: OwnCatalogEntry, values: Mapping[str, Any]) -> None:
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise NotValid("The catalogue has no such column.", field=min(unknown))
    for name, value in values.items():
        setattr(row, name, FIELDS[name](value))
    if not catalog.key_of(row.make, row.model):
        raise NotValid("This must hold a letter or a digit.", field="model")
    catalog.fill(row)


def _save(changed: OwnCatalogEntry, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            changed.save(force_insert=new)
    except IntegrityError as error:
        if violated_constraint(error) != "fleet_own_catalog_one_per_model":
            raise
        raise AlreadyThere(
            "You have a row for this make, model and platform already.", field="model"
        ) from error


def _held(entry_id: UUID) -> OwnCatalogEntry:
    found: OwnCatalogEntry | None = _rows().filter(id=entry_id).select_for_update(no_key=True).first()
    if found is None:
        raise Missing("row of the catalogue")
    return found


def _rows() -> Any:
    return OwnCatalogEntry.objects.for_tenant(current_tenant())


def _line(field: str, at_most: int, *, required: bool = False) -> Callable[[str], str]:
    return lambda value: validation.one_line(value or "", field, at_most=at_most, required=required)


def _one_of(field: str, allowed: list[str]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in allowed:
            raise NotValid(f"This is none of {', '.join(allowed)}.", field=field)
        return value

    return check


def _names(value: list[str]) -> list[str]:
    return _list(value, "also_known_as", lambda each: validation.one_line(each, "also_known_as", at_most=120))


def _usb_ids(value: list[str]) -> list[str]:
    def check(each: str) -> str:
        if not catalog.USB_ID.fullmatch(each.strip().lower()):
            raise NotValid("A USB id is vendor and product, such as 046d:089b.", field="usb_ids")
        return each.strip().lower()

    return _list(value, "usb_ids", check)


def _sources(value: list[str]) -> list[str]:
    def check(each: str) -> str:
        try:
            URLValidator(["http", "https"])(each.strip())
        except ValidationError:
            raise NotValid("This is no address of a page.", field="sources") from None
        return validation.one_line(each, "sources", at_most=300)

    return _list(value, "sources", check)


def _list(value: list[str], field: str, check: Callable[[str], str]) -> list[str]:
    kept = list(dict.fromkeys(check(each) for each in value if each.strip()))
    if len(kept) > MOST_NAMES:
        raise NotValid(f"At most {MOST_NAMES} are kept.", field=field)
    return kept


def _day(value: date | None) -> date | None:
    return value


FIELDS: dict[str, Callable[[Any], Any]] = {
    "make": _line("make", 80, required=True),
    "model": _line("model", 120, required=True),
    "also_known_as": _names,
    "kind": _one_of("kind", OwnCatalogEntry.Kind.values),
    "platform": _one_of("platform", OwnCatalogEntry.Platform.values),
    "certification": _one_of("certification", OwnCatalogEntry.Certification.values),
    "certified_until": _day,
    "support_ends": _day,
    "good_firmware": _line("good_firmware", 120),
    "usb_ids": _usb_ids,
    "note": _line("note", 300),
    "sources": _sources,
}
