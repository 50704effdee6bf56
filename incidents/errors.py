"""What incidents refuse, named for the fact."""

from __future__ import annotations

from foundation.errors import Conflict, NotFound, NotValid


class IncidentClosed(Conflict):
    """A closed ticket stays closed; a new fault gets a new one."""

    code = "incident_closed"

    def __init__(self, number: str) -> None:
        super().__init__(f"{number} is closed and can no longer be changed.")


class NotInThisState(Conflict):
    """The ticket is in a state that forbids it; somebody may have been faster."""

    code = "incident_state"


class UnknownSignal(NotFound):
    code = "unknown_signal"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no signal {key}.", field="signal")


class NotASetting(NotValid):
    """A value no signal or ticket can have."""
