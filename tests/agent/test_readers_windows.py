import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.readers import windows_queries
from agent.readers.facts import Disk, Display, Hardware, Interface, Peripheral
from agent.readers.windows import WindowsReader
from agent.readers.windows_system import clock_synchronized, wifi_strength_pct
from agent.signals import Facts, counts, signals
from tests.agent.recorded import said

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
RECORDED = {
    windows_queries.DEVICES: "windows_devices.json",
    windows_queries.SYSTEM: "windows_system.json",
    windows_queries.HARDWARE: "windows_hardware.json",
}


def reader(**changed: Any) -> WindowsReader:
    """Answers as recorded; `changed` replaces answers, None leaves one out as a failed question does."""

    def ask(questions: str) -> str:
        answers = json.loads(said(RECORDED[questions]))
        answers.update({name: value for name, value in changed.items() if name in answers})
        return json.dumps({name: value for name, value in answers.items() if value is not None})

    return WindowsReader(ask=ask, now=lambda: AT)


def test_the_machine_knows_itself():
    assert reader().hardware() == Hardware(
        "Lenovo", "11S30000GE", "PF1ABCDE", "5c2f1a7e-90d1-4b7b-8b1e-2f9d6a3c4e5f", ["9c:7b:ef:12:34:56"]
    )


def test_a_usb_device_with_many_functions_is_one_peripheral():
    devices = reader().devices()
    assert devices.failed == ()
    assert devices.peripherals == [
        Peripheral("camera", "", "HD Pro Webcam C920", "046d", "082d", "5B4D7A1F", "0.11", records=True),
        Peripheral("camera", "Intel", "Surface Camera Front"),
        Peripheral("input", "Logitech", "USB Input Device", "046d", "c31c", "", "64.00"),
        Peripheral(
            "speakerphone",
            "",
            "Jabra SPEAK 510 USB",
            "0b0e",
            "0420",
            "501AA5D0B1C2X010900",
            "2.09",
            records=True,
            plays=True,
        ),
    ]


def test_the_display_s_own_speakers_are_no_conference_speakers():
    assert counts(reader().devices()) == {"camera_room": 2, "mic_conf": 2, "spk_conf": 1, "display_front": 2}


def test_active_displays_are_named_and_the_built_in_one_is_told_apart():
    assert [(each.make, each.model, each.serial, each.built_in) for each in reader().devices().displays] == [
        ("GSM", "7706", "", False),
        ("LGD", "05E5", "", True),
        ("SAM", "QM55B", "H4ZR500123", False),
    ]
    assert isinstance(reader().devices().displays[0], Display)


def test_network_adapters_are_told_by_numbers_not_by_translated_words():
    devices = reader().devices()
    assert devices.interfaces == [
        Interface("Ethernet", wireless=False, up=True, mac="9c:7b:ef:12:34:56"),
        Interface("WLAN", wireless=True, up=False, mac="9c:7b:ef:12:34:57"),
    ]
    assert devices.default_route is True
    assert devices.wifi_strength_pct == 37
    assert reader(routes=[]).devices().default_route is False


def test_the_system_is_named_with_its_meeting_app():
    system = reader().system()
    assert system.failed == ()
    assert (system.os_name, system.os_version) == ("Microsoft Windows 11 IoT Enterprise", "10.0.26100")
    assert system.app_version == "5.4.218.0"
    assert system.clock_synchronized is True
    assert system.disks == [Disk("disk 0", "SAMSUNG MZVL2256HCHQ-00BH1", "0025_38BA_1100_ABCD.", True, "")]


@pytest.mark.parametrize(("status", "healthy"), [(0, True), (1, False), (2, False), (5, None), (None, None)])
def test_disk_health_is_windows_own_word(status, healthy):
    disk = {"DeviceId": "0", "FriendlyName": "D", "SerialNumber": None, "BusType": 17, "HealthStatus": status}
    assert reader(disks=[disk]).system().disks[0].healthy is healthy


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("Leap Indicator: 0(no warning)\r\nStratum: 4 (secondary reference)", True),
        ("Leap Indicator: 3(not synchronized)\r\nStratum: 0 (unspecified)", False),
        ("Sprungindikator: 3(nicht synchronisiert)\r\nStratum: 0 (nicht angegeben)", False),
        ("The following error occurred: The service has not been started. (0x80070426)", None),
        ("", None),
    ],
)
def test_the_clock_is_kept_right_if_windows_time_says_so(printed, expected):
    assert clock_synchronized(printed) is expected


def test_without_wifi_there_is_no_strength():
    assert wifi_strength_pct("There is no wireless interface on the system.") is None
    assert reader(wlan=None).devices().wifi_strength_pct is None
    assert reader(wlan=None).devices().failed == ()


def test_a_question_that_failed_is_unknown_not_none_found():
    devices = reader(pnp=None, monitors=None, room_app=None).devices()
    assert devices.failed == ("peripherals", "displays")
    expected = {"camera_room": 1, "display_front": 1}
    reported = signals(Facts("windows", devices, reader().system(), expected))
    assert reported["camera_room"][0].state == "unknown"
    assert reported["display_front"][0].state == "unknown"
    assert reported["monitoring_partial"][0].state == "unhealthy"


def test_nothing_found_is_none_found():
    assert counts(reader(pnp=[], monitors=[]).devices()) == dict.fromkeys(
        ("camera_room", "mic_conf", "spk_conf", "display_front"), 0
    )


@pytest.mark.parametrize("printed", ["", "[]", "not json", '{"pnp": 5}', '{"pnp": [{}], "monitors": [null]}'])
def test_an_answer_that_makes_no_sense_makes_everything_unknown(printed):
    broken = WindowsReader(ask=lambda questions: printed)
    assert set(counts(broken.devices()).values()) == {None}
    assert broken.system().disks is None
    assert broken.hardware() == Hardware()


def test_without_powershell_everything_is_unknown():
    def missing(questions: str) -> str:
        raise FileNotFoundError("powershell.exe")

    assert WindowsReader(ask=missing).devices().peripherals is None
    assert WindowsReader(ask=missing).hardware() == Hardware()


@pytest.mark.parametrize(
    "questions", [windows_queries.DEVICES, windows_queries.SYSTEM, windows_queries.HARDWARE]
)
def test_each_question_has_its_answer_in_the_recording(questions):
    assert set(re.findall(r"^Ask (\w+) \{", questions, re.MULTILINE)) == set(
        json.loads(said(RECORDED[questions]))
    )
    for opening, closing in ("{}", "()", "''"):
        assert questions.count(opening) == questions.count(closing)
    assert '"' not in questions  # it is passed on a command line
