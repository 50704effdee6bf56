import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.readers.facts import Devices, Disk, Display, Interface, Peripheral, System
from agent.readers.portable import Disk as SystemDisk
from agent.readers.portable import Reach
from agent.signals import KEYS, Facts, Reported, signals, wire

CAMERA = Peripheral("camera", model="C920")
SPEAKERPHONE = Peripheral("speakerphone", records=True, plays=True)
WIRED, WIFI = Interface("eth0", wireless=False, up=True), Interface("wlan0", wireless=True, up=True)
GB = 1_000_000_000
TOLD_BY_THE_APP = {"signin_exchange", "signin_teams", "spk_default", "hdmi_ingest", "camera_content"}


def facts(**changed: Any) -> Facts:
    return replace(Facts("linux", Devices(), System(), {}), **changed)


def devices(**found: Any) -> Facts:
    return facts(devices=Devices(**found))


def state(key: str, found: Facts) -> tuple[str, str]:
    [reported] = signals(found)[key]
    assert reported.instance == ""
    return reported.state, reported.detail


def test_a_machine_that_tells_nothing_is_unknown_and_never_healthy():
    reported = signals(facts(platform="windows"))
    assert set(reported) | TOLD_BY_THE_APP == set(KEYS)
    assert not set(reported) & TOLD_BY_THE_APP
    assert {each.state for key, [each] in reported.items() if key != "monitoring_partial"} == {"unknown"}


@pytest.mark.parametrize(
    ("count", "expected", "state_and_detail"),
    [
        (0, None, ("unknown", "no camera found, none expected")),
        (1, None, ("healthy", "")),
        (0, 1, ("unhealthy", "0 of 1 camera found")),
        (1, 1, ("healthy", "")),
        (1, 2, ("unhealthy", "1 of 2 cameras found")),
        (3, 2, ("healthy", "")),
        (0, 0, ("healthy", "")),
    ],
)
def test_cameras_are_counted_against_what_is_expected(count, expected, state_and_detail):
    found = facts(
        devices=Devices(peripherals=[CAMERA] * count),
        expected={} if expected is None else {"camera_room": expected},
    )
    assert state("camera_room", found) == state_and_detail


def test_what_cannot_be_read_is_unknown_however_much_is_expected():
    found = facts(expected={"camera_room": 1, "display_front": 2, "mic_conf": 1, "spk_conf": 1})
    for key in found.expected:
        assert state(key, found) == ("unknown", "this machine does not tell")


def test_one_speakerphone_is_a_microphone_and_a_speaker():
    found = facts(devices=Devices(peripherals=[SPEAKERPHONE]), expected={"mic_conf": 1, "spk_conf": 1})
    assert state("mic_conf", found) == state("spk_conf", found) == ("healthy", "")
    gone = facts(devices=Devices(peripherals=[CAMERA]), expected={"mic_conf": 1, "spk_conf": 1})
    assert state("mic_conf", gone) == ("unhealthy", "0 of 1 conference microphone found")
    assert state("spk_conf", gone) == ("unhealthy", "0 of 1 conference speaker found")


def test_a_peripheral_that_is_known_but_not_connected_does_not_count():
    found = facts(
        devices=Devices(peripherals=[replace(CAMERA, connected=False)]), expected={"camera_room": 1}
    )
    assert state("camera_room", found)[0] == "unhealthy"


def test_a_built_in_panel_is_no_front_of_room_display():
    found = facts(
        devices=Devices(displays=[Display("HDMI-A-1"), Display("eDP-1", built_in=True)]),
        expected={"display_front": 2},
    )
    assert state("display_front", found) == ("unhealthy", "1 of 2 displays found")


@pytest.mark.parametrize(
    ("total", "free", "expected"),
    [
        (100 * GB, 10 * GB, ("healthy", "")),
        (100 * GB, 10 * GB - 1, ("unhealthy", "10 GB free (10 %)")),
        (20 * GB, 5 * GB, ("healthy", "")),
        (20 * GB, 5 * GB - 1, ("unhealthy", "5 GB free (25 %)")),
        (0, 0, ("unknown", "")),
    ],
)
def test_disk_space_is_low_below_a_tenth_or_5_gb(total, free, expected):
    assert state("disk_space", facts(disk=SystemDisk(total, free))) == expected


@pytest.mark.parametrize(
    ("healthy", "expected"),
    [
        ([True, True], "healthy"),
        ([True, None], "unknown"),
        ([None, False, True], "unhealthy"),
        ([], "unknown"),
    ],
)
def test_disk_health_is_known_only_if_every_disk_tells(healthy, expected):
    disks = [Disk("sda", "Disk", healthy=each, detail="worn") for each in healthy]
    assert state("disk_health", facts(system=System(disks=disks)))[0] == expected


@pytest.mark.parametrize(
    ("drift_s", "synchronized", "expected"),
    [
        (300, None, ("healthy", "")),
        (301, True, ("unhealthy", "5 min ahead")),
        (-7200, None, ("unhealthy", "120 min behind")),
        (None, True, ("healthy", "")),
        (None, False, ("unknown", "")),
        (None, None, ("unknown", "")),
    ],
)
def test_drift_is_told_from_the_service_s_time_else_by_ntp(drift_s, synchronized, expected):
    found = facts(drift_s=drift_s, system=System(clock_synchronized=synchronized))
    assert state("time_drift", found) == expected


@pytest.mark.parametrize(
    ("reach", "route", "expected"),
    [
        (None, True, ("unknown", "")),
        (Reach(True, 5), None, ("healthy", "")),
        (
            Reach(False, reason="the service does not answer"),
            True,
            ("unhealthy", "the service does not answer"),
        ),
        (Reach(False, reason="the service does not answer"), False, ("unhealthy", "no default route")),
    ],
)
def test_the_network_is_fine_when_the_service_is_reached(reach, route, expected):
    found = facts(reach=reach, devices=Devices(default_route=route))
    assert state("network", found) == expected


@pytest.mark.parametrize(
    ("interfaces", "strength", "only", "weak"),
    [
        (None, None, "unknown", "unknown"),
        ([], None, "unknown", "unknown"),
        ([replace(WIRED, up=False)], None, "unknown", "unknown"),
        ([WIRED], None, "healthy", "healthy"),
        ([WIRED, WIFI], 10.0, "healthy", "healthy"),
        ([replace(WIRED, up=False), WIFI], 39.9, "unhealthy", "unhealthy"),
        ([WIFI], 40.0, "unhealthy", "healthy"),
        ([WIFI], None, "unhealthy", "unknown"),
    ],
)
def test_a_wire_is_better_than_wifi(interfaces, strength, only, weak):
    found = devices(interfaces=interfaces, wifi_strength_pct=strength)
    assert (state("wifi_only", found)[0], state("wifi_weak", found)[0]) == (only, weak)


@pytest.mark.parametrize(
    ("running", "expected"), [(None, "unknown"), (True, "healthy"), (False, "unhealthy")]
)
def test_the_meeting_app_is_watched_if_one_is_known(running, expected):
    assert state("app_heartbeat", facts(app_running=running))[0] == expected


def test_a_nightly_restart_is_expected_of_windows_rooms_alone():
    assert "nightly_reboot" not in signals(facts(uptime_s=900_000))
    windows = facts(platform="windows", uptime_s=2 * 86400 - 1)
    assert state("nightly_reboot", windows) == ("healthy", "")
    assert state("nightly_reboot", replace(windows, uptime_s=3.5 * 86400)) == ("unhealthy", "up for 3 days")


def test_an_agent_that_cannot_read_something_says_what():
    found = facts(devices=Devices(failed=("wifi",)), system=System(failed=("disks",)), failed=("cpu",))
    assert state("monitoring_partial", found) == ("unhealthy", "cannot read cpu, disks, wifi")


def test_the_wire_carries_the_shortest_form():
    assert wire(
        {
            "a": [Reported("healthy")],
            "b": [Reported("unhealthy", "why")],
            "c": [Reported("unknown"), Reported("unhealthy", "x" * 400, "2")],
        }
    ) == {
        "a": "healthy",
        "b": {"state": "unhealthy", "detail": "why"},
        "c": [{"state": "unknown"}, {"state": "unhealthy", "detail": "x" * 300, "instance": "2"}],
    }


optional = st.none() | st.integers(0, 3)


@given(optional, optional, st.none() | st.booleans(), st.none() | st.booleans())
def test_healthy_always_has_evidence(cameras, expected, route, synchronized):
    found = facts(
        devices=Devices(peripherals=None if cameras is None else [CAMERA] * cameras, default_route=route),
        system=System(clock_synchronized=synchronized),
        expected={} if expected is None else {"camera_room": expected},
    )
    reported = {key: each.state for key, [each] in signals(found).items()}
    healthy = {key for key, each in reported.items() if each == "healthy"} - {"monitoring_partial"}
    assert healthy <= {"camera_room", "time_drift"}
    if "camera_room" in healthy:
        assert cameras is not None
        assert (cameras, expected) != (0, None)
    assert ("time_drift" in healthy) == (synchronized is True)
    json.dumps(wire(signals(found)))
