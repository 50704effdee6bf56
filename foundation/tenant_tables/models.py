"""TenantModel and its manager: the wall in the ORM. The wall in the database is TenantTable."""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

from django.db import models

from foundation.context import current_tenants
from foundation.errors import NoTenant
from foundation.ids import new_id
from foundation.narrowing import narrow
from foundation.tenant_tables.fields import TenantField

ModelT = TypeVar("ModelT", bound=models.Model, covariant=True)
TenantRef = Any  # a UUID, its text, or anything with an `id` that is one


def tenant_id_of(reference: TenantRef) -> UUID:
    value = getattr(reference, "id", reference)
    return value if isinstance(value, UUID) else UUID(str(value))


class TenantQuerySet(models.QuerySet[ModelT]):
    """Rows of the tenants entered; a subclass's methods each answer a question."""

    @classmethod
    def as_manager(cls) -> Any:
        """A tenant manager with the questions of this queryset."""
        return TenantManager.from_queryset(cls)()

    def for_tenant(self, *tenants: TenantRef) -> Self:
        """Narrow to `tenants`, each of which must be entered. With one, create() sets it.

        Raises NoTenant for none, or for one outside the context.
        """
        ids = tuple(tenant_id_of(reference) for reference in tenants)
        outside = set(ids) - set(current_tenants())
        if not ids or outside:
            raise NoTenant(f"Not entered: {sorted(map(str, outside)) or 'no tenant named'}")
        narrowed = self.filter(tenant_id=ids[0]) if len(ids) == 1 else self.filter(tenant_id__in=ids)
        narrowed._hints = {**narrowed._hints, "tenants": ids}  # type: ignore[attr-defined]
        return narrowed

    def create(self, **values: Any) -> ModelT:
        return super().create(**self._with_tenant(values))

    def get_or_create(self, defaults: Any = None, **lookup: Any) -> tuple[ModelT, bool]:
        return super().get_or_create(defaults, **self._with_tenant(lookup))

    def update_or_create(
        self, defaults: Any = None, create_defaults: Any = None, **lookup: Any
    ) -> tuple[ModelT, bool]:
        return super().update_or_create(defaults, create_defaults, **self._with_tenant(lookup))

    def _with_tenant(self, values: dict[str, Any]) -> dict[str, Any]:
        named = self._hints.get("tenants", ())  # type: ignore[attr-defined]
        if len(named) == 1 and not {"tenant", "tenant_id"} & values.keys():
            return {**values, "tenant_id": named[0]}
        return values


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Every query names the tenants entered, and fails where there are none. Also the base manager."""

    def get_queryset(self) -> Any:
        tenants = current_tenants()
        rows = super().get_queryset()
        own = rows.filter(tenant_id=tenants[0]) if len(tenants) == 1 else rows.filter(tenant_id__in=tenants)
        return narrow(own)


class TenantModel(models.Model):
    """A row that belongs to one customer. In the database its key is (tenant_id, id)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = TenantField()

    objects: ClassVar[TenantQuerySet[Self]] = TenantManager()  # typed as what it answers with

    class Meta:
        abstract = True
        base_manager_name = "objects"
