"""Django's PostgreSQL backend with the one change that keys of (tenant_id, id) need."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base, features

TENANT_COLUMN = "tenant"


class DatabaseFeatures(features.DatabaseFeatures):
    def allows_group_by_selected_pks_on_model(self, model: Any) -> bool:
        """PostgreSQL infers the other columns from a whole key only, and `id` is half of a tenant table's.

        Tests for the field: historical models of migrations are no subclasses of ours.
        """
        if any(field.name == TENANT_COLUMN for field in model._meta.local_fields):
            return False
        return bool(super().allows_group_by_selected_pks_on_model(model))


class DatabaseWrapper(base.DatabaseWrapper):
    features_class = DatabaseFeatures
