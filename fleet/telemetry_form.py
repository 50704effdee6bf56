"""The packed form of telemetry: which bit is which signal, which small integer is which figure.

Positions and scales are stored by the billion: they are added to, never moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# A point's `healthy` and `unhealthy` are 64 bits each; a signal in neither was unknown or not reported.
SIGNALS = (
    "signin_exchange", "signin_teams", "calendar_sync", "app_version", "os_version", "time_drift", "wu_disabled",
    "os_activation", "wsus_enabled", "wu_components", "app_heartbeat", "nightly_reboot", "camera_room",
    "camera_default", "camera_content", "hdmi_ingest", "disk_space", "disk_health", "usb_suspend", "usb_power",
    "bluetooth_off", "mic_conf", "mic_configured", "spk_conf", "spk_configured", "spk_misconfigured", "spk_default",
    "vendor_mic_pod", "vendor_speaker", "cpu_limited", "sleep_timer", "display_front", "display_console",
    "default_credentials", "network", "monitoring_partial", "wifi_only", "wifi_weak", "wu_blocked",
    "a_signin_teams", "a_app_heartbeat", "a_display_second", "a_bluetooth_off", "a_pair_console", "a_pair_bar",
    "a_network", "proximity_sensor",
)  # fmt: skip
BIT = {signal: 1 << position for position, signal in enumerate(SIGNALS)}

# Tenths of the unit of the device contract: percent, milliseconds, degrees Celsius.
METRICS = ("cpu_pct", "mem_pct", "disk_free_pct", "rtt_ms", "loss_pct", "temp_c")
COLUMNS = ("cpu", "mem", "disk", "rtt", "loss", "temp")  # of fleet_point, in the order of METRICS
SCALE = 10
NULL = r"\N"  # in the form of COPY
LEAST, MOST = -32_768, 32_767  # what a smallint holds; figures beyond it are cut

# A line of a rollup: five-minute bucket of the hour (0 to 11), heartbeats, mean, least and most of each metric,
# heartbeats in a meeting, most people seen.
BUCKETS = 12
BUCKET_S = 300
LINE = 2 + 3 * len(METRICS) + 2
MEETING, PEOPLE = LINE - 2, LINE - 1


def small(value: float | None) -> int | None:
    """A metric as stored: tenths, rounded, cut to what a smallint holds. `value` is finite."""
    if value is None:
        return None
    scaled = round(value * SCALE)
    return scaled if LEAST <= scaled <= MOST else (LEAST if scaled < 0 else MOST)


def natural(stored: int | None) -> float | None:
    """A stored metric in the unit of the device contract."""
    return None if stored is None else stored / SCALE


def usage(in_meeting: object, people: object) -> int | None:
    """Presence in one number: twice the people seen, plus one in a meeting. None where nothing was told."""
    told = isinstance(in_meeting, bool), isinstance(people, int | float) and not isinstance(people, bool)
    if not any(told):
        return None
    count = min(max(int(people), 0), MOST // 2) if told[1] else 0  # type: ignore[call-overload]
    return int(count * 2 + (told[0] and bool(in_meeting)))


def bits(states: Iterable[tuple[str, str]]) -> tuple[int, int]:
    """(healthy, unhealthy) bits of (signal, state) pairs: one unhealthy instance makes its signal unhealthy."""
    healthy = unhealthy = 0
    for signal, state in states:
        if state == "unhealthy":
            unhealthy |= BIT.get(signal, 0)
        elif state == "healthy":
            healthy |= BIT.get(signal, 0)
    return healthy & ~unhealthy, unhealthy


def signals_of(stored: int) -> list[str]:
    """The signals whose bits are set."""
    return [signal for signal, bit in BIT.items() if stored & bit]


Line = Sequence[int | None]


def added(lines: Sequence[Line], others: Sequence[Line]) -> list[list[int | None]]:
    """Lines of two sources as one: means weighted by heartbeats, least, most and sums as they are. By bucket."""
    merged: dict[int, list[int | None]] = {}
    for line in (*lines, *others):
        bucket = line[0]
        assert bucket is not None
        known = merged.get(bucket)
        merged[bucket] = list(line) if known is None else _sum(known, line)
    return [merged[bucket] for bucket in sorted(merged)]


def line_of(bucket: int, points: Sequence[tuple[Sequence[int | None], int | None]]) -> list[int | None]:
    """The line of one bucket from its points: (metrics as stored, usage as stored). At least one."""
    line: list[int | None] = [bucket, len(points)]
    for position in range(len(METRICS)):
        known = [value for metrics, _ in points if (value := metrics[position]) is not None]
        line += [_rounded(sum(known), len(known)), min(known), max(known)] if known else [None, None, None]
    usages = [stored for _, stored in points if stored is not None]
    line.append(sum(stored & 1 for stored in usages))
    line.append(max(stored >> 1 for stored in usages) if usages else None)
    return line


def _sum(one: Line, other: Line) -> list[int | None]:
    one_beats, other_beats = one[1] or 0, other[1] or 0
    line: list[int | None] = [one[0], min(one_beats + other_beats, MOST)]
    for position in range(2, MEETING, 3):
        mean, other_mean = one[position], other[position]
        if mean is None or other_mean is None:
            line += one[position : position + 3] if other_mean is None else other[position : position + 3]
            continue
        line.append(_rounded(mean * one_beats + other_mean * other_beats, one_beats + other_beats))
        line.append(min(_known(one[position + 1], other[position + 1])))
        line.append(max(_known(one[position + 2], other[position + 2])))
    line.append(min((one[MEETING] or 0) + (other[MEETING] or 0), MOST))
    line.append(max(_known(one[PEOPLE], other[PEOPLE]), default=None))
    return line


def _known(*values: int | None) -> list[int]:
    return [value for value in values if value is not None]


def _rounded(total: int, count: int) -> int:
    """Half up, as the SQL of fleet.rollups does."""
    return (2 * total + count) // (2 * count)
