"""Row-level security holds only for a role without privileges: any other is refused at its first connection."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

SERVING = "default"
_FINDINGS = """
    SELECT r.rolsuper, r.rolbypassrls,
        EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relowner = r.oid AND n.nspname = 'public'),
        EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
    FROM pg_roles r WHERE r.rolname = current_user
"""
_PROBLEMS = ("is a superuser", "bypasses row-level security", "owns tables", "is a member of another role")
_checked: set[str] = set()


def refuse_privileged_role(sender: Any, connection: Any, **kwargs: Any) -> None:
    """Receiver of `connection_created`. Raises ImproperlyConfigured with what is wrong with the role."""
    if connection.alias != SERVING or connection.settings_dict["USER"] in _checked:
        return
    with connection.cursor() as cursor:
        cursor.execute(_FINDINGS)
        problems = [text for found, text in zip(cursor.fetchone(), _PROBLEMS, strict=True) if found]
    if problems:
        connection.close()
        role = connection.settings_dict["USER"]
        raise ImproperlyConfigured(
            f"DATABASE_URL names {role}, which {' and '.join(problems)}. Use the app role."
        )
    _checked.add(connection.settings_dict["USER"])
