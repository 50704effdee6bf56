"""The machine's clocks, and how far its wall clock is from the service's."""

import sys
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_LONGEST_ROUND_TRIP_S = 60.0  # the answer's time is known to half of it; drift is told from 5 minutes on


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened: the wall clock (seconds since 1970), and the seconds since this boot."""

    wall: float
    mono: float
    boot: str


class Clock:
    """This machine's."""

    def __init__(self) -> None:
        self._boot = boot_id()

    def now(self) -> Moment:
        return Moment(time.time(), _since_boot(), self._boot)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def boot_id() -> str:
    """Names this start of the machine. Where the platform does not, each start of the agent counts as one:
    its items then go without their monotonic time, which is never wrong."""
    try:
        if sys.platform == "win32":
            import winreg

            path = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return f"windows-{winreg.QueryValueEx(key, 'BootId')[0]}"
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex


def written(wall: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ServiceClock:
    """The service's time, carried on by the monotonic clock from its last answer: a wall clock that is set
    wrong between two answers is noticed too."""

    def __init__(self) -> None:
        self._heard: tuple[float, float] | None = None  # the service's time, this machine's monotonic time

    def heard(self, server_time: datetime, *, sent: Moment, received: Moment) -> None:
        """The service stamped its answer somewhere between the two moments: in the middle, for all we know."""
        round_trip_s = received.mono - sent.mono
        if 0 <= round_trip_s <= _LONGEST_ROUND_TRIP_S:
            self._heard = (server_time.timestamp() + round_trip_s / 2, received.mono)

    def drift_s(self, now: Moment) -> float | None:
        """This machine's wall clock minus the service's; None before the first answer."""
        if self._heard is None:
            return None
        server, mono = self._heard
        return now.wall - (server + now.mono - mono)


def _since_boot() -> float:
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)  # CLOCK_MONOTONIC would stand still in sleep
    return time.monotonic()
