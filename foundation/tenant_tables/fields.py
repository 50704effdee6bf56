"""Fields of tenant tables: the tenant itself, and keys that cannot cross from one tenant to another."""

from __future__ import annotations

from typing import Any, cast

from django.db import models
from django.db.models.expressions import Col
from django.db.models.lookups import Exact


class TenantField(models.ForeignKey[Any, Any]):
    """The tenant a row belongs to. TenantTable writes its key; every index names it first already."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("to", "tenancy.Tenant")
        kwargs.setdefault("on_delete", models.PROTECT)
        kwargs["db_index"] = False
        kwargs["db_constraint"] = False
        kwargs["related_name"] = "+"
        kwargs["editable"] = False
        super().__init__(**kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        for implied in ("db_index", "db_constraint", "related_name", "editable"):
            kwargs.pop(implied, None)
        return name, path, args, kwargs

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        """Plain, yet present: it switches off INSERT … SELECT UNNEST, which a distributed table cannot plan."""
        return "%s"


class TenantForeignKey(models.ForeignKey[Any, Any]):
    """A key between tenant tables: every join and every access from a row compares the tenants too.

    The database key (tenant_id, <field>_id) is made by TenantTable or TenantKey, immediate;
    ON DELETE CASCADE only where `on_delete` is CASCADE, never SET NULL.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs["db_index"] = False
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_index", None)
        kwargs.pop("db_constraint", None)
        return name, path, args, kwargs

    def get_extra_restriction(self, alias: str | None, related_alias: str | None) -> Any:
        """`far.tenant_id = near.tenant_id` in each join. Both aliases are tables of the query."""
        if alias is None or related_alias is None:
            return None
        far = self.remote_field.model._meta.get_field("tenant")
        near = self.model._meta.get_field("tenant")
        return Exact(Col(alias, cast(Any, far)), Col(related_alias, cast(Any, near)))

    def get_extra_descriptor_filter(self, instance: Any) -> Any:
        return {"tenant_id": instance.tenant_id}
