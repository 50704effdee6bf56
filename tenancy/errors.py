"""What the domain of people and rights refuses, named for the fact."""

from __future__ import annotations

from foundation.errors import Conflict, NotAllowed, NotFound


class Missing(NotFound):
    """No such person, role, assignment, token or invitation here."""

    def __init__(self, what: str, *, field: str | None = None) -> None:
        super().__init__(f"There is no such {what}.", field=field)


class AlreadyThere(Conflict):
    code = "already_there"


class BuiltInRole(NotAllowed):
    """Built-in roles are read-only."""

    code = "built_in_role"


class MoreThanOwn(NotAllowed):
    """Nobody hands on rights he does not hold himself."""

    code = "more_than_own"


class LastAdministrator(Conflict):
    """Somebody must be left who may change roles everywhere."""

    code = "last_administrator"


class StillInUse(Conflict):
    code = "still_in_use"


class Over(Conflict):
    """An invitation, grant or action that was decided, taken back or has expired."""

    code = "over"
