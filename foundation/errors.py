"""Kinds of refusal. The domain raises them; the faces translate them, never the other way round."""

from __future__ import annotations

from django.db import IntegrityError

from foundation.backend.names import plain_constraint_name


class DomainError(Exception):
    """A request the domain refuses. `message` is one sentence a person can act on."""

    code = "refused"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field  # the input to mark on a form, where one is to blame


class NotValid(DomainError):
    """The input itself is wrong."""

    code = "invalid"


class NotFound(DomainError):
    """Missing, or another tenant's: the two look the same."""

    code = "not_found"


class NotAllowed(DomainError):
    """The caller may not do this."""

    code = "forbidden"


class Conflict(DomainError):
    """The state of the thing forbids it, or another caller was faster."""

    code = "conflict"


class Unavailable(DomainError):
    """A part we depend on is away; trying again later helps."""

    code = "unavailable"


class NoTenant(RuntimeError):
    """A query on a tenant table outside every tenant: a mistake in our code, never the caller's."""


def violated_constraint(error: IntegrityError) -> str:
    """Name of the constraint an IntegrityError hit, or "" where the driver names none."""
    diagnostics = getattr(error.__cause__, "diag", None)
    return plain_constraint_name(getattr(diagnostics, "constraint_name", None) or "")
