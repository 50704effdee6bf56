"""What the agent knows from its enrollment on: who it is to the service and what the room should have."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from agent.errors import AgentError
from agent.home import write_json


@dataclass
class State:
    """Kept in `state.json`; written whole and in one step. It holds the token, so only its owner reads it."""

    url: str  # the device API, ends in /device/v1
    heartbeat_url: str
    device_id: str
    token: str  # empty once the service has revoked it
    expires_at: str
    interval_s: float
    asked_at: float = 0.0  # wall clock, when a revoked device last asked to be let in again
    app_process: str = ""  # the meeting app's process, empty if none is known
    expected_by_room: dict[str, int] = field(default_factory=dict)  # counts by signal, from the service
    found_at_enrollment: dict[str, int] = field(default_factory=dict)

    @property
    def expected(self) -> dict[str, int]:
        """How many of each equipment signal's devices there should be: the room's word, else what was
        there at enrollment. A signal without an entry has no expectation."""
        return {**self.found_at_enrollment, **self.expected_by_room}

    def save(self, home: Path) -> None:
        """Raises OSError, leaving what was saved before."""
        write_json(home / "state.json", asdict(self))


def load_state(home: Path) -> State | None:
    """None before the first enrollment. Raises AgentError if the file cannot be understood."""
    path = home / "state.json"
    try:
        found = json.loads(path.read_text())
        known = {each.name for each in fields(State)}
        return State(**{key: value for key, value in found.items() if key in known})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise AgentError(f"cannot read {path}: {error}; enroll again") from None


def clean_counts(value: object) -> dict[str, int]:
    """What the service says is expected, without anything that is not a count."""
    if not isinstance(value, dict):
        return {}
    return {
        key: count
        for key, count in value.items()
        if isinstance(key, str)
        and isinstance(count, int)
        and not isinstance(count, bool)
        and 0 <= count < 100
    }
