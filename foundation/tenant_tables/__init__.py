"""The mechanism of tenant tables: fields, model, manager, migration operations (docs/tenancy.md)."""

from foundation.tenant_tables.fields import TenantField, TenantForeignKey
from foundation.tenant_tables.models import TenantManager, TenantModel, TenantQuerySet

__all__ = ["TenantField", "TenantForeignKey", "TenantManager", "TenantModel", "TenantQuerySet"]
