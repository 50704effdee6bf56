"""Schema changes go through the owner's connection; everything else through the app role's."""

from typing import Any


class MigrateAsOwner:
    """A plain `migrate` (the app role's connection) changes nothing, so it cannot half-work."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "owner"

    def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> bool:
        return True
