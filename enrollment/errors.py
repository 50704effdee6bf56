"""What this app refuses."""

from __future__ import annotations

from foundation.errors import Conflict, DomainError, NotAllowed


class BadCredential(NotAllowed):
    """A key, token or signature that does not hold. Why is not told: the answer is the same for all of them."""

    code = "unauthorized"


class Revoked(BadCredential):
    """The device was shut out by a person or for a suspected copy. Only who proved to be it learns that."""

    code = "revoked"

    def __init__(self) -> None:
        super().__init__("This device was shut out. A person has to let it in again.")


class Refused(DomainError):
    """The key or token is good, and yet not this. `code` is a stable word for the reason."""

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.code = code


class EnrollmentRefused(Refused):
    """This device may not come in."""


class NotWaiting(Conflict):
    """The device is not in a state in which that can be done to it."""

    code = "wrong_state"
