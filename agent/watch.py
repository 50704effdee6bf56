"""Looks at the machine and makes a heartbeat of what it sees."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from agent import __version__
from agent.clock import Moment, ServiceClock
from agent.faults import injected, load_faults
from agent.inventory import digest, inventory
from agent.readers import Reader, portable
from agent.readers.facts import Attempts
from agent.signals import Facts, Signals, signals, wire
from agent.state import State

_REMEMBERED_REACHES = 20  # loss is told over these

log = logging.getLogger("agent")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the machine found."""

    facts: Facts
    signals: Signals
    inventory: dict[str, Any]

    @property
    def states(self) -> set[tuple[str, str, str]]:
        """What counts as a change; a detail that words itself anew does not."""
        return {(key, one.instance, one.state) for key, reported in self.signals.items() for one in reported}


class Watch:
    """Keeps what is dear to read for a while: each source is read as often as it is worth its cost."""

    def __init__(self, home: Path, state: State, reader: Reader, service_clock: ServiceClock) -> None:
        self._home = home
        self._state = state
        self._reader = reader
        self._service_clock = service_clock
        self._hardware = reader.hardware()
        self._devices = _Kept(reader.devices_every_s, reader.devices)
        self._system = _Kept(reader.system_every_s, reader.system)
        self._reaches: deque[portable.Reach] = deque(maxlen=_REMEMBERED_REACHES)
        self._told: tuple[str, ...] = ()
        portable.cpu_pct()  # its first answer means nothing

    def reach(self) -> None:
        """See whether the service's port answers: once in a while, and after a failure."""
        self._reaches.append(portable.reach(self._state.heartbeat_url))

    def look(self, now: Moment) -> Look:
        """Raises nothing: what cannot be read is unknown."""
        devices, system = self._devices.get(now), self._system.get(now)
        attempt = Attempts()
        disk = attempt("disk", portable.system_disk)
        app = self._state.app_process
        drills = attempt("faults", lambda: load_faults(self._home)) or []
        facts = Facts(
            platform=self._reader.platform,
            devices=devices,
            system=system,
            expected=self._state.expected,
            disk=disk,
            reach=self._reaches[-1] if self._reaches else None,
            drift_s=self._service_clock.drift_s(now),
            uptime_s=attempt("uptime", portable.uptime_s),
            app_running=attempt("processes", lambda: portable.is_running(app)) if app else None,
            failed=attempt.failed,  # last: what failed above
        )
        self._tell(*devices.failed, *system.failed, *attempt.failed)
        seen = injected(signals(facts), drills)
        document = inventory(self._hardware, devices, system, _addresses)
        return Look(facts, seen, document)

    def heartbeat(self, look: Look) -> dict[str, Any]:
        """The look as a heartbeat, but for its number and time."""
        return {
            "signals": wire(look.signals),
            "versions": self._versions(look.facts),
            "metrics": self._metrics(look.facts),
            "inventory_digest": digest(look.inventory),
        }

    def _versions(self, facts: Facts) -> dict[str, str]:
        system, told = facts.system, facts.devices.room_app
        found = {
            "app": (told.version if told else "") or system.app_version,
            "os": system.os_version,
            "agent": __version__,
        }
        return {name: version for name, version in found.items() if version}

    def _metrics(self, facts: Facts) -> dict[str, float]:
        attempt, reach = Attempts(), facts.reach
        lost = sum(not each.reached for each in self._reaches)
        found = {
            "cpu_pct": attempt("cpu", portable.cpu_pct),
            "mem_pct": attempt("memory", portable.memory_pct),
            "disk_free_pct": facts.disk.free_pct if facts.disk else None,
            "rtt_ms": reach.rtt_ms if reach and reach.reached else None,
            "loss_pct": lost / len(self._reaches) * 100 if self._reaches else None,
            "temp_c": attempt("temperature", portable.temperature_c),
            "uptime_s": facts.uptime_s,
        }
        return {name: round(float(value), 1) for name, value in found.items() if value is not None}

    def _tell(self, *failed: str) -> None:
        if failed and failed != self._told:
            log.warning("cannot read: %s", ", ".join(failed))
        self._told = failed


def _addresses(interface: str) -> list[str]:
    return Attempts()("addresses", lambda: portable.addresses(interface)) or []


class _Kept(Generic[Found]):
    """Something read, until it is old."""

    def __init__(self, every_s: float, read: Callable[[], Found]) -> None:
        self._every_s = every_s
        self._read = read
        self._found: tuple[Found, float] | None = None

    def get(self, now: Moment) -> Found:
        if self._found is None or now.mono - self._found[1] >= self._every_s:
            self._found = self._read(), now.mono
        return self._found[0]
