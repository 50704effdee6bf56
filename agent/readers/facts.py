"""What readers find. None means: this machine cannot tell, which is never the same as "fine"."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

log = logging.getLogger("agent")


@dataclass(frozen=True, slots=True)
class Hardware:
    """Who made the machine and which one it is; makers' placeholders are empty."""

    make: str = "unknown"
    model: str = "unknown"
    serial: str = ""
    firmware_uuid: str = ""
    macs: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, order=True)
class Peripheral:
    """Something attached: kind is camera, speakerphone, microphone, speaker, hub, input, storage, network,
    bluetooth or other; ids are four hexadecimal digits."""

    kind: str
    make: str = ""
    model: str = ""
    vendor_id: str = ""
    product_id: str = ""
    serial: str = ""
    firmware: str = ""
    connected: bool = True
    records: bool = False  # has a microphone
    plays: bool = False  # has a speaker


@dataclass(frozen=True, slots=True, order=True)
class Display:
    connector: str
    make: str = ""
    model: str = ""
    serial: str = ""
    built_in: bool = False  # a laptop's or tablet's own panel is no front-of-room display


@dataclass(frozen=True, slots=True, order=True)
class Interface:
    """A physical network interface."""

    name: str
    wireless: bool
    up: bool  # has a link, or is joined to a Wi-Fi network
    mac: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Disk:
    name: str
    model: str = ""
    serial: str = ""
    healthy: bool | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RoomApp:
    """What the meeting app says of itself. `parts`: word of each part that it does not simply call fine.

    `beats`, `checks`: whether it has told its heartbeat and its equipment lately; `displays`: configured and real.
    """

    version: str = ""
    beats: bool = False
    checks: bool = False
    parts: dict[str, str] = field(default_factory=dict)
    displays: tuple[int, int] | None = None
    restarts: int = 0  # within the hour


@dataclass(frozen=True, slots=True)
class Devices:
    """What changes when somebody pulls a cable."""

    peripherals: list[Peripheral] | None = None
    displays: list[Display] | None = None
    interfaces: list[Interface] | None = None
    default_route: bool | None = None
    wifi_strength_pct: float | None = None
    room_app: RoomApp | None = None  # None: no app that tells
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """What changes slowly."""

    os_name: str = ""
    os_version: str = ""
    kernel: str = ""
    app_version: str = ""
    disks: list[Disk] | None = None
    clock_synchronized: bool | None = None
    failed: tuple[str, ...] = ()


Found = TypeVar("Found")


class Attempts:
    """Reads part by part, so that one broken source leaves the others readable."""

    def __init__(self) -> None:
        self._failed: list[str] = []

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(self._failed)

    def __call__(self, part: str, read: Callable[[], Found | None]) -> Found | None:
        try:
            return read()
        except Exception as error:  # noqa: BLE001 whatever a driver makes of its files, the rest must be told
            self._failed.append(part)
            log.debug("cannot read %s: %s: %s", part, type(error).__name__, error)
            return None


_PLACEHOLDER = re.compile(
    r"(to be filled|default string|o\.?e\.?m\.?$|system (serial|product|manufacturer|version)|not (specified|available|applicable)"
    r"|none$|n/?a$|unknown$|invalid$|empty$|\.*$|[x0f\s-]*$|0?123456789|03000200-0400-0500-0006-000700080009)",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """One line as a device names itself: without NUL, control signs and outer blanks, at most 120 characters."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:120]


def identifier(text: str) -> str:
    """`clean`, and empty for what makers leave in place of a name or number."""
    found = clean(text)
    return "" if _PLACEHOLDER.match(found) else found
