"""What the fleet refuses, named for the fact."""

from __future__ import annotations

from foundation.errors import Conflict, NotFound


class Missing(NotFound):
    """The thing does not exist, or is not the caller's: the two look the same."""

    def __init__(self, what: str, *, field: str | None = None) -> None:
        super().__init__(f"There is no such {what}.", field=field)


class AlreadyThere(Conflict):
    """Another thing holds the name or account."""

    code = "already_exists"


class ChangedMeanwhile(Conflict):
    """Somebody else changed the thing since it was read."""

    code = "version_conflict"


class StillInUse(Conflict):
    """Other things depend on it."""

    code = "in_use"


class WrongState(Conflict):
    """It is not at the point where this can be done."""

    code = "wrong_state"
