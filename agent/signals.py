"""From what the readers found to the signals of the room: pure, and "unknown" wherever nobody can tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from agent import redaction
from agent.readers.facts import Devices, Disk, RoomApp, System
from agent.readers.portable import Disk as SystemDisk
from agent.readers.portable import Reach

StateName = Literal["healthy", "unhealthy", "unknown"]

# Start values of the service's signal catalogue.
LEAST_FREE_PCT, LEAST_FREE_BYTES = 10.0, 5_000_000_000
MOST_DRIFT = timedelta(minutes=5)
LEAST_WIFI_PCT = 40.0
MOST_DAYS_UP = timedelta(days=2)
_LONGEST_DETAIL = 300  # the service takes no longer one

KEYS = (
    "camera_room",
    "mic_conf",
    "spk_conf",
    "display_front",
    "disk_space",
    "disk_health",
    "time_drift",
    "network",
    "app_heartbeat",
    "wifi_only",
    "wifi_weak",
    "nightly_reboot",
    "monitoring_partial",
    "signin_exchange",
    "signin_teams",
    "spk_default",
    "hdmi_ingest",
    "camera_content",
)
MOST_RESTARTS = 3  # of the meeting app within an hour
# How the meeting app calls its parts, by signal; those of `_BOTH` are counted by this machine too.
_BOTH = {
    "camera_room": "camera",
    "mic_conf": "conference microphone",
    "spk_conf": "conference speaker",
    "display_front": "front of room display",
}
_APP_ALONE = {
    "spk_default": "default speaker",
    "hdmi_ingest": "hdmi ingest",
    "camera_content": "content camera",
}


@dataclass(frozen=True, slots=True)
class Reported:
    """One instance's state; `instance` is empty for the signal as a whole."""

    state: StateName
    detail: str = ""
    instance: str = ""


Signals = dict[str, list[Reported]]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the signals are made from."""

    platform: str
    devices: Devices
    system: System
    expected: Mapping[str, int]
    disk: SystemDisk | None = None
    reach: Reach | None = None
    drift_s: float | None = None  # this clock minus the service's
    uptime_s: float | None = None
    app_running: bool | None = None  # None: no meeting app is known
    failed: tuple[str, ...] = ()  # further parts that could not be read


def signals(facts: Facts) -> Signals:
    """Every signal this platform reports; one that does not apply to it is left out."""
    found = counts(facts.devices)
    reported = {
        "camera_room": _equipment(found, facts, "camera_room", "camera"),
        "mic_conf": _equipment(found, facts, "mic_conf", "conference microphone"),
        "spk_conf": _equipment(found, facts, "spk_conf", "conference speaker"),
        "display_front": _equipment(found, facts, "display_front", "display"),
        "disk_space": _disk_space(facts.disk),
        "disk_health": _disk_health(facts.system.disks),
        "time_drift": _time_drift(facts.drift_s, facts.system.clock_synchronized),
        "network": _network(facts.reach, facts.devices.default_route),
        "app_heartbeat": _app(facts.app_running, facts.devices.room_app),
        "wifi_only": _wifi_only(facts.devices),
        "wifi_weak": _wifi_weak(facts.devices),
        "monitoring_partial": _partial(facts),
    }
    if facts.platform == "windows":  # elsewhere nothing restarts the room every night
        reported["nightly_reboot"] = _nightly_reboot(facts.uptime_s)
    if facts.devices.room_app is not None:
        reported |= _as_the_app_says(facts.devices.room_app, reported)
    return {key: [each] for key, each in reported.items()}


def counts(devices: Devices) -> dict[str, int | None]:
    """How many of each kind of equipment are there; None where this machine cannot tell.

    Conference microphones and speakers are external ones: a built-in sound chip or the display's
    speakers are there whether or not anything is plugged in.
    """
    attached = (
        None if devices.peripherals is None else [each for each in devices.peripherals if each.connected]
    )
    front = None if devices.displays is None else [each for each in devices.displays if not each.built_in]
    return {
        "camera_room": None if attached is None else sum(each.kind == "camera" for each in attached),
        "mic_conf": None if attached is None else sum(each.records for each in attached),
        "spk_conf": None if attached is None else sum(each.plays for each in attached),
        "display_front": None if front is None else len(front),
    }


def wire(reported: Signals) -> dict[str, Any]:
    """As the heartbeat carries them: the shortest of the contract's forms."""
    return {
        key: _short(each[0]) if len(each) == 1 else [_long(one) for one in each]
        for key, each in reported.items()
    }


def _short(each: Reported) -> str | dict[str, str]:
    return _long(each) if each.detail or each.instance else each.state


def _long(each: Reported) -> dict[str, str]:
    found = {
        "state": each.state,
        "instance": each.instance,
        "detail": redaction.text(each.detail)[:_LONGEST_DETAIL],
    }
    return {name: value for name, value in found.items() if value}


def _equipment(found: Mapping[str, int | None], facts: Facts, key: str, what: str) -> Reported:
    count, expected = found[key], facts.expected.get(key)
    if count is None:
        return Reported("unknown", "this machine does not tell")
    if expected is None:
        return Reported("healthy") if count else Reported("unknown", f"no {what} found, none expected")
    if count >= expected:
        return Reported("healthy")
    return Reported("unhealthy", f"{count} of {expected} {what}{'s' if expected > 1 else ''} found")


def _disk_space(disk: SystemDisk | None) -> Reported:
    if disk is None or not disk.total_bytes:
        return Reported("unknown")
    if disk.free_pct < LEAST_FREE_PCT or disk.free_bytes < LEAST_FREE_BYTES:
        return Reported("unhealthy", f"{disk.free_bytes / 1e9:.0f} GB free ({disk.free_pct:.0f} %)")
    return Reported("healthy")


def _disk_health(disks: list[Disk] | None) -> Reported:
    if not disks:
        return Reported("unknown")
    failing = [f"{disk.model or disk.name}: {disk.detail}" for disk in disks if disk.healthy is False]
    if failing:
        return Reported("unhealthy", "; ".join(failing))
    return Reported("healthy" if all(disk.healthy for disk in disks) else "unknown")


def _time_drift(drift_s: float | None, synchronized: bool | None) -> Reported:
    if drift_s is None:  # not heard from the service yet; a clock under NTP does not drift by minutes
        return Reported("healthy" if synchronized else "unknown")
    if abs(drift_s) > MOST_DRIFT.total_seconds():
        return Reported("unhealthy", f"{abs(drift_s) / 60:.0f} min {'ahead' if drift_s > 0 else 'behind'}")
    return Reported("healthy")


def _network(reach: Reach | None, default_route: bool | None) -> Reported:
    if reach is None:
        return Reported("unknown")
    if reach.reached:
        return Reported("healthy")
    return Reported("unhealthy", "no default route" if default_route is False else reach.reason)


def _app(running: bool | None, told: RoomApp | None) -> Reported:
    if running is False:
        return Reported("unhealthy", "the meeting app is not running")
    if told is not None and told.restarts >= MOST_RESTARTS:
        return Reported("unhealthy", "the meeting app starts again and again")
    if told is not None and not told.beats:
        return Reported("unhealthy", "the meeting app has written no heartbeat for 15 minutes")
    if running is None and told is None:
        return Reported("unknown", "no meeting app is configured")
    return Reported("healthy")


def _as_the_app_says(told: RoomApp, seen: Mapping[str, Reported]) -> dict[str, Reported]:
    """Signals that the meeting app knows of. It knows which equipment is configured; this machine sees it go sooner."""
    found = {}
    for key, part in _BOTH.items():
        word = _part(told.checks, told.parts.get(part), _detail(part, told))
        if word.state == "unhealthy" or (word.state == "healthy" and seen[key].state == "unknown"):
            found[key] = word if seen[key].state != "unhealthy" else seen[key]
    for key, part in _APP_ALONE.items():
        found[key] = _part(told.checks, told.parts.get(part), f"{part} is missing")
    teams = told.parts.get("teams signin", told.parts.get("signin"))
    found["signin_teams"] = _part(told.beats, teams, "the meeting app is not signed in")
    found["signin_exchange"] = _exchange(told)
    return found


def _part(tells: bool, word: str | None, detail: str) -> Reported:
    """`word`: the app's; None where it has nothing to say of the part, which is fine as long as it tells."""
    if not tells:
        return Reported("unknown", "the meeting app tells nothing")
    return Reported("healthy") if word in (None, "healthy") else Reported("unhealthy", detail)


def _detail(part: str, told: RoomApp) -> str:
    if part == _BOTH["display_front"] and told.displays is not None:
        configured, real = told.displays
        return f"{real} of {configured} displays found"
    return f"{part} is missing"


def _exchange(told: RoomApp) -> Reported:
    word = told.parts.get("exchange")
    if word == "connecting":  # the next heartbeat tells how it ended
        return Reported("unknown", "the meeting app is connecting to Exchange")
    if word == "connected":
        return Reported("healthy") if told.beats else Reported("unknown")
    return _part(told.beats, word, f"Exchange: {word}")


def _links(devices: Devices) -> tuple[bool, bool] | None:
    """(wired, wireless) links that are up; None if there is none to speak of."""
    up = [each for each in devices.interfaces or [] if each.up]
    return (any(not each.wireless for each in up), any(each.wireless for each in up)) if up else None


def _wifi_only(devices: Devices) -> Reported:
    links = _links(devices)
    if links is None:
        return Reported("unknown")
    return Reported("healthy") if links[0] else Reported("unhealthy", "no wired connection")


def _wifi_weak(devices: Devices) -> Reported:
    links = _links(devices)
    if links is None:
        return Reported("unknown")
    if links[0]:
        return Reported("healthy")
    if devices.wifi_strength_pct is None:
        return Reported("unknown")
    if devices.wifi_strength_pct < LEAST_WIFI_PCT:
        return Reported(
            "unhealthy", f"below {LEAST_WIFI_PCT:.0f} % strength"
        )  # not the value: it changes always
    return Reported("healthy")


def _nightly_reboot(uptime_s: float | None) -> Reported:
    if uptime_s is None:
        return Reported("unknown")
    if uptime_s < MOST_DAYS_UP.total_seconds():
        return Reported("healthy")
    return Reported("unhealthy", f"up for {int(uptime_s // 86400)} days")


def _partial(facts: Facts) -> Reported:
    failed = sorted({*facts.failed, *facts.devices.failed, *facts.system.failed})
    return Reported("unhealthy", f"cannot read {', '.join(failed)}") if failed else Reported("healthy")
